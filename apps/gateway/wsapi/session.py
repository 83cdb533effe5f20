"""Methods that belong to a connection: session.logon, .status, .logout, userDataStream.*."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from apps.common.clock import now_ms, now_us
from apps.gateway import errors, params
from apps.gateway.keys import Credential
from apps.gateway.params import Flag, Integer, Param, Text
from apps.gateway.pastevents import EVENTS_MAX
from apps.gateway.registry import Security

if TYPE_CHECKING:
    from apps.gateway.wsapi.connection import WsApiConnection

TICKET: Final = Text(
    "ticket", required=True, pattern=re.compile(r"[A-Za-z0-9_\-]{20,100}", re.ASCII), legal="^[A-Za-z0-9_-]{20,100}$"
)
SIGNED: Final = (Text("apiKey", pattern=re.compile(r"[A-Za-z0-9]{1,128}", re.ASCII), legal="^[A-Za-z0-9]{64}$"),)
# Ours: the place in the engine's log from which user data goes on, and whether frames say it.
FROM_SEQ: Final = Integer("fromSeq")
RESUMING: Final = (FROM_SEQ, Flag("returnSeq", default=False))
WEIGHT: Final = 2
# What is missing is searched for in everybody's events: 1 more for each so many of them.
RESUME_WEIGHT: Final = 50
EVENTS_PER_WEIGHT: Final = 250

# Whether answers show what is used: of a connection in its address, of a request among its parameters.
SHOW_LIMITS: Final = "returnRateLimits"

Method = Callable[["WsApiConnection", dict[str, str]], Awaitable[Any]]


def without(left_out: str, sent: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in sent.items() if name != left_out}


def _read(declared: tuple[Param, ...], sent: dict[str, str]) -> dict[str, Any]:
    return params.read(declared, without(SHOW_LIMITS, sent))


def session_weight(sent: dict[str, str], newest_seq: int) -> int:
    """`newest_seq`: where a resumption ends. One that will be refused reads nothing."""
    if "fromSeq" not in sent:
        return WEIGHT
    try:
        distance = newest_seq - FROM_SEQ.parse(sent["fromSeq"])
    except errors.ApiError:
        return RESUME_WEIGHT
    return RESUME_WEIGHT + (distance // EVENTS_PER_WEIGHT if 0 < distance <= EVENTS_MAX else 0)


async def logon(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, Any]:
    """Open a trading session: pages with a one-use ticket of the site, programs with a signature by an Ed25519 key."""
    return await (_logon_signed if "ticket" not in sent else _logon_by_ticket)(connection, sent)


async def _logon_signed(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, Any]:
    """Of a connection that is logged on already, the session changes to this key."""
    _read(SIGNED, sent)
    try:
        credential = await connection.verify_signed(sent, now_us())
    except errors.ApiError as error:
        if error.number in (errors.key_refused().number, errors.bad_signature().number):
            connection.count_failed_logon()
        raise
    if not credential.may_log_on:
        raise errors.logon_needs_ed25519()
    if connection.session is not None:
        _end_session(connection)
    connection.log_on(credential)
    return status_of(connection)


async def _logon_by_ticket(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, Any]:
    """Only from our own pages (threat-T16)."""
    values = _read((TICKET,), sent)
    if not connection.own_origin:
        raise errors.foreign_origin()
    if connection.session is not None:
        raise errors.already_logged_on()
    try:
        session = await connection.gateway.credentials.consume_ticket(values["ticket"])
    except errors.ApiError as error:
        if error.number == errors.key_refused().number:
            connection.count_failed_logon()
        raise
    if connection.session is not None:
        # Two log-ons were under way at once.
        raise errors.already_logged_on()
    connection.log_on(session)
    return status_of(connection)


async def status(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, Any]:
    _read((), sent)
    return status_of(connection)


async def logout(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, Any]:
    """Forget the session; its subscriptions end with it. Signed requests on this connection go on working."""
    _read((), sent)
    _end_session(connection)
    return status_of(connection)


def _end_session(connection: "WsApiConnection") -> None:
    """What signed requests have subscribed to goes on."""
    connection.log_off()
    connection.subscriptions.end_those_of_session()


def status_of(connection: "WsApiConnection") -> dict[str, Any]:
    return {
        "apiKey": connection.session.api_key if connection.session is not None else None,
        "authorizedSince": connection.session_since_ms,
        "connectedSince": connection.connected_ms,
        "returnRateLimits": connection.shows_limits,
        "serverTime": now_ms(),
        "userDataStream": bool(connection.subscriptions.numbers),
    }


async def subscribe(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, int]:
    """User data of the session's account."""
    values = _read(RESUMING, sent)
    if connection.session is None:
        raise errors.session_required()
    return await _subscribe(connection, connection.session, values, of_session=True)


async def subscribe_signed(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, int]:
    """User data of the signing key's account, without a session."""
    values = _read((*SIGNED, *RESUMING), sent)
    credential = await connection.verify_signed(sent, now_us())
    connection.follow(credential)
    return await _subscribe(connection, credential, values, of_session=False)


async def _subscribe(
    connection: "WsApiConnection", credential: Credential, values: dict[str, Any], *, of_session: bool
) -> dict[str, int]:
    if not credential.allows(Security.USER_DATA):
        raise errors.key_refused()
    from_seq = values["fromSeq"]
    return await connection.subscriptions.begin(
        credential, of_session=of_session, from_seq=from_seq, shows_seq=from_seq is not None or values["returnSeq"]
    )


async def unsubscribe(connection: "WsApiConnection", sent: dict[str, str]) -> dict[str, Any]:
    """End one subscription, or all of them without a number."""
    number = _read((Integer("subscriptionId"),), sent)["subscriptionId"]
    if number is not None and number not in connection.subscriptions.numbers:
        raise errors.subscription_inactive()
    for each in [number] if number is not None else connection.subscriptions.numbers:
        connection.subscriptions.end(each)
    return {}


async def subscriptions(connection: "WsApiConnection", sent: dict[str, str]) -> list[dict[str, int]]:
    _read((), sent)
    return [{"subscriptionId": number} for number in connection.subscriptions.numbers]


SESSION_METHODS: Final[dict[str, Method]] = {
    "session.logon": logon,
    "session.status": status,
    "session.logout": logout,
    "session.subscriptions": subscriptions,
    "userDataStream.subscribe": subscribe,
    "userDataStream.subscribe.signature": subscribe_signed,
    "userDataStream.unsubscribe": unsubscribe,
}
