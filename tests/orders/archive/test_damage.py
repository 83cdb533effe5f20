"""An archive that was cut, changed, reordered or exchanged: named with its place, never read as something else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from apps.orders.archive import policy
from apps.orders.archive.blocks import HEADER_SIZE, BlockKind, read_blocks
from apps.orders.archive.errors import ArchiveDamaged
from apps.orders.archive.process import READER_COMMANDS, READER_EVENTS
from apps.orders.archive.reader import Archive
from apps.orders.archive.segments import segment_path
from apps.orders.archive.verifying import verify_archive
from apps.streams.bus.base import START, EntryId
from tests.orders.archive.logs import Archiving, Log, archived
from tests.orders.live import until

SEED = 20261121


@pytest.fixture
def segments(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files of an archive in several segments, with a skip and a base snapshot."""
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 5_000)
    monkeypatch.setattr(policy, "BLOCK_BYTES_MAX", 3_000)
    last = log.bus.last_command()
    log.bus.write_skip(f"{last.ms}-{last.n}-9", "INTERNAL", epoch=1)
    log.snapshot()
    for _ in range(4):
        log.trade(9)
        archived(log, directory)
    found = [segment.path for segment in Archive(directory).segments]
    assert len(found) >= 3
    return found


def wrong(directory: Path) -> str:
    return verify_archive(directory).wrong


def test_a_whole_archive_is_found_whole(log: Log, directory: Path, segments: list[Path]) -> None:
    result = verify_archive(directory)
    assert result.wrong == ""
    assert (result.first_seq, result.last_seq, result.chain) == (1, log.bus.head().seq, log.bus.head().chain)
    assert result.counts.segments == len(segments)
    assert result.counts.bases == 1
    assert result.counts.skips == 1
    assert result.counts.trades > 0
    assert result.counts.event_entries == len(log.bus.read_events(0, count=10**6))


@pytest.mark.parametrize("in_a_new_segment", [False, True])
def test_torn_at_every_byte_of_the_last_round(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch, in_a_new_segment: bool
) -> None:
    """The archiver goes on from the last whole block as long as the cursors do not say that more was durable."""
    archived(log, directory)
    before, first = Archive(directory).end(), segment_path(directory, 1)
    size_max, start = (0, 0) if in_a_new_segment else (2**20, first.stat().st_size)
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", size_max)
    log.trade(1, per_entry=3)
    archived(log, directory)
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 2**20)
    path = Archive(directory).segments[-1].path
    assert (path == first) is not in_a_new_segment
    whole = path.read_bytes()
    assert len(whole) > start + HEADER_SIZE
    ends = [block.end for block in read_blocks(path)]
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        archive = Archive(directory)
        kept = max((end for end in ends if end <= size), default=0)
        assert archive.torn_bytes == size - kept
        if size % 16 == 0 or kept == size:
            assert wrong(directory) == ""
        if kept in (0, start):
            assert archive.end() == before
    # Every byte is read above; that the archiver goes on is shown for some of them, and for a tail of rubbish.
    for tail in (whole[start:-1], whole[start : start + HEADER_SIZE - 3], bytes(500), Random(SEED).randbytes(300)):
        path.write_bytes(whole[:start] + tail)
        log.bus.set_cursor(READER_EVENTS, stream="events", position=str(before.seq), now_ms=1)
        log.bus.set_cursor(READER_COMMANDS, stream="commands", position=str(before.cmd), now_ms=1)
        archived(log, directory)
        assert Archive(directory).end().seq == log.bus.head().seq
        assert wrong(directory) == ""


