"""Snapshot files damaged in every way: the right state is reached from an older one, or the shard halts (fault-F25)."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from random import Random

import pytest

from apps.matching import snapshots
from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.matching.errors import Halt, NoUsableSnapshot, SnapshotCorrupt, SnapshotsUnreadable
from apps.matching.policy import SNAPSHOTS_KEPT
from apps.matching.snapshot_writer import SnapshotWriter
from apps.streams.bus.base import EntryId
from apps.streams.bus.memory import MemoryBus
from tests.corruption.damage import damaged
from tests.corruption.history import (
    NOTHING_SETTLED,
    History,
    copied,
    recovered_state,
    settled_at,
    traded,
)
from tests.matching.waiting import until

POSITION = Position(5, "ab" * 32, EntryId(17, 3), 44)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return traded(MemoryBus("spot"), tmp_path / "snapshots", seed=100)


# -- one file ---------------------------------------------------------------------------------------------------------
def decoded(content: bytes) -> snapshots.Snapshot | None:
    """None: refused. Any exception other than SnapshotCorrupt fails the test."""
    try:
        return snapshots.decode(content, Path("x"))
    except SnapshotCorrupt:
        return None


def with_header(header: bytes, body: bytes = b"body") -> bytes:
    content = len(header).to_bytes(4, "little") + header + body
    return snapshots.MAGIC + blake2b(content, digest_size=snapshots.DIGEST_SIZE).digest() + content


GOOD_HEADER = {"seq": 5, "chain": "ab" * 32, "last_cmd": "17-3", "frames": 44, "rules_version": 1}


def test_a_well_formed_header_is_read() -> None:
    found = decoded(with_header(json.dumps(GOOD_HEADER).encode()))
    assert found is not None
    assert (found.position, found.rules_version, found.body) == (POSITION, 1, b"body")


@pytest.mark.parametrize(
    "changes",
    [
        *({name: value} for name in ("seq", "frames", "rules_version")
          for value in (-1, 10**30, 1.5, True, None, "5", [], {})),
        *({"chain": value} for value in ("zz" * 32, "AB" * 32, "ab" * 31, "ab" * 32 + "\n", 5, None, ["ab" * 32])),
        *({"last_cmd": value}
          for value in ("", "17", "17-", "-3", "17-3-1", "\N{ARABIC-INDIC DIGIT ONE}7-3", "1e3-0", "9" * 30 + "-0")),
        *({name: ...} for name in GOOD_HEADER),
        {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_with_absurd_values_and_a_right_checksum_is_refused(changes: dict[str, object]) -> None:
    values = {name: value for name, value in (GOOD_HEADER | changes).items() if value is not ...}
    assert decoded(with_header(json.dumps(values).encode())) is None


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", "{\"seq\": 5, \"é\": 1}".encode(), b"[" * 100_000, b"NaN"],
    ids=lambda header: repr(header[:10]),
)  # fmt: skip
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    assert decoded(with_header(header)) is None


def test_a_header_longer_than_the_file_is_refused() -> None:
    content = b"\xff\xff\xff\xff" + json.dumps(GOOD_HEADER).encode()
    checksum = blake2b(content, digest_size=snapshots.DIGEST_SIZE).digest()
    assert decoded(snapshots.MAGIC + checksum + content) is None


def damage_files(content: bytes, count: int, seed: int) -> None:
    random = Random(seed)
    for number in range(count):
        what, copy = damaged(content, random)
        assert decoded(copy) is None, f"seed {seed}, case {number}: {what} was accepted"


def test_damaged_files_are_refused_a_sample(history: History) -> None:
    damage_files(snapshots.kept(history.directory)[0].read_bytes(), 300, seed=7)


@pytest.mark.long
def test_three_thousand_damaged_files_are_refused(history: History) -> None:
    damage_files(snapshots.kept(history.directory)[0].read_bytes(), 3_000, seed=8)


# -- a directory of them ----------------------------------------------------------------------------------------------
def fault(directory: Path, random: Random) -> str:
    """Damage one to three of the files, or their names."""
    paths = snapshots.kept(directory)
    done = []
    for _ in range(random.randint(1, 3)):
        path = random.choice(paths)
        if not path.is_file():
            continue
        draw = random.randrange(6)
        if draw < 3:
            what, content = damaged(path.read_bytes(), random)
            path.write_bytes(content)
            done.append(f"{path.name}: {what}")
        elif draw == 3:
            path.unlink()
            done.append(f"{path.name} deleted")
        elif draw == 4:
            other = random.choice([other for other in paths if other != path])
            if other.is_file():
                mine, theirs = path.read_bytes(), other.read_bytes()
                path.write_bytes(theirs)
                other.write_bytes(mine)
                done.append(f"{path.name} and {other.name} exchanged")
        else:
            shutil.copy(random.choice(paths[-1:]), path) if path != paths[-1] and paths[-1].is_file() else None
            done.append(f"{path.name} replaced by the oldest")
        if random.random() < 0.3:
            (directory / f"{path.stem}.1-ab.writing").write_bytes(random.randbytes(50))
    return "; ".join(done)


def damage_directories(history: History, tmp_path: Path, count: int, seed: int, *, trimmed: bool) -> None:
    """Every recovery ends in the one right state or in a Halt; both must occur where the log was trimmed."""
    settled, random = settled_at(history, 0.9), Random(seed)
    assert isinstance(history.bus, MemoryBus)
    whole = copied(history.bus)
    right = recovered_state(history, whole, settled)
    if trimmed:
        oldest = snapshots.position_in_name(snapshots.kept(history.directory)[-1])
        whole.trim(epoch=1, commands_to=oldest[1], events_to=oldest[0] - 1)
    reached = halted = 0
    for number in range(count):
        directory = tmp_path / f"case-{number}"
        shutil.copytree(history.directory, directory)
        what = fault(directory, random)
        case = History(whole, directory)
        before = sorted((path.name, path.read_bytes()) for path in directory.iterdir())
        try:
            state = recovered_state(case, whole, settled)
        except Halt as halt:
            if not trimmed:
                pytest.fail(f"seed {seed}, case {number}, {what}: {halt}")
            halted += 1
        else:
            assert state == right, f"seed {seed}, case {number}, {what}: another state"
            reached += 1
        assert before == sorted((path.name, path.read_bytes()) for path in directory.iterdir()), "recovery reads only"
        shutil.rmtree(directory)
    print(f"seed {seed}: {reached} reached the right state, {halted} halted")
    assert reached
    assert halted or not trimmed or count < 50


@pytest.mark.parametrize("trimmed", [False, True])
def test_damaged_directories_a_sample(history: History, tmp_path: Path, trimmed: bool) -> None:
    damage_directories(history, tmp_path, 30, seed=21, trimmed=trimmed)


@pytest.mark.long
@pytest.mark.parametrize("trimmed", [False, True])
def test_a_thousand_damaged_directories(history: History, tmp_path: Path, trimmed: bool) -> None:
    damage_directories(history, tmp_path, 1_000, seed=22, trimmed=trimmed)


def test_fault_f25_the_newest_snapshot_missing_or_corrupt_gives_way_to_the_one_before(history: History) -> None:
    settled = settled_at(history)
    right = recovered_state(history, history.bus, settled)
    newest, second, _ = snapshots.kept(history.directory)
    newest.write_bytes(newest.read_bytes()[:-1])
    assert recovered_state(history, history.bus, settled) == right
    newest.unlink()
    assert recovered_state(history, history.bus, settled) == right
    second.unlink()
    assert recovered_state(history, history.bus, settled) == right


def test_exchanged_files_are_not_used_although_each_is_whole(history: History) -> None:
    newest, middle, oldest = snapshots.kept(history.directory)
    contents = newest.read_bytes(), oldest.read_bytes()
    newest.write_bytes(contents[1])
    oldest.write_bytes(contents[0])
    for path in (newest, oldest):
        with pytest.raises(SnapshotCorrupt, match="exchanged"):
            snapshots.load(path)
    found = snapshots.newest(history.directory)
    assert found is not None
    assert found.path == middle


def test_strange_names_are_no_snapshots(history: History) -> None:
    before = snapshots.kept(history.directory)
    for name in (
        "x.snapshot",
        "1-2-3.snapshot",
        f"{before[0].name}~",
        "\N{ARABIC-INDIC DIGIT ZERO}" * 16 + "-" + "0" * 14 + "-" + "0" * 10 + ".snapshot",
    ):
        (history.directory / name).write_bytes(before[0].read_bytes())
    assert snapshots.kept(history.directory) == before


def test_a_directory_that_cannot_be_read_halts(history: History) -> None:
    shutil.rmtree(history.directory)
    history.directory.write_text("a file where the directory was")
    with pytest.raises(SnapshotsUnreadable, match="cannot be read"):
        recovered_state(history, history.bus, NOTHING_SETTLED)
    assert snapshots.kept(history.directory) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_without_rights_halts(history: History) -> None:
    history.directory.chmod(0)
    try:
        with pytest.raises(SnapshotsUnreadable):
            recovered_state(history, history.bus, NOTHING_SETTLED)
    finally:
        history.directory.chmod(0o700)


def test_all_snapshots_gone_from_a_trimmed_log_halts(history: History) -> None:
    oldest = snapshots.position_in_name(snapshots.kept(history.directory)[-1])
    history.bus.trim(epoch=1, commands_to=oldest[1], events_to=0)
    shutil.rmtree(history.directory)
    with pytest.raises(NoUsableSnapshot):
        recovered_state(history, history.bus, NOTHING_SETTLED)


# -- writers ----------------------------------------------------------------------------------------------------------
def test_damaged_files_do_not_count_among_the_kept(history: History) -> None:
    """Two rotten newest files and one good: without setting the rotten aside, pruning would delete the good one."""
    newest, middle, oldest = snapshots.kept(history.directory)
    for path in (newest, middle):
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    writer = SnapshotWriter(history.directory, Engine)
    writer.start(history.core, history.position)
    until(lambda: writer.poll() is not None)
    kept = snapshots.prune(history.directory)
    assert kept[-1] == oldest
    assert len(kept) == 2 < SNAPSHOTS_KEPT
    assert all(snapshots.load(path) for path in kept)
    assert newest.with_suffix(".damaged").exists()
    assert middle.with_suffix(".damaged").exists()


WRITE_AND_WAIT = """
import fcntl, os, sys, time
from pathlib import Path
from apps.matching import snapshots
path, descriptor = snapshots._open_unfinished(Path(sys.argv[1]))
os.write(descriptor, b"half")
print(path.name, flush=True)
time.sleep(60)
"""


def test_unfinished_files_of_the_living_stay_and_those_of_the_dead_go(tmp_path: Path) -> None:
    target = tmp_path / snapshots.name_of(POSITION)
    writer = subprocess.Popen([sys.executable, "-c", WRITE_AND_WAIT, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        unfinished = tmp_path / writer.stdout.readline().strip()
        (tmp_path / "old.writing").write_bytes(b"a file of a release that did not lock it")
        snapshots.remove_unfinished(tmp_path)
        assert list(tmp_path.iterdir()) == [unfinished]
        snapshots.write(tmp_path, Engine(), Engine, POSITION)
        assert unfinished.read_bytes() == b"half", "a second writer of the same position disturbs nobody"
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close() if writer.stdout else None
    snapshots.remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_position_at_once(history: History) -> None:
    """Active worker and standby: both succeed, one whole file is there, nothing is left over."""
    expected = history.core.snapshot()
    writers = [SnapshotWriter(history.directory, Engine) for _ in range(2)]
    for writer in writers:
        writer.start(history.core, history.position)
    answers = []
    for writer in writers:
        while (answer := writer.poll()) is None:
            os.sched_yield()
        answers.append(answer)
    assert answers == [(history.position, "")] * 2
    newest = snapshots.newest(history.directory)
    assert newest is not None
    assert (newest.position, newest.body) == (history.position, expected)
    assert not list(history.directory.glob("*.writing"))


def test_pruning_beside_another_who_prunes(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        snapshots.write(history.directory, history.core, Engine, Position(10**6 + number, "", EntryId(1, 0)))
    real = snapshots.kept

    def kept_and_gone(directory: Path) -> list[Path]:
        found = real(directory)
        for path in found[SNAPSHOTS_KEPT:]:
            path.unlink()
        return found

    monkeypatch.setattr(snapshots, "kept", kept_and_gone)
    assert len(snapshots.prune(history.directory)) == SNAPSHOTS_KEPT


def test_the_state_reached_is_that_of_the_whole_log(history: History) -> None:
    """The yardstick of this file: with and without snapshots, one state."""
    with_snapshots = recovered_state(history, history.bus, NOTHING_SETTLED)
    shutil.rmtree(history.directory)
    assert recovered_state(history, history.bus, NOTHING_SETTLED) == with_snapshots
