"""Random histories: full structural check after every step, events that rebuild the state, cuts and restarts that
never matter. A failing run prints its seed.
"""

import os
import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.matching.engine import Engine
from apps.streams.codec import decode_events
from apps.streams.events import (
    Allocated,
    AmendRejected,
    CancelRejected,
    ListChanged,
    ListRejected,
    MarketStateChanged,
    OrderAccepted,
    OrderClosed,
    OrderRejected,
    OrderRested,
    OrderReviewed,
    OrderTriggered,
    PendingEntered,
    PreventedMatch,
    Trade,
)
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationStep,
    CommandKind,
    EventKind,
    HaltCause,
    ListKind,
    ListStatus,
    MarketState,
    OrderKind,
    Reason,
    Review,
    Side,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from apps.streams.records import EVENT_SIZE
from tests.matching.engine.projection import Projection
from tests.matching.engine.random_orders import Commands

MARKET_ASSETS = {1: (1, 2), 2: (3, 1)}
SEEDS = range(6)


def history(seed: int, count: int) -> list[bytes]:
    print(f"seed {seed}, {count} commands")
    commands = Commands(seed)
    return [commands.next() for _ in range(count)]


def agrees(projection: Projection, engine: Engine) -> None:
    balances = {(b.account_id, b.asset_id): (b.available_units, b.held_units) for b in engine.balances()}
    assert projection.money() == balances
    levels = {
        (market.market_id, side, price): lots
        for market in engine.markets()
        for side in (Side.BUY, Side.SELL)
        for price, lots in engine.depth(market.market_id, side, 10_000)
    }
    assert projection.open_levels() == levels
    assert projection.left == {order.order_id: order.left_lots for order in engine.open_orders()}
    waiting = {order.order_id: order.waiting for order in engine.open_orders() if order.waiting in (1, 2, 4)}
    assert projection.waiting == waiting
    assert projection.lists == {row.list_id: row.order_ids for row in engine.order_lists()}
    assert projection.orders.keys() == projection.left.keys()
    shares = {(row.order_id, row.account_id): (row.final_lots, row.allocated_lots) for row in engine.shares()}
    assert projection.shares == {key: pair for key, pair in shares.items() if pair[0] != pair[1]}
    assert all(projection.priority[order.order_id] == order.priority for order in engine.open_orders())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_step_is_sound_and_events_alone_rebuild_books_and_balances(engine_class: Any, seed: int) -> None:
    engine, projection = engine_class(closed_ids_kept=50), Projection(MARKET_ASSETS)
    for number, frames in enumerate(history(seed, 1_500)):
        for event in decode_events(engine.process(frames)):
            projection.apply(event)
        engine.validate()
        assert engine.seq == projection.seq
        if number % 10 == 0:
            agrees(projection, engine)
    agrees(projection, engine)
    assert engine.counters().last_order_id > 180  # the history was not all refusals
    assert sum(market.last_trade_id for market in engine.markets()) > 60


