"""A disk that refuses, and a redis-core that is away: the archive waits, loses nothing and goes on."""

import errno
import os
from pathlib import Path

import pytest

from apps.orders.archive import policy
from apps.orders.archive.process import READER_EVENTS
from apps.orders.archive.reader import Archive
from apps.orders.archive.verifying import verify_archive
from apps.streams.bus.errors import BusAway
from apps.streams.bus.memory import MemoryBus
from tests.orders.archive.logs import Archiving, Log, archived
from tests.orders.live import until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "BACK_OFF_FIRST_S", 0.01)
    monkeypatch.setattr(policy, "BACK_OFF_LAST_S", 0.02)
    monkeypatch.setattr(policy, "FLUSH_EVERY_S", 0.01)


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_or_failing_disk_is_waited_for(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Half a write, then 'no space'; or an fsync that fails, after which the pages must be written afresh."""
    archived(log, directory)
    durable = Archive(directory).end()
    size = Archive(directory).segments[-1].path.stat().st_size
    real, refused, written = getattr(os, call), [False], []

    def refusing(descriptor: int, *args: object) -> object:
        if not refused[0]:
            written.append(args)
            return real(descriptor, *args)
        if call == "pwrite":
            real(descriptor, bytes(args[0])[:20], args[1])  # type: ignore[call-overload, index]
        raise OSError(errno.ENOSPC, "No space left on device")

    rounds_at: list[int] = []
    pwrite = os.pwrite

    def counted(descriptor: int, data: bytes, offset: int) -> int:
        rounds_at.append(offset)
        return pwrite(descriptor, data, offset)

    real = counted if call == "pwrite" else real
    monkeypatch.setattr("apps.orders.archive.writer.os.pwrite", counted)
    monkeypatch.setattr(f"apps.orders.archive.writer.os.{call}", refusing)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "archiving", "at work")
        refused[0] = True
        log.trade(9)
        until(lambda: running.process.status == "the disk refuses", "it says so")
        assert "No space left" in running.process.explanation
        assert not running.process.check().ok
        assert log.bus.cursors()[READER_EVENTS].position == str(durable.seq)
        refused[0] = False
        until(lambda: running.process.ends.seq == log.bus.head().seq, "it goes on")
        assert running.process.check().ok
    assert written
    if call == "fsync":  # the round was written once before the failure and once after it
        assert rounds_at.count(size) >= 2
    assert Archive(directory).segments[-1].path.stat().st_size > size
    assert verify_archive(directory).wrong == ""
    assert list(Archive(directory).events(0)) == log.bus.read_events(0, count=10**6)


def test_a_segment_that_could_not_be_opened_is_opened_later(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 100)
    archived(log, directory)
    real, refused = os.pwrite, [True]

    def refusing(descriptor: int, data: bytes, offset: int) -> int:
        if refused[0] and offset == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data, offset)

    log.trade(3)
    monkeypatch.setattr("apps.orders.archive.writer.os.pwrite", refusing)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "the disk refuses", "it says so")
        refused[0] = False
        until(lambda: running.process.ends.seq == log.bus.head().seq, "it goes on")
    assert verify_archive(directory).wrong == ""


def test_a_redis_core_that_is_away_is_waited_for(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = [False]
    real = MemoryBus.head

    def head(self: MemoryBus) -> object:
        if away[0]:
            raise BusAway("gone")
        return real(self)

    monkeypatch.setattr(MemoryBus, "head", head)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "archiving", "at work")
        away[0] = True
        until(lambda: running.process.status == "waiting for redis-core", "it says so")
        assert not running.process.check().ok
        away[0] = False
        log.trade(9)
        until(lambda: running.process.ends.seq == log.bus.head().seq, "it goes on")
    assert verify_archive(directory).wrong == ""
