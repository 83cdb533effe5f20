"""Snapshot files and the child that writes them."""

import os
from pathlib import Path

import pytest

from apps.matching import snapshots
from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.matching.errors import SnapshotCorrupt
from apps.matching.snapshot_writer import SnapshotWriter
from apps.streams.bus.base import EntryId
from tests.matching.waiting import until

POSITION = Position(5, "ab" * 32, EntryId(17, 3), 44)


def position(seq: int) -> Position:
    return Position(seq, "", EntryId(seq, 0), seq)


def test_a_snapshot_comes_back_whole(directory: Path) -> None:
    path = snapshots.write(directory, Engine(), Engine, POSITION)
    loaded = snapshots.load(path)
    assert (loaded.position, loaded.rules_version, loaded.body) == (POSITION, Engine.RULES_VERSION, Engine().snapshot())
    assert snapshots.position_in_name(path) == (5, EntryId(17, 3))
    assert snapshots.newest(directory) == loaded


def test_every_single_damaged_byte_and_every_length_is_found() -> None:
    content = snapshots.encode(POSITION, 1, b"the body")
    for at in range(len(content)):
        with pytest.raises(SnapshotCorrupt):
            snapshots.decode(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :], Path("x"))
        with pytest.raises(SnapshotCorrupt):
            snapshots.decode(content[:at], Path("x"))


def test_names_sort_by_event_then_command(directory: Path) -> None:
    wanted = [Position(9, "", EntryId(5, 0)), Position(10, "", EntryId(5, 0)), Position(10, "", EntryId(5, 12)),
              Position(10, "", EntryId(1_700_000_000_000, 0))]  # fmt: skip
    for one in reversed(wanted):
        snapshots.write(directory, Engine(), Engine, one)
    names = [snapshots.position_in_name(path) for path in snapshots.kept(directory)]
    assert names == [(one.seq, one.last_cmd) for one in reversed(wanted)]


def test_three_are_kept(directory: Path) -> None:
    for seq in range(5):
        snapshots.write(directory, Engine(), Engine, position(seq))
    assert [snapshots.position_in_name(p)[0] for p in snapshots.prune(directory)] == [4, 3, 2]
    assert len(snapshots.kept(directory)) == 3


class Forgetful(Engine):
    """Restores to an empty state: what it writes must never be trusted."""

    @classmethod
    def restore(cls, body: bytes) -> "Forgetful":
        restored = cls()
        restored.forgot = True
        return restored

    def snapshot(self) -> bytes:
        return b"nothing" if getattr(self, "forgot", False) else b"something"


def test_a_file_that_does_not_give_the_state_back_gets_no_name(directory: Path) -> None:
    with pytest.raises(SnapshotCorrupt, match="does not give"):
        snapshots.write(directory, Forgetful(), Forgetful, POSITION)
    assert list(directory.iterdir()) == []


def finish(writer: SnapshotWriter) -> tuple[Position, str]:
    answers: list[tuple[Position, str]] = []

    def finished() -> bool:
        answer = writer.poll()
        answers.extend([answer] if answer is not None else [])
        return bool(answers)

    until(finished)
    return answers[0]


def test_a_child_writes_beside_us(directory: Path) -> None:
    writer = SnapshotWriter(directory, Engine)
    writer.start(Engine(), POSITION)
    assert finish(writer) == (POSITION, "")
    assert not writer.busy
    newest = snapshots.newest(directory)
    assert newest is not None
    assert newest.position == POSITION


def test_a_child_that_fails_says_why(directory: Path) -> None:
    directory.parent.mkdir(parents=True)
    directory.write_text("a file where the directory should be")
    writer = SnapshotWriter(directory, Engine)
    writer.start(Engine(), POSITION)
    where, why = finish(writer)
    assert where == POSITION
    assert "FileExistsError" in why


def test_a_child_that_cannot_be_started_leaves_nothing_open(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("planted")

    monkeypatch.setattr(os, "fork", refuse)
    writer = SnapshotWriter(directory, Engine)
    open_before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(BlockingIOError):
        writer.start(Engine(), POSITION)
    assert set(os.listdir("/proc/self/fd")) <= open_before
    assert not writer.busy


def test_a_child_that_is_killed_leaves_nothing_that_counts(directory: Path) -> None:
    class Slow(Engine):
        def snapshot(self) -> bytes:
            os.read(never, 1)
            return b""

    never, keep_open = os.pipe()
    directory.mkdir(parents=True)
    (directory / "half.writing").write_bytes(b"half")
    writer = SnapshotWriter(directory, Slow)
    writer.start(Slow(), POSITION)
    assert writer.poll() is None
    assert writer.busy
    writer.abandon()
    assert not writer.busy
    assert snapshots.kept(directory) == []
    snapshots.remove_unfinished(directory)
    assert list(directory.iterdir()) == []
    os.close(never)
    os.close(keep_open)
