"""The command log of a simulator run, replayed from empty: the same bytes and the same state hash (S5)."""

import json
import time

import pytest

from apps.matching.engine import Engine
from apps.streams.bus.base import START, CommandEntry, EntryId, EventEntry
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import stamp
from nebannpet.embedded import redis_core
from tests.stack import Stack

pytestmark = pytest.mark.stack


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


def replay_of_a_run(seconds: float) -> None:
    with Stack(SIMULATOR="1") as stack:
        log = LogReader(stack)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            log.read()
            time.sleep(1)  # the length of the run is the point here
        status = json.loads(stack.manage("engine_status", "--json"))
        log.read()
        log.close()
    appended, events = log.commands, log.events
    commands = [entry for entry in appended if entry.id <= events[-1].last_cmd]
    published = b"".join(entry.body for entry in events)
    trades_seen = sum(published[offset + 1] == 4 for offset in range(0, len(published), 192))
    assert trades_seen > seconds / 2, "the simulator hardly traded: this run proves nothing"

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


def test_thirty_seconds_of_the_simulator() -> None:
    replay_of_a_run(30)


@pytest.mark.long
def test_two_minutes_of_the_simulator() -> None:
    replay_of_a_run(120)
