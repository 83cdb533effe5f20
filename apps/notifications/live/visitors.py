"""Who is at the other end of a socket."""

from dataclasses import dataclass

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable


@dataclass(frozen=True, slots=True)
class Visitor:
    """`network` is what one customer has of addresses. `session` is the hash of the session's key, empty for who is not
    logged in; `ends_at_s` is when the session ends if it is not used (epoch seconds), None for never; `looked_up_at_s`
    is when it was begun to be looked up (time.monotonic).
    """

    network: str
    user_id: int | None = None
    session: str = ""
    ends_at_s: int | None = None
    looked_up_at_s: float = 0.0


async def refuse(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """403 instead of the upgrade, whatever the reason: a page is not told it, and comes back later."""
    await receive()
    await send({"type": "websocket.close", "code": 1000, "reason": None})
