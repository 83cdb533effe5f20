"""The command log of a simulator run, replayed from empty: the same bytes and the same state hash (S5); its archive is
whole, joins the live log, and replays to the live state.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from apps.matching import snapshots
from apps.matching.engine import Engine
from apps.orders.archive import segments
from apps.orders.archive.log import ArchivedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.replaying import replay_archive, replay_live
from apps.orders.archive.verifying import verify_archive
from apps.streams.bus.base import START, CommandEntry, EntryId, EventEntry
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import stamp
from apps.streams.kinds import EventKind
from nebannpet.embedded import redis_core
from nebannpet.health import ask_health
from tests.stack import TRADING, Stack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Just started, for the first test."""
    with Stack(SIMULATOR="1", PROCESSES=f"{TRADING},archive,simulator") as running:
        yield running


def stamped(entry: CommandEntry) -> bytes:
    frames = bytearray(entry.frames)
    stamp(frames, entry.id.ms, entry.id.n)
    return bytes(frames)


class LogReader:
    """Follows the log while the exchange runs: the worker trims commands once it has enough snapshots."""

    def __init__(self, stack: Stack) -> None:
        self._bus = RedisBus(redis_core(stack.paths).url, "spot")
        self.commands: list[CommandEntry] = []
        self.events: list[EventEntry] = []

    def read(self) -> None:
        """What is new: every event durable by now, then every command, so none of the events' is missing."""
        seen = self.events[-1].last_seq if self.events else 0
        self.events += self._bus.read_events(seen, count=10_000_000)
        self.commands += self._bus.read_commands(self.commands[-1].id if self.commands else START, count=10_000_000)

    def close(self) -> None:
        self._bus.close()


def trades_in(events: list[EventEntry]) -> int:
    return sum(
        entry.body[offset + 1] == EventKind.TRADE for entry in events for offset in range(0, len(entry.body), 192)
    )


@pytest.mark.parametrize("trades", [30, pytest.param(300, marks=pytest.mark.long)])
def test_a_run_of_the_simulator_is_replayed_from_empty(stack: Stack, trades: int) -> None:
    """A run with at least so many."""
    log = LogReader(stack)
    deadline = time.monotonic() + 20 * trades
    while trades_in(log.events) < trades:
        assert time.monotonic() < deadline, f"the simulator hardly trades: {trades_in(log.events)} trades"
        log.read()
        time.sleep(0.2)
    status = json.loads(stack.manage("engine_status", "--json"))
    log.read()
    log.close()
    appended, events = log.commands, log.events
    commands = [entry for entry in appended if entry.id <= events[-1].last_cmd]
    published = b"".join(entry.body for entry in events)

    batched, single = Engine(), Engine()
    assert b"".join(batched.process(stamped(entry)) for entry in commands) == published
    assert single.process(b"".join(stamped(entry) for entry in commands)) == published
    assert batched.state_hash() == single.state_hash()

    # The state may stand at a command without events, later than the last event.
    live = Engine()
    applied = [entry for entry in appended if entry.id <= EntryId.parse(status["state_command"])]
    assert str(applied[-1].id) == status["state_command"]
    for entry in applied:
        live.process(stamped(entry))
    assert (live.seq, live.state_hash()) == (status["state_seq"], status["state_hash"])


def test_the_archive_of_a_running_exchange(stack: Stack) -> None:
    """It is stopped here, so that the archive has the last event."""
    directory = segments.shard_dir(stack.data_dir, "spot")
    assert ask_health(stack.paths.health_socket("archive"))[1]["state"] == "archiving"
    stack.kill("archive")
    stack.wait_ready("archive")
    status = json.loads(stack.manage("engine_status", "--json"))
    assert {"archive-commands", "archive-events"} <= {reader["name"] for reader in status["readers"]}
    with closing(RedisBus(redis_core(stack.paths).url, "spot")) as bus:
        through = EntryId.parse(status["state_command"])
        live = replay_live(bus, snapshots.shard_dir(stack.data_dir, "spot"), status["state_seq"], through)
    assert live.state_hash == status["state_hash"]
    said = stack.manage("verify_log")
    assert said.endswith("whole\n"), said
    assert " event entries are in both and equal" in said
    stack.stop_processes()
    assert verify_archive(directory).wrong == ""
    archived = replay_archive(ArchivedLog(Archive(directory)))
    assert archived.seq >= live.seq > 0
    # The archiver stops after the worker, so that it sees the last event.
    newest = snapshots.newest(snapshots.shard_dir(stack.data_dir, "spot"))
    assert newest is not None
    assert (archived.seq, archived.chain) == (newest.seq, newest.chain)
