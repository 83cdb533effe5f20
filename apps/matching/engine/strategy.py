"""The strategy that an account says an order belongs to, in the order's second frame (commands.Strategy).

It decides nothing and is no part of the state: ORDER_ACCEPTED hands it on, and nothing tells it again. So it is none of
the parameters that make a repeat by client id either.
"""

from collections.abc import Sequence
from typing import Final

from apps.streams.kinds import AcceptedFlag
from apps.streams.records import FRAME_SIZE, STRATEGY

_PARTS: Final = 2
_ID: Final = int(AcceptedFlag.STRATEGY_ID)
_TYPE: Final = int(AcceptedFlag.STRATEGY_TYPE)
GIVEN: Final = frozenset({_ID, _TYPE, _ID | _TYPE})

# (id, type, which of both the order has), as in the frame.
Strategy = tuple[int, int, int]
NO_STRATEGY: Final[Strategy] = (0, 0, 0)


def read_strategy(frames: bytes, offset: int, parts: int) -> Strategy | None:
    """Of the order that starts there with more or less than one frame; None where that is no strategy."""
    if parts != _PARTS:
        return None
    strategy_id, strategy_type, given = STRATEGY.unpack_from(frames, offset + FRAME_SIZE)
    if given not in GIVEN or (strategy_id and not given & _ID) or (strategy_type and not given & _TYPE):
        return None
    return strategy_id, strategy_type, given


def order_frames(frames: bytes, offset: int) -> int:
    """How many frames the order behind a head has: one, or two with a strategy; 0 for any other number."""
    parts = frames[offset + 2]
    return parts if 1 <= parts <= _PARTS else 0


def order_offsets(frames: bytes, offset: int, parts: int, count: int) -> Sequence[int] | None:
    """Where each of the `count` orders behind the head of a run starts; None unless just they make up the run."""
    at, end = offset + FRAME_SIZE, offset + parts * FRAME_SIZE
    found = []
    for _ in range(count):
        if at >= end or not order_frames(frames, at):
            return None
        found.append(at)
        at += order_frames(frames, at) * FRAME_SIZE
    return found if at == end else None
