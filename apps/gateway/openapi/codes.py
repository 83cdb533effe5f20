"""Every error code of the trading API: its meaning, the HTTP statuses it comes with, and who can answer it.

What an endpoint can answer follows from its security and its parameters; what is special to it stands in the registry
(`error_codes`). A test holds the table against errors.py, and the request generators hold every answer against it.
"""

from dataclasses import dataclass
from typing import Final

from apps.gateway.params import Amount, Amounts, Choice, Integer, Param, Permissions, Symbols, TimeZone
from apps.gateway.registry import Endpoint, Security


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`statuses`: as errors.py has them, lowest first."""

    number: int
    statuses: tuple[int, ...]
    meaning: str


_TABLE: Final = (
    (-1000, (400, 404, 405, 408, 500), "Unknown path, method or failure; the text says which."),
    (-1001, (503,), "Not executed, and it will not be: try again after Retry-After seconds."),
    (-1003, (418, 429), "Too much request weight or too many requests; 418 while the address is banned."),
    (-1007, (504,), "The outcome is unknown: ask for the order, or send it again with the same client order id."),
    (-1008, (503,), "Too many resume with `fromSeq` at a time: try again after a second."),
    (-1013, (400,), "A filter of the market, named in the text, refuses the order."),
    (-1014, (400,), "These parameters do not go together."),
    (-1015, (429,), "Too many new orders."),
    (-1021, (400,), "The timestamp is outside of recvWindow, or more than a second ahead."),
    (-1022, (400,), "The signature is not that of the bytes received."),
    (-1100, (400,), "Illegal characters in a parameter, or a body that is no form."),
    (-1101, (400, 413), "A parameter was sent twice, or more data than is read."),
    (-1102, (400,), "A mandatory parameter is missing or empty."),
    (-1104, (400,), "A parameter that this endpoint does not know."),
    (-1105, (400,), "A parameter is empty."),
    (-1106, (400,), "A parameter that does not belong to this kind of request."),
    (-1111, (400,), "More decimals than an amount has."),
    (-1115, (400,), "Invalid timeInForce."),
    (-1116, (400,), "Invalid order type."),
    (-1117, (400,), "Invalid side."),
    (-1120, (400,), "Invalid interval."),
    (-1121, (400,), "There is no such market."),
    (-1122, (400,), "Invalid symbolStatus."),
    (-1125, (400,), "There is no such listen key."),
    (-1127, (400,), "The time between start and end is too long, or negative."),
    (-1128, (400,), "These optional parameters do not go together."),
    (-1130, (400,), "A value is outside of what the parameter takes."),
    (-1131, (400,), "recvWindow is too long."),
    (-1135, (400,), "The frame is no JSON of the expected form."),
    (-1139, (400,), "The ticker type is not taken."),
    (-1145, (400,), "cancelRestrictions is neither ONLY_NEW nor ONLY_PARTIALLY_FILLED."),
    (-1151, (400,), "A symbol is named twice."),
    (-1158, (400,), "The order type is not taken in an OCO."),
    (-1165, (400,), "In a buy OCO a limit order must be below."),
    (-1166, (400,), "In a sell OCO a limit order must be above."),
    (-1168, (400,), "At least one order of an OCO must be contingent."),
    (-1191, (400,), "Too many streams."),
    (-1194, (400,), "A time unit that does not exist."),
    (-1196, (400,), "In a buy OCO a stop loss order must be above."),
    (-1197, (400,), "In a sell OCO a stop loss order must be below."),
    (-1198, (400,), "In a buy OCO a take profit order must be below."),
    (-1199, (400,), "In a sell OCO a take profit order must be above."),
    (-1220, (400,), "The market's status is not the one asked for."),
    (
        -2010,
        (400,),
        "The order is refused: funds, duplicate id, market state, frozen account or trigger: see the text.",
    ),
    (-2011, (400,), "There is nothing to cancel by that id."),
    (-2013, (400,), "There is no such order."),
    (-2014, (401,), "No API key, or one of the wrong form."),
    (-2015, (401, 403), "The key is unknown, or lacks the right, or the address is not allowed."),
    (-2018, (400,), "There is no such order list."),
    (-2021, (409, 429), "One half of a cancel-replace failed; `data` says which."),
    (-2022, (400, 429), "Both halves of a cancel-replace failed; `data` says why."),
    (-2035, (400,), "The subscription is active already."),
    (-2036, (400,), "The subscription is not active."),
    (-2038, (400,), "The order cannot be amended so."),
    (-2042, (400,), "The answer would be too large."),
    (-4056, (400,), "session.logon takes Ed25519 keys."),
)
ERROR_CODES: Final = {number: ErrorCode(number, statuses, meaning) for number, statuses, meaning in _TABLE}

# Statuses that a request has by itself, before any endpoint is looked at.
NOT_OF_ENDPOINTS: Final = frozenset({404, 405})
# Answers to REST requests of any endpoint: limits, time limits, unread parameters, form, failures.
_ALWAYS: Final = frozenset({-1000, -1001, -1003, -1100, -1101, -1104, -1105})
_SIGNED: Final = frozenset({-1021, -1022, -1102, -1131, -2014, -2015})


def codes_of(endpoint: Endpoint) -> list[int]:
    """Every code that the endpoint can answer over REST, highest first."""
    found = {*_ALWAYS, *endpoint.error_codes}
    if endpoint.security is not Security.NONE:
        found |= _SIGNED
    if endpoint.security is Security.TRADE:
        found.add(-1007)
        if not endpoint.is_cancel:
            found.add(-2010)
    if endpoint.orders:
        found.add(-1015)
    for param in endpoint.params:
        found |= _codes_of(param)
    return sorted(found, reverse=True)


def _codes_of(param: Param) -> set[int]:
    found = {-1102} if param.required else set()
    if isinstance(param, Amount | Amounts):
        found |= {-1013, -1111}
    if isinstance(param, Choice) and param.refuse is not None:
        return found | {param.refuse().number}
    if isinstance(param, Integer | Choice | Amounts | Symbols | TimeZone | Permissions):
        found.add(-1130)
    if isinstance(param, Symbols):
        # Named twice, or sent together with a single symbol.
        found |= {-1106, -1151}
    return found


def by_status(codes: list[int]) -> dict[int, list[int]]:
    """{HTTP status: codes}; what is refused before an endpoint is known is left out."""
    found: dict[int, list[int]] = {}
    for number in codes:
        for status in ERROR_CODES[number].statuses:
            if status not in NOT_OF_ENDPOINTS:
                found.setdefault(status, []).append(number)
    return dict(sorted(found.items()))
