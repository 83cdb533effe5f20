"""The benchmark's workloads, a sample of each: the engine's trades are those of the independent book."""

import gc

import pytest

from apps.matching.engine import Engine
from apps.streams.codec import decode_events
from apps.streams.records import CancelRejected, OrderRejected, Trade
from tests.benchmarks.frames import frames

COUNT = 15_000


@pytest.mark.parametrize("name", ["mix", "sweep"])
def test_trades_equal_those_of_the_book_only_oracle(name: str) -> None:
    work = frames(name, COUNT, cache=None)
    engine = Engine()
    engine.process(work.setup)
    events = decode_events(engine.process(work.commands))
    assert not [event for event in events if isinstance(event, OrderRejected | CancelRejected)]
    trades = [
        (event.taker_order_id, event.maker_order_id, event.price_ticks, event.quantity_lots)
        for event in events
        if isinstance(event, Trade)
    ]
    assert trades == work.trades
    assert len(trades) > 2_000
    engine.validate()


def test_the_engine_leaves_no_reference_cycles() -> None:
    """So the worker may switch the garbage collector off."""
    work = frames("mix", COUNT, cache=None)
    engine = Engine()
    engine.process(work.setup)
    gc.collect()
    gc.disable()
    try:
        engine.process(work.commands)
        assert gc.collect() == 0
    finally:
        gc.enable()
