"""redis-core's file damaged, loaded by the real server: it refuses, recovery halts, or the state is the right one."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from apps.matching.engine import Engine
from apps.matching.errors import Halt, LogBehindPostgres
from apps.matching.recovery import recover
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.entries import Position, take
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.errors import BusRefused, LogUnreadable
from apps.streams.bus.redis import RedisBus
from tests.corruption import aof
from tests.corruption.aof import Recording
from tests.corruption.damage import damaged
from tests.corruption.history import NOTHING_SETTLED, finished


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return aof.record(tmp_path_factory.mktemp("recorded"), seed=500)


def outcome(recording: Recording, bus: RedisBus) -> str:
    """'right', 'older' (a true earlier state), 'other tail', 'wrong', or why it was refused.

    'other tail': the published state is right and only the ids of commands that wait, which nothing covers, are not
    what was given.
    """
    try:
        recovered = recover(bus, recording.snapshots, Engine, recording.settled)
    except Halt as halt:
        return halt.reason
    except (LogUnreadable, BusRefused) as refused:
        return type(refused).__name__
    place = (recovered.position.seq, recovered.position.chain)
    if place not in recording.heads:
        return "wrong"
    waiting = [(str(entry.id), entry.frames) for entry in bus.read_commands(recovered.position.last_cmd, count=10**6)]
    sent = list(recording.commands.items())
    after = [command for command in sent if EntryId.parse(command[0]) > recovered.position.last_cmd]
    if place == recording.heads[-1] and waiting == after:
        return "right" if finished(bus, recovered) == recording.state else "wrong"
    if [command for command, _ in waiting] == [command for command, _ in after] and waiting != after:
        return "wrong"
    # Behind what was acknowledged last, where no witness was left: what is there must be a beginning of the truth.
    assert place[0] >= recording.settled.seq
    return "older" if waiting == after[: len(waiting)] else "other tail" if place == recording.heads[-1] else "wrong"


def settlement(recording: Recording, bus: RedisBus) -> str:
    """Of the whole log, as into an empty PostgreSQL: 'right', 'stopped', or 'wrong'."""
    position = Position(0, "", 0)
    try:
        left = bus.read_events(0, count=10**6)
        while left:
            batch, taken = take(left, position, events_max=500)
            if any(recording.bodies.get(entry.first_seq) != entry.body for entry in left[:taken]):
                return "wrong"
            position, left = Position(batch.to_seq, batch.chain, batch.epoch), left[taken:]
    except (SettlementStopped, LogUnreadable):
        return "stopped"
    return "right"


def serve_damaged(recording: Recording, directory: Path, count: int, seed: int) -> None:
    random, seen = Random(seed), Counter[tuple[str, str]]()
    for number in range(count):
        what, content = damaged(recording.content, random)
        with aof.served(content, directory) as bus:
            if bus is None:
                seen["server refused", ""] += 1
                continue
            state, record = outcome(recording, bus), settlement(recording, bus)
            seen[state, record] += 1
            assert "wrong" not in (state, record), f"seed {seed}, case {number}: {what}: {state}, settlement {record}"
    for (state, record), times in seen.most_common():
        print(f"{times:5} {state} {record}")
    assert seen["server refused", ""]


def test_damaged_files_a_sample(recording: Recording, tmp_path: Path) -> None:
    serve_damaged(recording, tmp_path / "served", 12, seed=51)


@pytest.mark.long
def test_five_hundred_damaged_files(recording: Recording, tmp_path: Path) -> None:
    serve_damaged(recording, tmp_path / "served", 500, seed=52)


def test_the_whole_file_gives_the_whole_state(recording: Recording, tmp_path: Path) -> None:
    with aof.served(recording.content, tmp_path / "served") as bus:
        assert bus is not None
        assert (outcome(recording, bus), settlement(recording, bus)) == ("right", "right")


@pytest.mark.parametrize("content", [None, b""], ids=["deleted", "emptied"])
def test_fault_f7_a_lost_file_halts_because_postgres_and_the_snapshots_know_better(
    recording: Recording, tmp_path: Path, content: bytes | None
) -> None:
    with aof.served(content or b"", tmp_path / "served") as bus:
        assert bus is not None
        if content is None:
            assert bus.last_command() == START
        with pytest.raises(LogBehindPostgres):
            recover(bus, recording.snapshots, Engine, recording.settled)
        assert outcome(recording, bus) == "log-behind-postgres"


def test_fault_f8_an_older_copy_halts(recording: Recording, tmp_path: Path) -> None:
    with aof.served(recording.content[: len(recording.content) // 2], tmp_path / "served") as bus:
        assert bus is not None
        assert outcome(recording, bus) == "log-behind-postgres"
        with pytest.raises(Halt) as halted:
            recover(bus, recording.snapshots, Engine, NOTHING_SETTLED)
        assert halted.value.reason == "log-behind-snapshot"


def test_a_flipped_byte_in_an_event_that_is_not_settled_yet_stops_settlement(
    recording: Recording, tmp_path: Path
) -> None:
    """The server loads it happily; the entry's chain does not."""
    entries = sorted(recording.bodies)
    body = recording.bodies[entries[len(entries) // 3]]
    at = recording.content.index(body) + len(body) - 20
    content = bytearray(recording.content)
    content[at] ^= 1
    with aof.served(bytes(content), tmp_path / "served") as bus:
        assert bus is not None
        assert settlement(recording, bus) == "stopped"
        assert outcome(recording, bus) == "right", "recovery starts after it, from a snapshot"
