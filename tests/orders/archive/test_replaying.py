"""Any state of the past, made again from the archive or the log, and compared."""

import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.core.management import CommandError, call_command

from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.errors import Halt
from apps.matching.replay import replay
from apps.matching.skips import Skips
from apps.orders.archive import policy, verifying
from apps.orders.archive.errors import ArchiveDamaged, ReplayRefused
from apps.orders.archive.log import ArchivedLog, JoinedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.replaying import replay_archive, replay_live
from apps.orders.archive.verifying import verify_archive, verify_live
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.errors import LogUnreadable
from tests.orders.archive.logs import Log, archived


def archive_of(directory: Path) -> ArchivedLog:
    return ArchivedLog(Archive(directory))


def test_the_end_of_the_archive_has_the_live_state(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 4_000)
    for _ in range(3):
        log.trade(12)
        log.poison()
        archived(log, directory)
    for found in (replay_archive(archive_of(directory)), replay_live(log.bus, log.snapshots_dir)):
        assert (found.start_seq, found.seq, found.chain) == (0, log.position.seq, log.position.chain)
        assert found.state_hash == log.engine.state_hash()
        assert found.rules_version == RULES_VERSION


def test_every_sequence_number_can_be_asked_for(log: Log, directory: Path) -> None:
    """Within an entry too: the state after the whole command that made the event."""
    log.trade(3)
    log.poison()
    log.trade(3)
    archived(log, directory)
    entries = {entry.last_seq: entry for entry in log.bus.read_events(0, count=10**6)}
    hashes = {}
    for seq in range(log.position.seq + 1):
        found = replay_archive(archive_of(directory), seq)
        assert found.seq >= seq
        assert found.chain_seq <= found.seq
        if seq in entries:
            assert (found.seq, found.chain) == (seq, entries[seq].chain)
        assert hashes.setdefault(found.seq, found.state_hash) == found.state_hash
    assert hashes[log.position.seq] == log.engine.state_hash()
    assert hashes[0] == Engine().state_hash()
    assert len(hashes) > len(entries) + 1


def test_on_to_where_a_snapshot_stands(log: Log, directory: Path) -> None:
    """Ticks give no events and move the engine's clock: the state hash is another one."""
    log.trade(6)
    before = log.engine.state_hash()
    time.sleep(0.002)
    log.tick(3)
    log.snapshot()
    archived(log, directory)
    through = log.position.last_cmd
    assert log.engine.state_hash() != before
    for replayed in (
        lambda *wanted: replay_archive(archive_of(directory), *wanted),
        lambda *wanted: replay_live(log.bus, log.snapshots_dir, *wanted),
    ):
        assert replayed(None).state_hash == before
        assert replayed(None, through).state_hash == log.engine.state_hash()
        for wanted in (EntryId(through.ms + 9, 0), EntryId(1, 0)):
            with pytest.raises(ReplayRefused, match=f"command entry {wanted}"):
                replayed(None, wanted)
        with pytest.raises(ReplayRefused, match="without events"):
            replayed(log.position.seq - 9, through)


def test_from_a_base_where_the_archive_begins_later(log: Log, directory: Path) -> None:
    log.trade(30)
    log.snapshot()
    base = log.position
    log.trade(12)
    log.bus.trim(epoch=1, commands_to=base.last_cmd, events_to=base.seq - 30)
    archived(log, directory)
    found = replay_archive(archive_of(directory))
    assert (found.start_seq, found.seq, found.state_hash) == (base.seq, log.position.seq, log.engine.state_hash())
    live = replay_live(log.bus, log.snapshots_dir)
    assert (live.start_seq, live.state_hash) == (base.seq, found.state_hash)
    assert replay_archive(archive_of(directory), base.seq).seq == base.seq
    for replayed in (
        lambda: replay_archive(archive_of(directory), base.seq - 1),
        lambda: replay_live(log.bus, log.snapshots_dir, base.seq - 1),
    ):
        with pytest.raises(ReplayRefused, match="snapshot"):
            replayed()


