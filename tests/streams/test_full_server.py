"""redis-core at maxmemory: new commands are refused, and everything that makes room or decides who writes passes.

On a server that is really full, because a script is judged by the memory in use when it starts.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.common.hashchain import extend
from apps.streams.bus.base import START, EntryId, FrameCount, Trimmed
from apps.streams.bus.errors import BusRefused, Fenced, Gap
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from tests.streams.redis_server import RedisServer, running_redis

TICKS = encode_command(Tick()) * 64
BODY = b"e" * 4096
FULL = "used memory > 'maxmemory'"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "small", maxmemory="6mb") as small:
        yield small


class Full:
    """A log of events 1-8 and of as many commands as fit, at epoch 1."""

    def __init__(self, server: RedisServer, bus: RedisBus) -> None:
        self.bus = bus
        self.chain = ""
        self.seq = 0
        self.commands: list[EntryId] = []
        bus.raise_epoch(1)
        bus.take_lease("a", ttl_ms=60_000)
        for _ in range(8):
            self.append_event()
        with pytest.raises(BusRefused, match=FULL):
            while True:
                self.commands.append(bus.append_commands(TICKS))
        assert len(self.commands) > 100
        # Not a few bytes short of the limit, where a small command still fits, but beyond it.
        with server.client() as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] - 300_000)

    def append_event(self, *, epoch: int = 1, prev: str | None = None) -> None:
        before = self.chain if prev is None else prev
        seq = self.seq + 1
        chain = extend(before, seq, seq, BODY)
        self.bus.append_events(
            epoch=epoch, first_seq=seq, last_seq=seq, prev_chain=before, chain=chain, last_cmd=START, body=BODY,
            rules_version=1,
            frames_done=seq,
        )  # fmt: skip
        self.seq, self.chain = seq, chain


@pytest.fixture
def full(server: RedisServer) -> Iterator[Full]:
    bus = RedisBus(server.url, "spot")
    yield Full(server, bus)
    bus.close()


def test_new_commands_are_refused_and_nothing_happened(full: Full) -> None:
    before = full.bus.frame_count()
    with pytest.raises(BusRefused, match=FULL):
        full.bus.append_commands(TICKS)
    assert full.bus.last_command() == full.commands[-1]
    assert full.bus.frame_count() == before


def test_the_workers_own_commands_pass_and_are_counted(full: Full) -> None:
    before = full.bus.frame_count()
    entry = full.bus.append_commands(TICKS[:128], also_when_full=True)
    assert full.bus.last_command() == entry > full.commands[-1]
    assert full.bus.frame_count() == FrameCount(before.appended + 1, before.done)


def test_trimming_makes_room(full: Full) -> None:
    """Its first step stores what goes, which needs memory: that must not keep the rest from going."""
    half = full.commands[len(full.commands) // 2]
    assert full.bus.trim(epoch=1, commands_to=half, events_to=3) == Trimmed(half, 3)
    assert full.bus.trimmed() == Trimmed(half, 3)
    assert full.bus.read_commands(START, count=1)[0].id > half
    full.bus.append_commands(TICKS)


def test_the_engine_finishes_what_is_in(full: Full) -> None:
    full.append_event()
    assert full.bus.head().seq == 9
    assert full.bus.frame_count().done == 9
    full.bus.set_frames_done(10, epoch=1)
    assert full.bus.frame_count().done == 10


def test_a_takeover_works(full: Full) -> None:
    bus = full.bus
    assert bus.take_lease("a", ttl_ms=60_000)
    assert not bus.take_lease("b", ttl_ms=60_000)
    bus.release_lease("a")
    assert bus.take_lease("b", ttl_ms=60_000)
    assert bus.raise_epoch(2)
    bus.write_skip("1-0-0", "INTERNAL", epoch=2)
    assert bus.read_skips() == {"1-0-0": "INTERNAL"}
    assert bus.recount_frames(5, after=full.commands[-2], epoch=2) == FrameCount(5 + 64, 5)
    full.append_event(epoch=2)


def test_readers_move_on(full: Full) -> None:
    """Trimming stops at the slowest reader, so a reader that could not move would keep the server full for ever."""
    bus = full.bus
    bus.set_cursor("settlement", stream="events", position="8", now_ms=1)
    assert bus.cursors()["settlement"].position == "8"
    bus.announce_settled(8)
    assert bus.settled() == 8
    bus.report_disk(7, ttl_ms=60_000)
    assert bus.disk_free() == 7
    bus.drop_cursor("settlement")
    assert bus.cursors() == {}


def test_the_fence_stays(full: Full) -> None:
    full.bus.raise_epoch(2)
    with pytest.raises(Fenced):
        full.append_event(epoch=1)
    with pytest.raises(Fenced):
        full.bus.trim(epoch=1, commands_to=full.commands[0], events_to=1)
    with pytest.raises(Gap):
        full.append_event(epoch=2, prev="wrong")
    assert full.bus.head().seq == 8


def test_the_log_of_a_full_server_is_whole_after_a_restart(tmp_path: Path) -> None:
    """What was let through at the limit is in the append-only file like everything else."""
    with running_redis(tmp_path / "again", maxmemory="6mb") as server:
        bus = RedisBus(server.url, "spot")
        full = Full(server, bus)
        full.append_event()
        bus.trim(epoch=1, commands_to=full.commands[3], events_to=2)
        head, first = bus.head(), bus.read_commands(START, count=1)[0].id
        bus.close()
    with running_redis(tmp_path / "again", maxmemory="6mb") as server:
        bus = RedisBus(server.url, "spot")
        assert (bus.head(), bus.trimmed(), bus.epoch()) == (head, Trimmed(full.commands[3], 2), 1)
        assert bus.read_commands(START, count=1)[0].id == first
        bus.close()