def test_the_histories_use_every_rule() -> None:
    seen: Counter[object] = Counter()
    for seed in range(12):
        engine, kinds = Engine(50), {}
        for frames in history(seed, 3_000):
            events = decode_events(engine.process(frames))
            if frames[1] == CommandKind.REPLACE_ORDER:
                seen["replaced", tuple(sorted({EventKind(event.KIND).name for event in events[:2]}))] += 1
            for event in events:
                seen[EventKind(event.KIND)] += 1
                if isinstance(event, OrderReviewed):
                    seen[Review(event.decision), type(events[-1]).__name__] += 1
                match event:
                    case OrderAccepted():
                        kinds[event.order_id] = event
                        seen[OrderKind(event.order_kind)] += 1
                        seen[TimeInForce(event.time_in_force)] += 1
                        seen["strategy", event.flags] += 1
                    case ListChanged():
                        seen[ListKind(event.list_kind), ListStatus(event.status)] += 1
                    case ListRejected():
                        seen["list", Reason(event.reason)] += 1
                    case PendingEntered():
                        seen["entered", event.flags] += 1
                    case Allocated():
                        seen[AllocationStep(event.step), event.flags, Side(event.side)] += 1
                    case PreventedMatch():
                        seen[StpMode(event.stp_mode)] += 1
                        asked = kinds[event.taker_order_id].stp_mode
                        seen["family met in a call"] += event.stp_mode == StpMode.EXPIRE_TAKER != asked
                    case Trade() if event.flags & TradeFlag.AUCTION:
                        seen["paired"] += 1
                    case OrderRejected() | AmendRejected() | CancelRejected():
                        seen[Reason(event.reason)] += 1
                    case OrderTriggered():
                        seen["trailing triggered"] += kinds[event.order_id].trailing_bips > 0
                        seen["triggered in turn"] += any(
                            isinstance(before, OrderTriggered) and before.last_price_ticks != event.last_price_ticks
                            for before in events
                        )
                    case OrderRested() if kinds[event.order_id].flags & AcceptedFlag.WAITING:
                        seen["rested after its trigger"] += 1
                    case Trade() if event.flags & TradeFlag.TAKER_DONE:
                        seen["filled", kinds[event.taker_order_id].time_in_force] += 1
                    case OrderClosed():
                        seen[Reason(event.reason), event.time_in_force] += 1
                    case MarketStateChanged():
                        seen["moved", event.old_state, event.new_state, event.cause, bool(event.relay_seq)] += 1
    wanted = [
        ("replaced", ("ORDER_ACCEPTED", "ORDER_CLOSED")), ("replaced", ("CANCEL_REJECTED", "ORDER_ACCEPTED")),
        ("replaced", ("CANCEL_REJECTED",)), ("replaced", ("ORDER_REJECTED",)),
        (Review.RELEASE, "Trade"), (Review.RELEASE, "OrderRested"), (Review.REJECT, "OrderClosed"),
        (Reason.PARK_EXPIRED, TimeInForce.GTC), Reason.MAX_NUM_ICEBERG_ORDERS,
        (Reason.CANCELED_BY_TIMER, TimeInForce.GTC), EventKind.CANCEL_TIMER_SET,
        *(("strategy", more | flag) for more in (8, 16, 24) for flag in (0, *AcceptedFlag) if flag < 8),
        Reason.CANCEL_RESTRICTED,
        *OrderKind, *TimeInForce, *StpMode, EventKind.ICEBERG_REFILLED, EventKind.ORDER_AMENDED, Reason.WOULD_MATCH,
        *((kind, status) for kind in ListKind for status in ListStatus if (kind, status) != (1, 2)), ("entered", 0),
        ("entered", 1), EventKind.LIST_DUPLICATE, ("list", Reason.WOULD_MATCH), ("list", Reason.WOULD_TRIGGER),
        ("list", Reason.INSUFFICIENT_BALANCE), ("list", Reason.LIST_LEGS), Reason.LIST_UNCHANGEABLE,
        ("list", Reason.MAX_NUM_ORDER_LISTS), (Reason.LIST_ENDED, TimeInForce.GTC),
        *((AllocationStep.FILLED, taker, side) for taker in (0, 1) for side in Side), Reason.UNKNOWN_ALLOCATION,
        *((step, 0, side) for step in AllocationStep for side in Side), Reason.ALLOCATION_FAMILY,
        Reason.ALLOCATION_WEIGHTS, Reason.BLOCK_UNCHANGEABLE,
        Reason.EXPIRY_PASSED, Reason.ICEBERG_PARTS, Reason.AMEND_QUANTITY, (Reason.EXPIRED_BY_TIME, TimeInForce.GTD),
        (Reason.NO_LIQUIDITY, TimeInForce.IOC), (Reason.NO_LIQUIDITY, TimeInForce.FOK), ("filled", TimeInForce.FOK),
        (Reason.SELF_TRADE, TimeInForce.IOC), (Reason.BUDGET_SPENT, TimeInForce.NONE),
        (Reason.HOLD_SPENT, TimeInForce.NONE), EventKind.ORDER_TRIGGERED, Reason.WOULD_TRIGGER, Reason.TRAILING_DELTA,
        Reason.MAX_NUM_ALGO_ORDERS, Reason.NOT_AMENDABLE, "trailing triggered", "triggered in turn",
        "rested after its trigger",
        EventKind.AUCTION_PRICE, EventKind.LEVEL_CHANGED, EventKind.HALT_DISTANCE, "paired", "family met in a call",
        ("moved", MarketState.AUCTION, MarketState.OPEN, HaltCause.NONE, False),
        ("moved", MarketState.AUCTION, MarketState.AUCTION, HaltCause.AUCTION_EXTENDED, False),
        (Reason.BREAKER, TimeInForce.GTC), (Reason.BREAKER, TimeInForce.NONE),
        ("moved", MarketState.OPEN, MarketState.HALTED, HaltCause.BREAKER, False),
        ("moved", MarketState.HALTED, MarketState.OPEN, HaltCause.NONE, True),
    ]  # fmt: skip
    assert {what: seen[what] for what in wanted if seen[what] < 3} == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_cuts_into_batches_never_matter(engine_class: Any, seed: int) -> None:
    commands = history(seed, 1_200)
    one_by_one, whole, cut = engine_class(50), engine_class(50), engine_class(50)
    events = b"".join(one_by_one.process(frames) for frames in commands)
    assert whole.process(b"".join(commands)) == events
    random, position, pieces = Random(seed), 0, b""
    while position < len(commands):
        size = random.randrange(1, 90)
        pieces += cut.process(b"".join(commands[position : position + size]))
        position += size
    assert pieces == events
    assert one_by_one.snapshot() == whole.snapshot() == cut.snapshot()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restored_snapshot_goes_on_as_if_nothing_had_happened(engine_class: Any, seed: int) -> None:
    commands = history(seed, 900)
    engine = engine_class(50)
    events = [engine.process(frames) for frames in commands]
    last = engine.snapshot()
    engine = engine_class(50)
    for number, frames in enumerate(commands):
        assert engine.process(frames) == events[number]
        if number % 13 == 0:
            body = engine.snapshot()
            engine = engine_class.restore(body)
            assert engine.snapshot() == body
            engine.validate()
    assert engine.snapshot() == last