def test_each_rules_version_has_its_own_stretch(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older, newer = RULES_VERSION, RULES_VERSION + 1
    log.trade(12)
    archived(log, directory)
    boundary = log.position.seq
    monkeypatch.setattr("apps.matching.engine.Engine.RULES_VERSION", newer)
    log.rules_version = newer
    log.snapshot()
    archived(log, directory)
    log.trade(12)
    archived(log, directory)
    end = log.position.seq
    with pytest.raises(ReplayRefused, match=f"events {boundary + 1} to {end} were made by rules version {newer}"):
        replay_archive(archive_of(directory))
    assert replay_archive(archive_of(directory), boundary).start_seq == 0
    monkeypatch.setattr("apps.orders.archive.replaying.RULES_VERSION", newer)
    found = replay_archive(archive_of(directory))
    assert (found.start_seq, found.seq, found.state_hash) == (boundary, end, log.engine.state_hash())
    with pytest.raises(ReplayRefused, match=f"events 1 to {boundary} were made by rules version {older}"):
        replay_archive(archive_of(directory), 5)
    assert replay_archive(archive_of(directory), boundary + 1).start_seq == boundary


def test_what_is_not_there_is_refused(log: Log, directory: Path) -> None:
    archived(log, directory)
    end = log.position.seq
    for wanted in (-1, end + 1):
        with pytest.raises(ReplayRefused, match=f"event {wanted} is not in"):
            replay_archive(archive_of(directory), wanted)
        with pytest.raises(ReplayRefused, match=f"event {wanted} is not in"):
            replay_live(log.bus, log.snapshots_dir, wanted)
    with pytest.raises(ArchiveDamaged, match="there is no archive"):
        replay_archive(archive_of(directory / "elsewhere"))


def test_recovery_replays_from_the_archive_as_from_the_log(log: Log, directory: Path) -> None:
    log.trade(20)
    archived(log, directory)
    log.trade(20)
    for readable in (archive_of(directory), JoinedLog(Archive(directory), log.bus), log.bus):
        engine = Engine()
        position = replay(readable, engine, Position(), readable.head(), Skips(), RULES_VERSION)  # type: ignore[arg-type]
        assert (position.seq, position.chain) == (readable.head().seq, readable.head().chain)
        assert readable.chain_at(0) == ""
        for entry in readable.read_events(0, count=3):
            assert readable.chain_at(entry.last_seq) == entry.chain
        assert readable.read_commands(START, count=4) == log.bus.read_commands(START, count=4)
    assert archive_of(directory).trimmed() == log.bus.trimmed()


def test_an_engine_that_was_changed_is_noticed(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.trade(12)
    archived(log, directory)
    real = Engine.process
    monkeypatch.setattr(Engine, "process", lambda self, frames: real(self, frames).replace(b"\x01\x05", b"\x01\x06"))
    with pytest.raises(Halt):
        replay_archive(archive_of(directory))


# -- the live log beside it -------------------------------------------------------------------------------------------
def verified(log: Log, directory: Path) -> str:
    result = verify_archive(directory)
    assert result.wrong == ""
    verify_live(directory, log.bus, result)
    return result.wrong


def test_the_live_log_goes_on_from_the_archive(log: Log, directory: Path) -> None:
    log.trade(12)
    archived(log, directory)
    log.trade(12)
    result = verify_archive(directory)
    verify_live(directory, log.bus, result)
    assert result.wrong == ""
    assert result.counts.overlap_event_entries == result.counts.event_entries
    assert result.counts.overlap_command_entries == result.counts.command_entries
    assert result.counts.live_events == log.position.seq - result.last_seq > 0
    log.bus.trim(epoch=1, commands_to=log.position.last_cmd, events_to=result.last_seq - 1)
    assert "it was trimmed without the archive" in verified(log, directory)


def test_an_archive_that_grows_meanwhile_differs_in_nothing(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.trade(12)
    archived(log, directory)
    result = verify_archive(directory)
    before = result.counts
    for compare in (verifying._compare_events, verifying._compare_commands):

        def grows_first(*arguments: Any, compare: Any = compare) -> None:
            log.trade(12)
            archived(log, directory)
            compare(*arguments)

        monkeypatch.setattr(verifying, compare.__name__, grows_first)
    verify_live(directory, log.bus, result)
    assert result.wrong == ""
    assert before.overlap_event_entries == before.event_entries
    assert before.overlap_command_entries == before.command_entries


def test_differences_between_archive_and_live_log_are_named(log: Log, directory: Path) -> None:
    log.trade(12)
    archived(log, directory)
    inner: Any = log.bus._log  # type: ignore[attr-defined]
    events, commands = list(inner.events), list(inner.commands)
    del inner.events[2]
    assert f"event entry that ends at {events[2].last_seq} of the archive is missing" in verified(log, directory)
    inner.events = list(events)
    inner.commands[3] = type(commands[3])(commands[3].id, commands[3].frames[:-1] + b"\x07")
    assert f"command entry {commands[3].id} is another one" in verified(log, directory)
    inner.commands = [entry for entry in commands if entry is not commands[5]]
    assert f"command entry {commands[5].id} of the archive is missing" in verified(log, directory)
    inner.commands = list(commands)
    assert verified(log, directory) == ""
    log.bus.write_skip(f"{commands[1].id}-0", "INTERNAL", epoch=1)
    assert "is missing in the archive, which has the command" in verified(log, directory)
    inner.skips.clear()
    log.bus.set_cursor("archive-events", stream="events", position=str(log.position.seq + 1), now_ms=1)
    assert "segments were removed, cut or damaged" in verified(log, directory)
    log.bus.drop_cursor("archive-events")
    assert "redis-core knows of no archive" in verified(log, directory)


# -- commands ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def at_hand(log: Log, directory: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Log:
    """The commands of manage.py find this log and its archive."""
    log.trade(12)
    archived(log, directory)
    settings.DATA_DIR = directory.parents[1]
    for command in ("verify_log", "replay"):
        monkeypatch.setattr(f"apps.orders.management.commands.{command}.RedisBus", lambda *_: log.bus)
    return log


def _unreadable(*_: object, **__: object) -> NoReturn:
    raise LogUnreadable("entry 1-0 does not match its checksum")


def test_the_commands_print_what_they_found(
    at_hand: Log, directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = f"seq {at_hand.position.seq} state hash {at_hand.engine.state_hash()}\n"
    for arguments in (("--from", "archive"), ("--from", "log"), ()):
        call_command("replay", *arguments)
        assert capsys.readouterr().out.endswith(state)
    call_command("replay", "--to", "7")
    assert "stand within an entry" in capsys.readouterr().out
    call_command("replay", "--json")
    assert at_hand.engine.state_hash() in capsys.readouterr().out
    call_command("verify_log")
    assert capsys.readouterr().out.endswith("are not archived yet\nwhole\n")
    call_command("verify_log", "--archive-only", "--json")
    assert '"whole": true' in capsys.readouterr().out
    with monkeypatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.setattr(at_hand.bus, "read_commands", _unreadable)
        call_command("verify_log")
    assert ended.value.code == 1
    assert "NOT WHOLE: the live log is damaged (the archive by itself is whole): entry 1-0" in capsys.readouterr().out
    with pytest.raises(CommandError, match="event 99999 is not in this archive"):
        call_command("replay", "--to", "99999")
    with pytest.raises(CommandError, match="--through takes a command entry's id"):
        call_command("replay", "--through", "yesterday")
    segment = Archive(directory).segments[0].path
    segment.write_bytes(segment.read_bytes()[:300] + b"?" + segment.read_bytes()[301:])
    with pytest.raises(SystemExit) as ended:
        call_command("verify_log")
    assert ended.value.code == 1
    assert "NOT WHOLE: segment 0000000001.segment, block" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"segment 0000000001\.segment, block"):
        call_command("replay")
