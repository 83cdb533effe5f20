"""Which orders traded under a command, as the limits of new orders need it. Pure."""

import struct
from typing import Final

from apps.gateway.eventfields import offset_of
from apps.gateway.limits.counting import MAKER_CREDIT, TAKER_CREDIT, Credit
from apps.streams.kinds import EventKind, TradeFlag

KIND_AT: Final = 1
FLAGS_AT: Final = 2
_TAKER_ACCOUNT_AT: Final = offset_of(EventKind.TRADE, "account_id")
_MAKER_ACCOUNT_AT: Final = offset_of(EventKind.TRADE, "maker_account_id")
_MAKER_ORDER_AT: Final = offset_of(EventKind.TRADE, "maker_order_id")
_TAKER_ORDER_AT: Final = offset_of(EventKind.TRADE, "taker_order_id")
# Plain numbers: on Python 3.11 a member of an enumeration costs a call, and a flag joined to a number several.
_TRADE: Final = int(EventKind.TRADE)
_AUCTION: Final = int(TradeFlag.AUCTION)
_U64: Final = struct.Struct("<Q").unpack_from


def credits_of(events: list[bytes]) -> list[Credit]:
    """Each order that traded, once. In an auction both sides were in the book."""
    if len(events) == 1:
        # A print never comes alone: something accepted, triggered or opened what trades.
        return []
    found: dict[int, Credit] = {}
    for event in events:
        if event[KIND_AT] != _TRADE:
            continue
        maker = _U64(event, _MAKER_ORDER_AT)[0]
        if maker not in found:
            found[maker] = Credit(_U64(event, _MAKER_ACCOUNT_AT)[0], maker, MAKER_CREDIT)
        taker = _U64(event, _TAKER_ORDER_AT)[0]
        if taker not in found:
            was_resting = event[FLAGS_AT] & _AUCTION
            found[taker] = Credit(
                _U64(event, _TAKER_ACCOUNT_AT)[0], taker, MAKER_CREDIT if was_resting else TAKER_CREDIT
            )
    return list(found.values())