def test_a_cut_that_lost_what_was_durable_stops_the_archiver(log: Log, directory: Path, segments: list[Path]) -> None:
    whole = segments[-1].read_bytes()
    for damaged in (whole[:-1], whole[:-40] + bytes(40), whole[: HEADER_SIZE // 2]):
        segments[-1].write_bytes(damaged)
        with Archiving(log.bus, directory, log.snapshots_dir) as running:
            until(lambda: running.process.status == "stopped", "it says why")
            assert not running.process.check().ok
            assert "Nothing was changed" in running.process.explanation
        assert segments[-1].read_bytes() == damaged


def test_a_flipped_bit_anywhere_is_named(directory: Path, segments: list[Path]) -> None:
    """Every kind of place: magic, headers, payloads; in closed segments and in the last one."""
    random = Random(SEED)
    print(f"seed {SEED}")
    for path in segments:
        whole = path.read_bytes()
        places = [random.randrange(len(whole)) for _ in range(60)] + [0, len(whole) - 1]
        for place in places:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << random.randrange(8)
            path.write_bytes(damaged)
            said = wrong(directory)
            assert path.name in said, (place, said)
            if place >= 8:
                assert "block" in said or "byte" in said
        path.write_bytes(whole)
    assert wrong(directory) == ""


def test_a_reader_gives_no_wrong_entry(log: Log, directory: Path, segments: list[Path]) -> None:
    """Up to the damage entries are those of the log, then ArchiveDamaged."""
    events = log.bus.read_events(0, count=10**6)
    commands = log.bus.read_commands(START, count=10**6)
    random = Random(SEED)
    for path in segments[:-1]:
        whole = path.read_bytes()
        for _ in range(20):
            damaged = bytearray(whole)
            damaged[random.randrange(len(whole))] ^= 0xFF
            path.write_bytes(damaged)
            for read, expected in ((lambda a: a.events(0), events), (lambda a: a.commands(START), commands)):
                found = []
                try:
                    for entry in read(Archive(directory)):
                        found.append(entry)
                except ArchiveDamaged:
                    pass
                assert found == expected[: len(found)]
        path.write_bytes(whole)


def remove_a_segment(segments: list[Path]) -> None:
    segments[1].unlink()


def remove_the_first(segments: list[Path]) -> None:
    segments[0].unlink()


def exchange_two(segments: list[Path]) -> None:
    first, second = segments[0].read_bytes(), segments[1].read_bytes()
    segments[0].write_bytes(second)
    segments[1].write_bytes(first)


def older_copy(segments: list[Path]) -> None:
    """A closed segment as it was some rounds before."""
    blocks = list(read_blocks(segments[1]))
    segments[1].write_bytes(segments[1].read_bytes()[: blocks[-2].end])


def exchange_two_blocks(segments: list[Path]) -> None:
    whole, blocks = segments[0].read_bytes(), list(read_blocks(segments[0]))
    one, two = blocks[1], blocks[2]
    parts = whole[: one.offset], whole[two.offset : two.end], whole[one.offset : one.end], whole[two.end :]
    segments[0].write_bytes(b"".join(parts))


def remove_a_block(segments: list[Path]) -> None:
    whole, blocks = segments[0].read_bytes(), list(read_blocks(segments[0]))
    segments[0].write_bytes(whole[: blocks[1].offset] + whole[blocks[1].end :])


def empty_segment(segments: list[Path]) -> None:
    segments[1].write_bytes(b"")


def a_file_of_somebody(segments: list[Path]) -> None:
    segments[0].with_name("copy.segment").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove_a_segment, "0000000002.segment is missing"),
        (remove_the_first, "0000000001.segment is missing"),
        (exchange_two, "0000000001.segment says that it is number 2"),
        (older_copy, "0000000003.segment does not follow the segment before it"),
        (exchange_two_blocks, "0000000001.segment, block 2"),
        (remove_a_block, "block 1 is missing before it"),
        (empty_segment, "0000000002.segment"),
        (a_file_of_somebody, "copy.segment in the archive has no segment number"),
    ],
)
def test_files_and_blocks_that_were_moved_are_named(
    directory: Path, segments: list[Path], damage: Callable[[list[Path]], None], said: str
) -> None:
    damage(segments)
    assert said in wrong(directory)


