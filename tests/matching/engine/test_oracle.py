"""The benchmark's workloads, a sample of each: the engine's trades are those of the independent book."""

import gc

import pytest

from apps.matching.engine import Engine
from apps.streams.codec import decode_events
from apps.streams.events import CancelRejected, IcebergRefilled, OrderRejected, Trade
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.frames import frames

COUNT = 15_000


@pytest.mark.parametrize("name", ["mix", "sweep", "deep"])
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
    assert len(trades) > 1_500
    engine.validate()


def test_workloads_without_an_oracle_use_what_they_are_named_after() -> None:
    work = frames("icebergs", COUNT // 3, cache=None)
    assert len(work.commands) == COUNT // 3 * FRAME_SIZE
    engine = Engine()
    engine.process(work.setup)
    events = decode_events(engine.process(work.commands))
    assert not [event for event in events if isinstance(event, OrderRejected | CancelRejected)]
    assert sum(isinstance(event, IcebergRefilled) for event in events) > 200
    assert sum(isinstance(event, Trade) for event in events) > 500


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
