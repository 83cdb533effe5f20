"""kill -9 of the archiver at named points and at random moments, under a log that goes on and is trimmed behind it."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkProcess
from pathlib import Path
from random import Random

import pytest
import redis

from apps.common import crashpoints
from apps.matching.trimming import trim
from apps.orders.archive import policy
from apps.orders.archive.process import READER_COMMANDS, READER_EVENTS, ArchiveProcess
from apps.orders.archive.reader import Archive
from apps.orders.archive.verifying import verify_archive
from apps.streams.bus.base import START, CommandEntry, EntryId, EventEntry
from apps.streams.bus.redis import RedisBus
from tests.orders.archive.logs import SHARD, Log
from tests.orders.live import until

POINTS = ("archive.write.before", "archive.write.after", "archive.cursor.before")
SEED = 4


class Killed:
    """A log on a real redis-core, an archiver in a process of its own, and this test's own copy of what was written."""

    def __init__(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "FLUSH_EVERY_S", 0.005)
        monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 20_000)
        monkeypatch.setattr("apps.matching.trimming.EVENTS_KEPT", 50)
        self.url = url
        self.log = Log(tmp_path / "snapshots" / SHARD, bus=RedisBus(url, SHARD))
        self.directory = tmp_path / "archive" / SHARD
        self.plan = tmp_path / "plan"
        self.commands: list[CommandEntry] = []
        self.events: list[EventEntry] = []
        self.log.bus.set_cursor("settlement", stream="events", position=str(10**12), now_ms=0)
        self.log.open()

    @contextmanager
    def archiver(self, point: str = "") -> Iterator[ForkProcess]:
        """With `point` it dies there by itself; else it is killed at the end of the block."""
        self.plan.write_text(point and f"{point}:2")
        child = multiprocessing.get_context("fork").Process(target=self._archive, daemon=True)
        child.start()
        try:
            yield child
        finally:
            child.kill()
            child.join(60)

    def _archive(self) -> None:
        os.environ[crashpoints.VARIABLE] = str(self.plan)
        crashpoints._passes_left.update(crashpoints._armed())
        ArchiveProcess(
            shard=SHARD, open_bus=lambda: RedisBus(self.url, SHARD), directory=self.directory,
            snapshots_dir=self.log.snapshots_dir, stop=threading.Event(),
        ).run()  # fmt: skip

    def go_on(self) -> None:
        """Trade, remember what was written, snapshot, and trim as the worker does."""
        self.log.trade(3)
        self.log.poison()
        bus = self.log.bus
        self.events += bus.read_events(self.events[-1].last_seq if self.events else 0, count=10**6)
        self.commands += bus.read_commands(self.commands[-1].id if self.commands else START, count=10**6)
        position = self.log.position
        trim(bus, epoch=1, oldest_snapshot=(position.seq, position.last_cmd), now_ms=0)

    def judge(self) -> None:
        """Nothing was trimmed that is not archived, and the archive is what was written."""
        cursors, end = self.log.bus.cursors(), Archive(self.directory).end()
        assert int(cursors[READER_EVENTS].position) <= end.seq
        assert EntryId.parse(cursors[READER_COMMANDS].position) <= end.cmd
        trimmed = self.log.bus.trimmed()
        assert trimmed.seq <= end.seq
        assert trimmed.cmd <= end.cmd
        archived = Archive(self.directory)
        events, commands = list(archived.events(0)), list(archived.commands(START))
        assert events == self.events[: len(events)]
        assert commands == self.commands[: len(commands)]
        assert verify_archive(self.directory).wrong == ""


@pytest.fixture
def killed(core: redis.Redis, redis_core_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Killed]:
    made = Killed(redis_core_url, tmp_path, monkeypatch)
    yield made
    made.log.bus.close()


def survived(killed: Killed, kills: int, seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    for number in range(kills):
        point = POINTS[number % len(POINTS)] if number % 2 else ""
        with killed.archiver(point) as child:
            if point:
                until(lambda: killed.go_on() or not child.is_alive(), f"it dies at {point}")  # type: ignore[func-returns-value]
            else:
                until(lambda: READER_EVENTS in killed.log.bus.cursors(), "it has begun")
                ends_at = time.monotonic() + random.random() * 0.15
                while time.monotonic() < ends_at:
                    killed.go_on()
        killed.judge()
    with killed.archiver():
        until(lambda: killed.go_on() or len(Archive(killed.directory).segments) > 1, "a second segment")  # type: ignore[func-returns-value]
        head = killed.log.bus.head()
        until(lambda: int(killed.log.bus.cursors()[READER_EVENTS].position) == head.seq, "everything archived")
    killed.judge()
    archive = Archive(killed.directory)
    assert list(archive.events(0)) == killed.events
    assert [entry.id for entry in archive.commands(START)] == [entry.id for entry in killed.commands]
    assert archive.skips() == killed.log.bus.read_skips()
    assert killed.log.bus.trimmed().seq > 0


def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(killed: Killed) -> None:
    survived(killed, kills=12, seed=SEED)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_killed_two_hundred_times(killed: Killed, seed: int) -> None:
    survived(killed, kills=200, seed=seed)
