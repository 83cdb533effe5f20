"""Each engine restores the other's bodies; a damaged body is refused or is a state, and never anything worse."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from apps.matching.engine import Engine as PlainEngine
from apps.matching.engine import InvariantBroken, RelayGap, SnapshotError
from apps.matching.engine.snapshot_tables import OLDEST_READABLE
from apps.matching.native.engine import Engine as NativeEngine
from tests.matching.engine.random_orders import Commands

GOLDEN = Path(__file__).parents[1] / "engine" / "golden"


VIEWS = (
    "balances", "open_orders", "order_lists", "shares", "holds", "assets", "asset_classes", "accounts", "allocations",
    "markets",
)  # fmt: skip


def test_they_have_one_interface() -> None:
    """The compiled one has more: what its memory is and takes."""
    names = {name for name in dir(PlainEngine) if not name.startswith("_")} - {"HANDLERS"}
    assert names <= set(dir(NativeEngine))
    assert set(VIEWS) < names


@pytest.mark.parametrize("seed", range(3))
def test_the_two_engines_take_turns(seed: int) -> None:
    """At each restart the other engine goes on."""
    commands, random = Commands(seed), Random(seed)
    through: PlainEngine | NativeEngine = PlainEngine(50)
    turns: PlainEngine | NativeEngine = NativeEngine(50)
    for _ in range(1_500):
        frames = commands.next()
        assert turns.process(frames) == through.process(frames)
        if random.random() < 0.03:
            body = turns.snapshot()
            turns = (PlainEngine if isinstance(turns, NativeEngine) else NativeEngine).restore(body)
            assert turns.snapshot() == body == through.snapshot()
            turns.validate()
            for view in VIEWS:
                assert list(getattr(turns, view)()) == list(getattr(through, view)()), view
            assert turns.counters() == through.counters()


@pytest.mark.parametrize("version", range(OLDEST_READABLE, PlainEngine.RULES_VERSION))
def test_bodies_of_older_rules_give_the_same_state(version: int) -> None:
    body = (GOLDEN / f"rules_v{version}.body").read_bytes()
    assert NativeEngine.restore(body).snapshot() == PlainEngine.restore(body).snapshot()


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_body_is_refused_or_is_some_state(seed: int) -> None:
    """Trading goes on from whatever was taken: it ends with an error of ours at worst, never with the process."""
    print(f"seed {seed}")
    random, commands, engine = Random(seed), Commands(seed), NativeEngine(50)
    for _ in range(700):
        engine.process(commands.next())
    body, further = engine.snapshot(), [commands.next() for _ in range(40)]
    taken = 0
    for _ in range(600):
        damaged = bytearray(body)
        for _ in range(random.choice((1, 1, 3))):
            place = random.randrange(len(damaged))
            if random.random() < 0.3:
                damaged[place : place + 8] = random.choice((0, 1, 2**63, 2**64 - 1)).to_bytes(8, "little")
            else:
                damaged[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        try:
            restored = NativeEngine.restore(bytes(damaged))
        except SnapshotError:
            continue
        taken += 1
        try:
            for frames in further:
                restored.process(frames)
            restored.validate()
        except (InvariantBroken, RelayGap):
            continue
    assert taken > 20


@pytest.mark.parametrize("engine_class", [PlainEngine, NativeEngine])
def test_more_ids_than_a_place_can_name_are_refused(engine_class: Any) -> None:
    for count in (-1, 2**30, 2**32):
        with pytest.raises(ValueError, match="closed_ids_kept must be between 0 and 2\\^30 - 1"):
            engine_class(count)
    body = bytearray(engine_class(5).snapshot())
    at = body.index((5).to_bytes(4, "little"), 36)
    body[at : at + 4] = (2**30).to_bytes(4, "little")
    with pytest.raises(SnapshotError, match="closed"):
        engine_class.restore(bytes(body))
    body[at : at + 4] = (2**30 - 1).to_bytes(4, "little")
    assert engine_class.restore(bytes(body)).snapshot() == body
