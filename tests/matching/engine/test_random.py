"""Random histories: full structural check after every step, events that rebuild the state, cuts and restarts that
never matter. A failing run prints its seed.
"""

import os
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.matching.engine import Engine
from apps.streams.codec import decode_events
from apps.streams.kinds import (
    EventKind,
    HaltCause,
    Reason,
    Side,
)
from apps.streams.records import EVENT_SIZE
from tests.matching.engine.projection import Projection
from tests.matching.engine.random_orders import Commands
from tests.sampling import sampled

MARKET_ASSETS = {1: (1, 2), 2: (3, 1)}
SEEDS = sampled(range(6), 3)


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
