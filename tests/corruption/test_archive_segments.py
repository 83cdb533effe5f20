"""Archive segments damaged in every way: what is read is a true beginning of the log, or the damage is named.

Each case lays three readers against the truth: verify, the entries themselves, and a replay of everything.
"""

import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from apps.matching.errors import Halt
from apps.orders.archive import policy
from apps.orders.archive.errors import ArchiveDamaged, ReplayRefused
from apps.orders.archive.log import ArchivedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.replaying import replay_archive
from apps.orders.archive.verifying import verify_archive
from apps.streams.bus.base import START
from tests.corruption.damage import damaged
from tests.orders.archive.logs import Log, archived


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, Path]:
    """An archive of several segments, and the log it was made of."""
    root = tmp_path_factory.mktemp("archived")
    log, directory = Log(root / "snapshots"), root / "archive"
    log.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "SEGMENT_BYTES_MAX", 4_000)
        patch.setattr(policy, "BLOCK_BYTES_MAX", 2_500)
        for _ in range(4):
            log.trade(8)
            log.poison()
            archived(log, directory)
    assert len(Archive(directory).segments) >= 3
    return log, directory


def fault(directory: Path, random: Random) -> str:
    """Damage one segment, lose it, or exchange two."""
    paths = sorted(directory.glob("*.segment"))
    path, draw = random.choice(paths), random.randrange(10)
    if draw < 8:
        what, content = damaged(path.read_bytes(), random)
        path.write_bytes(content)
        return f"{path.name}: {what}"
    if draw == 8:
        path.unlink()
        return f"{path.name} deleted"
    other = random.choice([other for other in paths if other != path])
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)
    return f"{path.name} and {other.name} exchanged"


def damage_archives(truth: tuple[Log, Path], tmp_path: Path, count: int, seed: int) -> None:
    log, whole = truth
    events, commands = log.bus.read_events(0, count=10**6), log.bus.read_commands(START, count=10**6)
    random, seen = Random(seed), Counter[str]()
    for number in range(count):
        directory = tmp_path / "case"
        shutil.copytree(whole, directory)
        what = f"seed {seed}, case {number}: {fault(directory, random)}"
        said = verify_archive(directory).wrong
        ends = _read(directory, events, commands, what)
        if not said:
            # Only a tail that was never finished may be missing: what is there is the beginning of the log.
            assert ends is not None, f"{what}: verify finds nothing wrong, a reader does"
        try:
            found = replay_archive(ArchivedLog(Archive(directory)))
        except (ArchiveDamaged, ReplayRefused, Halt) as refused:
            seen[f"replay refused: {type(refused).__name__}"] += 1
            if not said:
                pytest.fail(f"{what}: verify finds nothing wrong, the replay says {refused}")
        else:
            chains = {0: "", **{entry.last_seq: entry.chain for entry in events}}
            assert chains.get(found.chain_seq) == found.chain, what
            if found.chain_seq == events[-1].last_seq:
                assert found.state_hash == log.engine.state_hash() or said, what
            seen["replayed a true beginning" if not said else "replayed, verify names the damage"] += 1
        shutil.rmtree(directory)
    print(f"seed {seed}: {dict(seen)}")
    assert any(name.startswith("replay refused") for name in seen)


def _read(directory: Path, events: list[object], commands: list[object], what: str) -> int | None:
    """Number of entries read, each of them right; None where damage was named on the way."""
    total: int | None = 0
    for name, expected in (("events", events), ("commands", commands)):
        found: list[object] = []
        try:
            archive = Archive(directory)
            for entry in archive.events(0) if name == "events" else archive.commands(START):
                found.append(entry)
        except ArchiveDamaged:
            total = None
        assert found == expected[: len(found)], f"{what}: other {name} were read"
        total = None if total is None else total + len(found)
    return total


def test_damaged_archives_a_sample(truth: tuple[Log, Path], tmp_path: Path) -> None:
    damage_archives(truth, tmp_path, 40, seed=71)


@pytest.mark.long
def test_a_thousand_damaged_archives(truth: tuple[Log, Path], tmp_path: Path) -> None:
    damage_archives(truth, tmp_path, 1_000, seed=72)
