"""The engine of a second shard: the same rules and events, other order ids, and snapshots that carry them on."""

import pytest

from apps.matching.engine import Engine
from apps.matching.shards import engine_of
from apps.streams.codec import decode_event, stamp
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_SIZE
from apps.streams.shards import last_order_id, order_ids_after
from tests.matching.traffic import opening, trading


def stamped(runs: list[bytes]) -> bytes:
    frames = bytearray(b"".join(runs))
    stamp(frames, 1_000_000, 0)
    return bytes(frames)


def order_ids(events: bytes) -> list[int]:
    decoded = [decode_event(events[at : at + EVENT_SIZE]) for at in range(0, len(events), EVENT_SIZE)]
    return [event.order_id for event in decoded if event.KIND == EventKind.ORDER_ACCEPTED]


def test_first_shard_has_the_plain_engine() -> None:
    assert engine_of("spot") is Engine


def test_second_shard_numbers_from_its_own_base_and_decides_the_same() -> None:
    frames = stamped([*opening(), *trading(400, seed=7)])
    first, second = Engine(), engine_of("drill")()
    of_first, of_second = first.process(frames), second.process(frames)
    base = order_ids_after("drill")
    assert order_ids(of_second) == [base + number for number in order_ids(of_first)]
    assert order_ids(of_first)[:3] == [1, 2, 3]
    assert len(of_first) == len(of_second)
    assert list(first.balances()) == list(second.balances())
    assert all(base < row.order_id <= last_order_id("drill") for row in second.open_orders())
    second.validate()


def test_snapshot_carries_the_numbers_on() -> None:
    engine = engine_of("drill")()
    engine.process(stamped([*opening(), *trading(50, seed=8)]))
    restored = Engine.restore(engine.snapshot())
    assert restored.state_hash() == engine.state_hash()
    more = bytearray(b"".join(trading(50, seed=9)))
    stamp(more, 1_000_001, 0)
    assert order_ids(restored.process(bytes(more)))[0] > order_ids_after("drill")


def test_shard_without_a_number_has_no_engine() -> None:
    with pytest.raises(KeyError, match="tea"):
        engine_of("tea")