def apply(engine: Engine, steps: list[tuple[bytes, Reason | None]], random: Random | None = None) -> bytes:
    """Commands to apply or, with a reason, to skip; what lies between two skips in batches of random size."""
    events, batch = [], b""
    for frames, reason in steps:
        if reason is not None or (random is not None and random.random() < 0.1):
            events.append(engine.process(batch))
            batch = b""
        if reason is None:
            batch += frames
        else:
            events.append(engine.skip(frames, reason))
    return b"".join([*events, engine.process(batch)])


@pytest.mark.parametrize("seed", SEEDS)
def test_cuts_and_restarts_never_matter_with_skipped_commands_either(engine_class: Any, seed: int) -> None:
    random = Random(seed)
    why = (Reason.INTERNAL, Reason.INTERNAL, Reason.ENGINE_RESTARTED)
    steps = [(frames, random.choice(why) if random.random() < 0.03 else None) for frames in history(seed, 1_200)]
    whole, cut, restarted, projection = engine_class(50), engine_class(50), engine_class(50), Projection(MARKET_ASSETS)
    events = apply(whole, steps)
    assert apply(cut, steps, random) == events
    again = []
    for number, step in enumerate(steps):
        again.append(apply(restarted, [step]))
        if number % 29 == 0:
            restarted = engine_class.restore(restarted.snapshot())
    assert b"".join(again) == events
    assert whole.snapshot() == cut.snapshot() == restarted.snapshot()
    whole.validate()
    stops = 0
    for event in decode_events(events):
        projection.apply(event)
        stops += event.KIND == EventKind.MARKET_STATE_CHANGED and event.cause == HaltCause.POISON
    agrees(projection, whole)
    assert stops > 1  # the counts came to their end


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9), count=st.integers(1, 120), cut=st.integers(0, 120), kept=st.integers(0, 5))
def test_process_of_a_sum_is_the_sum_of_processes(
    engine_class: Any, seed: int, count: int, cut: int, kept: int
) -> None:
    commands = Commands(seed)
    frames = [commands.next() for _ in range(count)]
    a, b = b"".join(frames[:cut]), b"".join(frames[cut:])
    together, apart = engine_class(kept), engine_class(kept)
    assert together.process(a + b) == apart.process(a) + apart.process(b)
    assert together.state_hash() == apart.state_hash()
    together.validate()


def test_hash_randomisation_changes_nothing(engine_class: Any) -> None:
    script = (
        f"from hashlib import sha256; from {engine_class.__module__} import {engine_class.__name__} as Engine;"
        "from tests.matching.engine.random_orders import Commands;"
        "c = Commands(7); e = Engine(50); h = sha256();"
        "[h.update(e.process(c.next())) for _ in range(800)]; print(h.hexdigest(), e.state_hash())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1


def test_every_event_is_whole_and_numbered_without_a_gap(engine_class: Any) -> None:
    engine, seq = engine_class(50), 0
    for frames in history(99, 800):
        body = engine.process(frames)
        assert len(body) % EVENT_SIZE == 0
        for event in decode_events(body):
            seq += 1
            assert event.seq == seq
            assert event.cmd_ms == int.from_bytes(frames[16:24], "little")