def test_a_kept_snapshot_that_was_changed_or_removed_is_named(directory: Path, segments: list[Path]) -> None:
    archive = Archive(directory)
    path = archive.base_path(archive.bases()[0])
    content = path.read_bytes()
    path.unlink()  # a hard link: the worker's own file stays as it is
    assert "base snapshot" in wrong(directory)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "is not the file that was kept" in wrong(directory)
    path.write_bytes(content)
    assert wrong(directory) == ""


def test_segments_of_another_archive(log: Log, directory: Path, segments: list[Path], tmp_path: Path) -> None:
    other = Log(tmp_path / "others")
    other.open()
    other_directory = tmp_path / "other"
    for _ in range(4):
        other.trade(9)
        archived(other, other_directory)
    shutil.copy(segment_path(other_directory, 2), segments[1])
    assert "0000000002.segment does not follow" in wrong(directory)


def test_an_archiver_that_finds_no_archive_but_its_cursors(log: Log, directory: Path, segments: list[Path]) -> None:
    """The directory was lost. Nothing begins by itself; with --begin-anew what the log still has is archived."""
    shutil.rmtree(directory)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert "--begin-anew" in running.process.explanation
    assert not Archive(directory).segments
    archived(log, directory, begin_anew=True)
    assert Archive(directory).end().seq == log.bus.head().seq
    assert wrong(directory) == ""


def test_a_second_archiver_does_nothing(log: Log, directory: Path, segments: list[Path]) -> None:
    with Archiving(log.bus, directory, log.snapshots_dir) as one:
        until(lambda: one.process.status == "archiving", "at work")
        with Archiving(log.bus, directory, log.snapshots_dir) as two:
            until(lambda: two.process.status == "stopped", "it says why")
            assert "another archiver" in two.process.explanation
        assert one.process.check().ok


def test_kinds_of_blocks_are_all_there(segments: list[Path]) -> None:
    """The damage above meets every kind."""
    kinds = {block.header.kind for path in segments for block in read_blocks(path)}
    assert kinds == set(BlockKind)


def test_a_log_of_another_history_stops_the_archiver(log: Log, directory: Path, segments: list[Path]) -> None:
    before = {path: path.read_bytes() for path in segments}
    other = Log(log.snapshots_dir)
    other.open()
    other.trade(60)
    for reader, cursor in log.bus.cursors().items():
        other.bus.set_cursor(
            reader, stream=cursor.stream, position="0" if cursor.stream == "events" else "0-0", now_ms=1
        )
    with Archiving(other.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert "two histories" in running.process.explanation
        assert running.process.explanation.endswith(". Exact steps: docs/runbooks/archive-stopped.md")
    assert {path: path.read_bytes() for path in segments} == before


def test_a_log_that_lost_its_end_or_was_trimmed_too_far_stops_the_archiver(
    log: Log, directory: Path, segments: list[Path]
) -> None:
    empty = Log(log.snapshots_dir)
    with Archiving(empty.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert "redis-core lost acknowledged events" in running.process.explanation
    log.trade(9)
    log.bus.trim(epoch=1, commands_to=log.position.last_cmd, events_to=log.position.seq - 1)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert "it was trimmed without the archive" in running.process.explanation


def test_a_skip_that_was_changed_stops_the_archiver(log: Log, directory: Path, segments: list[Path]) -> None:
    key = next(iter(log.bus.read_skips()))
    log.bus.write_skip(key, "ENGINE_RESTARTED", epoch=1)
    log.trade(3)
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert "replays would differ" in running.process.explanation


def test_another_command_under_an_archived_id_stops_the_archiver(log: Log, directory: Path) -> None:
    archived(log, directory)
    entry = log.bus.read_commands(START, count=1)[0]
    log.bus._log.commands[0] = type(entry)(entry.id, entry.frames[:-1] + b"\x01")  # type: ignore[attr-defined]
    with Archiving(log.bus, directory, log.snapshots_dir) as running:
        until(lambda: running.process.status == "stopped", "it says why")
        assert f"command entry {EntryId(*entry.id)} is another one" in running.process.explanation
