"""Listen keys over REST and the WebSocket API: the dialect's older way to user data (clients.md section 6)."""

import re
from typing import TYPE_CHECKING, Any, Final

from apps.accounts.listenkeys import LENGTH
from apps.gateway import errors
from apps.gateway.params import Text
from apps.gateway.registry import Call, Security, endpoint

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

PATH: Final = "/api/v3/userDataStream"
LISTEN_KEY: Final = Text(
    "listenKey", required=True, pattern=re.compile(rf"[A-Za-z0-9]{{1,{LENGTH}}}", re.ASCII),
    legal=f"^[A-Za-z0-9]{{1,{LENGTH}}}$",
)  # fmt: skip


@endpoint("POST", PATH, weight=2, security=Security.USER_STREAM, ws="userDataStream.start", error_codes=(-1102,))
async def start(gateway: "Gateway", call: Call) -> dict[str, str]:
    """A new listen key of this API key; the one that it has, prolonged, while that is valid."""
    assert call.credential is not None, "the endpoint has security"
    if call.credential.api_key is None:
        # A page's session: it subscribes, and a listen key belongs to an API key.
        raise errors.missing("apiKey")
    return {"listenKey": await gateway.listen_keys.issue(call.credential)}


@endpoint(
    "PUT", PATH, weight=2, security=Security.USER_STREAM, params=(LISTEN_KEY,), ws="userDataStream.ping",
    error_codes=(-1102, -1125),
)  # fmt: skip
async def ping(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """Valid for an hour from now on. Any key of the account may say so."""
    await gateway.listen_keys.prolong(call.values["listenKey"], call.account_id)
    return {}


@endpoint(
    "DELETE", PATH, weight=2, security=Security.USER_STREAM, params=(LISTEN_KEY,), ws="userDataStream.stop",
    error_codes=(-1102, -1125),
)  # fmt: skip
async def stop(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """Its streams end, at every gateway."""
    await gateway.listen_keys.end(call.values["listenKey"], call.account_id)
    return {}
