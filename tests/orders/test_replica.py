"""From where reconciliation replays the log: as far back as this release's rules made it."""

from pathlib import Path

import pytest

from apps.common.hashchain import extend
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.skips import Skips
from apps.orders.errors import EngineUnreachable
from apps.orders.reconciliation.replica import Replica
from apps.streams.bus.base import START, Bus, CommandEntry
from apps.streams.bus.memory import MemoryBus
from apps.streams.records import EVENT_SIZE
from tests.matching.traffic import opening, order


@pytest.fixture
def bus() -> Bus:
    bus = MemoryBus("spot")
    assert bus.raise_epoch(1)
    return bus


def publish(bus: Bus, core: Engine, position: Position, frames: bytes, rules_version: int) -> Position:
    entry = CommandEntry(bus.append_commands(frames), frames)
    body = apply_entries(core, [entry], Skips())
    last = position.seq + len(body) // EVENT_SIZE
    chain = extend(position.chain, position.seq + 1, last, body)
    bus.append_events(
        epoch=1, first_seq=position.seq + 1, last_seq=last, prev_chain=position.chain, chain=chain, last_cmd=entry.id,
        body=body, rules_version=rules_version,
    )  # fmt: skip
    return Position(last, chain, entry.id)


def test_a_log_of_this_release_is_replayed_from_its_start(bus: Bus, tmp_path: Path) -> None:
    core = Engine()
    publish(bus, core, Position(), b"".join(opening()), RULES_VERSION)
    replica = Replica.before(bus, tmp_path)
    assert replica.position == Position()
    replica.advance(bus, bus.head())
    assert replica.engine.state_hash() == core.state_hash()


def test_an_empty_log_has_nothing_of_another_release(bus: Bus, tmp_path: Path) -> None:
    assert Replica.before(bus, tmp_path).position.last_cmd == START


def test_after_an_upgrade_replay_begins_at_the_first_snapshot_of_this_release(bus: Bus, tmp_path: Path) -> None:
    """The old release's events stand in the same log; its rules are not those of this engine."""
    core = Engine()
    handed_over = publish(bus, core, Position(), b"".join(opening()), RULES_VERSION - 1)
    with pytest.raises(EngineUnreachable, match=f"rules version {RULES_VERSION}"):
        Replica.before(bus, tmp_path)
    snapshots.write(tmp_path, core, Engine, handed_over)
    publish(bus, core, handed_over, order(1) + order(2), RULES_VERSION)
    replica = Replica.before(bus, tmp_path)
    assert replica.position.seq == handed_over.seq
    replica.advance(bus, bus.head())
    assert replica.engine.state_hash() == core.state_hash()
