"""Plain and compiled engine over histories that are full of call auctions: the same bytes, the same state."""

from collections import Counter

import pytest

from apps.matching.engine import Engine as PlainEngine
from apps.streams.codec import decode_events
from apps.streams.events import (
    Allocated,
    AuctionPrice,
    HaltDistance,
    LevelChanged,
    MarketStateChanged,
    PreventedMatch,
    RelayRefused,
    Trade,
)
from apps.streams.kinds import HaltCause, MarketState, Reason, TradeFlag
from tests.oracle.call_auctions import Calls
from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES
from tests.oracle.streams import CLOSED_IDS_KEPT

COUNT = 3_000


@pytest.mark.parametrize("seed", range(6))
def test_the_engines_agree_on_call_auctions(seed: int) -> None:
    differ(seed, COUNT, ENGINES["plain"], ENGINES["native"], kind=Calls)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3_000, 3_100))
def test_the_engines_agree_on_a_million_commands_of_call_auctions(seed: int) -> None:
    differ(seed, 10_000, ENGINES["plain"], ENGINES["native"], kind=Calls, longest_call=60)


def test_the_histories_have_every_end_of_a_call() -> None:
    seen: Counter[object] = Counter()
    for seed in range(8):
        history, engine = Calls(seed), PlainEngine(CLOSED_IDS_KEPT)
        history.skip_rate = 0
        for _ in range(COUNT):
            frames, _ = history.next()
            answer = engine.process(frames)
            history.hear(answer)
            events = decode_events(answer)
            in_auction = any(isinstance(event, Trade) and event.flags & TradeFlag.AUCTION for event in events)
            for event in events:
                match event:
                    case AuctionPrice() | LevelChanged() | HaltDistance():
                        seen[type(event)] += 1
                    case Trade() if event.flags & TradeFlag.AUCTION:
                        seen["paired"] += 1
                        seen["iceberg or rest"] += event.maker_left_lots > 0
                    case Allocated() if in_auction:
                        seen["shares"] += 1
                    case PreventedMatch():
                        seen["prevented"] += 1
                    case RelayRefused():
                        seen[Reason(event.reason)] += 1
                    case MarketStateChanged():
                        seen[MarketState(event.old_state), MarketState(event.new_state), HaltCause(event.cause)] += 1
    wanted = {
        AuctionPrice, LevelChanged, HaltDistance, "paired", "iceberg or rest", "shares", "prevented",
        Reason.BOOK_CROSSED, Reason.UNKNOWN_CLASS, Reason.INVALID_STATE,
        (MarketState.AUCTION, MarketState.OPEN, HaltCause.NONE),
        (MarketState.AUCTION, MarketState.AUCTION, HaltCause.AUCTION_EXTENDED),
        (MarketState.AUCTION, MarketState.HALTED, HaltCause.NO_AUCTION_PRICE),
        (MarketState.OPEN, MarketState.HALTED, HaltCause.BREAKER),
        (MarketState.HALTED, MarketState.AUCTION, HaltCause.BREAKER),
    }  # fmt: skip
    assert {each for each in wanted if seen[each] < 3} == set()
