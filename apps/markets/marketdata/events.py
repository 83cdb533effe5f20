"""Event entries to the records that market data needs; everything else is skipped undecoded."""

from collections.abc import Iterator
from typing import Any, Final

from apps.streams.codec import decode_event
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_HEADER, EVENT_SIZE, FrameError

PUBLIC_KINDS: Final = frozenset(
    {
        EventKind.ORDER_ACCEPTED,
        EventKind.TRADE,
        EventKind.ORDER_RESTED,
        EventKind.ORDER_CLOSED,
        EventKind.PREVENTED_MATCH,
        EventKind.ICEBERG_REFILLED,
        EventKind.ORDER_AMENDED,
        EventKind.SETTINGS_APPLIED,
        EventKind.MARKET_STATE_CHANGED,
        EventKind.AUCTION_PRICE,
        EventKind.HALT_DISTANCE,
        EventKind.LEVEL_CHANGED,
    }
)
TRADES: Final = frozenset({EventKind.TRADE})


def wanted_events(body: bytes, kinds: frozenset[EventKind], *, after_seq: int = 0) -> Iterator[Any]:
    """Records of `kinds` with seq > after_seq, in order. FrameError for bytes that are not whole events."""
    if len(body) % EVENT_SIZE:
        raise FrameError(f"{len(body)} bytes are not whole {EVENT_SIZE}-byte events")
    numbers = frozenset(int(kind) for kind in kinds)
    for offset in range(0, len(body), EVENT_SIZE):
        if body[offset + 1] in numbers:
            seq = EVENT_HEADER.unpack_from(body, offset)[5]
            if seq > after_seq:
                yield decode_event(body, offset)
