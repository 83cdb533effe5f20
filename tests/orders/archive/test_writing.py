"""What run_archive writes and how far its cursors go; the archive as the log was."""

from itertools import count
from pathlib import Path

import pytest

from apps.common.clock import now_ms
from apps.matching import snapshots
from apps.matching.engine import RULES_VERSION
from apps.orders.archive import policy
from apps.orders.archive.process import READER_COMMANDS, READER_EVENTS
from apps.orders.archive.reader import Archive
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.memory import MemoryBus
from tests.orders.archive.logs import SHARD, Archiving, Log, archived
from tests.orders.live import until


def assert_equal_to_log(archive: Archive, log: Log) -> None:
    commands = [entry for entry in log.bus.read_commands(START, count=10**6) if entry.id <= log.bus.head().cmd]
    assert list(archive.commands(START)) == commands
    assert list(archive.events(0)) == log.bus.read_events(0, count=10**6)


def test_both_streams_and_the_skips_are_in_it_as_they_were(log: Log, directory: Path) -> None:
    log.trade(30)
    poison = log.bus.last_command()
    log.bus.write_skip(f"{poison.ms}-{poison.n}-0", "INTERNAL", epoch=1)
    archived(log, directory)
    archive = Archive(directory)
    assert_equal_to_log(archive, log)
    assert archive.skips() == log.bus.read_skips()
    assert (archive.end().seq, archive.end().chain) == (log.bus.head().seq, log.bus.head().chain)
    assert (archive.end().head_cmd, archive.torn_bytes) == (log.bus.head().cmd, 0)
    assert archive.begin().seq == 0


def test_it_goes_on_where_it_ended(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 6_000)
    monkeypatch.setattr(policy, "BLOCK_BYTES_MAX", 4_000)
    for _ in range(6):
        log.trade(12)
        archived(log, directory)
    archive = Archive(directory)
    assert len(archive.segments) > 2
    assert_equal_to_log(archive, log)
    for entry in log.bus.read_events(0, count=10**6)[::7]:
        assert next(archive.events(entry.last_seq - 1)) == entry
    for command in log.bus.read_commands(START, count=10**6)[:-1:5]:
        assert next(archive.commands(command.id), command).id > command.id


def test_cursors_follow_what_is_durable(log: Log, directory: Path) -> None:
    log.trade(9)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.ends.seq == log.bus.head().seq, "archived")
        cursors = log.bus.cursors()
        end = Archive(directory).end()
        assert (cursors[READER_EVENTS].stream, cursors[READER_EVENTS].position) == ("events", str(end.seq))
        assert (cursors[READER_COMMANDS].stream, cursors[READER_COMMANDS].position) == ("commands", str(end.cmd))
        heartbeat = cursors[READER_EVENTS].heartbeat_ms
        until(lambda: log.bus.cursors()[READER_EVENTS].heartbeat_ms > heartbeat, "a heartbeat without news")
        assert running.process.check().ok
        assert running.process.check().details["bytes_per_day"]


def test_commands_beyond_the_head_wait_until_they_are_final(log: Log, directory: Path) -> None:
    """A command after the head may still be skipped; one that the oldest kept snapshot covers may not."""
    log.tick(5)
    head = log.bus.head()
    archived(log, directory)
    assert Archive(directory).end().cmd == head.cmd
    log.snapshot()
    covered = log.position.last_cmd
    log.tick(3)
    archived(log, directory)
    assert Archive(directory).end().cmd == covered > head.cmd
    assert Archive(directory).end().head_cmd == head.cmd
    assert log.bus.last_command() > covered


def test_a_snapshot_of_another_log_says_nothing_about_what_is_final(directory: Path, tmp_path: Path) -> None:
    """The other one is the same but for its times, a millisecond later, and stands between this one's head and end."""
    began_ms = now_ms()
    log, other = (
        Log(tmp_path / "snapshots", MemoryBus(SHARD, clock_ms=count(began_ms + later_ms).__next__))
        for later_ms in (0, 1)
    )
    for each, ticks in ((other, 5), (log, 9)):
        each.open()
        each.tick(ticks)
    other.snapshot()
    assert other.position.seq == log.position.seq
    assert log.bus.head().cmd < other.position.last_cmd < log.bus.last_command()
    archived(log, directory)
    assert Archive(directory).end().cmd == log.bus.head().cmd


def test_an_archive_that_begins_on_a_trimmed_log_keeps_a_snapshot_to_begin_from(log: Log, directory: Path) -> None:
    log.trade(30)
    log.snapshot()
    oldest = log.position
    log.trade(30)
    log.snapshot()
    log.trade(6)
    log.bus.trim(epoch=1, commands_to=oldest.last_cmd, events_to=oldest.seq - 40)
    archived(log, directory)
    archive = Archive(directory)
    entries = log.bus.read_events(0, count=10**6)
    assert list(archive.events(0)) == entries
    assert archive.begin().seq == entries[0].first_seq - 1 < oldest.seq
    assert archive.begin().cmd == oldest.last_cmd
    assert [(base.seq, base.cmd) for base in archive.bases()] == [(oldest.seq, oldest.last_cmd)]
    assert archive.base_path(archive.bases()[0]).exists()


def test_without_any_snapshot_an_archive_of_a_trimmed_log_does_not_begin(log: Log, directory: Path) -> None:
    log.trade(30)
    log.bus.trim(epoch=1, commands_to=log.position.last_cmd, events_to=0)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert "holds no snapshot from there on" in running.process.explanation
        assert not running.process.check().ok
    assert not Archive(directory).segments


def test_the_first_snapshot_of_each_rules_version_is_kept(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(log, directory)
    first = log.snapshot()
    archived(log, directory)
    log.trade(9)
    log.snapshot()
    archived(log, directory)
    older, newer = RULES_VERSION, RULES_VERSION + 1
    monkeypatch.setattr("apps.matching.engine.Engine.RULES_VERSION", newer)
    log.rules_version = newer
    handover = log.snapshot()
    log.trade(9)
    archived(log, directory)
    archive = Archive(directory)
    assert [base.name for base in archive.bases()] == [f"v{older}-{first.name}", f"v{newer}-{handover.name}"]
    assert [base.rules_version for base in archive.bases()] == [older, newer]
    assert [stretch.rules_version for stretch in archive.stretches()] == [older, newer]
    assert archive.stretches()[1].first_seq == archive.bases()[1].seq + 1


def test_the_hand_over_snapshot_is_kept_although_the_archiver_comes_late(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(log, directory)
    newer = RULES_VERSION + 1
    monkeypatch.setattr("apps.matching.engine.Engine.RULES_VERSION", newer)
    log.rules_version = newer
    handover = log.snapshot()
    boundary = log.position
    snapshots.keep_first_of_version(log.snapshots_dir, boundary, newer)
    for _ in range(4):
        log.trade(9)
        log.snapshot()
    snapshots.prune(log.snapshots_dir)
    assert not handover.exists()
    archived(log, directory)
    bases = Archive(directory).bases()
    assert [(base.rules_version, base.seq) for base in bases] == [(newer, boundary.seq)]


def test_ids_before_an_entry() -> None:
    from apps.orders.archive.source import before

    assert before(EntryId(5, 3)) == EntryId(5, 2)
    assert before(EntryId(5, 0)) == EntryId(4, 2**64 - 1)
    assert before(START) == START
