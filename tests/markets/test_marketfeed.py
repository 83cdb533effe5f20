"""The public book is the engine's displayed book after every event, over histories with every order kind."""

import pytest

from apps.markets.marketdata.events import PUBLIC_KINDS, wanted_events
from apps.markets.marketdata.marketfeed import MarketFeed
from apps.matching.engine import Engine
from apps.streams.kinds import EventKind, Side, StpMode
from tests.matching.engine.random_orders import Commands

MARKETS = (1, 2)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_public_book_is_what_the_engine_shows(seed: int) -> None:
    print(f"seed {seed}")
    commands, engine = Commands(seed), Engine(50)
    feeds = {market_id: MarketFeed(market_id, lambda market_id: 1) for market_id in MARKETS}
    refills = decrements = levels = 0
    for number in range(3_000):
        for event in wanted_events(engine.process(commands.next()), PUBLIC_KINDS):
            if event.market_id in feeds and event.KIND != EventKind.SETTINGS_APPLIED:
                feeds[event.market_id].apply(event)
            refills += event.KIND == EventKind.ICEBERG_REFILLED
            levels += event.KIND == EventKind.LEVEL_CHANGED
            decrements += event.KIND == EventKind.PREVENTED_MATCH and event.stp_mode == StpMode.DECREMENT
        if number > 20:
            for market_id in MARKETS:
                for side in Side:
                    shown = feeds[market_id].book.sides[side].best_first()
                    assert [tuple(level) for level in shown] == engine.depth(market_id, side, 10_000)
    assert refills > 2
    assert levels > 0
    assert decrements > 1
