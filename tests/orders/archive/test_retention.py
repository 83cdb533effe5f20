"""What a retention may delete: whole old segments before a base, never what a replay of the rest needs."""

from pathlib import Path

import pytest

from apps.common.clock import now_ms
from apps.orders.archive import policy, retention
from apps.orders.archive.errors import ArchiveDamaged
from apps.orders.archive.log import ArchivedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.replaying import replay_archive
from apps.orders.archive.retention import delete_before
from apps.orders.archive.verifying import verify_archive
from tests.orders.archive.logs import Log, archived

TOMORROW_MS = 2 * 86_400_000


@pytest.fixture
def old(log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of several segments; a base from the beginning and one from the middle."""
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 4_000)
    monkeypatch.setattr(policy, "BASE_EVERY_MS", 0)
    for number in range(5):
        log.trade(9)
        if number in (0, 2):
            log.snapshot()
        archived(log, directory, keep_days=1)
    assert len(Archive(directory).segments) >= 4
    assert [base.seq for base in Archive(directory).bases()] == sorted({b.seq for b in Archive(directory).bases()})
    return directory


def test_nothing_goes_before_it_is_old(old: Path) -> None:
    assert delete_before(old, now_ms() - 86_400_000) == []


def test_old_segments_before_a_base_go_and_the_rest_replays(log: Log, old: Path) -> None:
    before = Archive(old)
    gone = delete_before(old, now_ms() + TOMORROW_MS)
    assert gone == list(range(1, 1 + len(gone)))
    assert len(gone) >= 1
    after = Archive(old)
    assert after.begin().seq > 0
    assert after.end() == before.end()
    newest = after.bases()[-1]
    assert newest.seq >= after.begin().seq
    assert verify_archive(old).wrong == ""
    assert list(after.events(after.begin().seq)) == log.bus.read_events(after.begin().seq, count=10**6)
    found = replay_archive(ArchivedLog(after))
    assert (found.seq, found.state_hash) == (log.position.seq, log.engine.state_hash())
    archived(log, old, keep_days=1)
    with pytest.raises(ArchiveDamaged, match="is missing"):
        after.segments[0].path.unlink()
        Archive(old)


def test_without_a_base_after_them_old_segments_stay(
    log: Log, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "SEGMENT_BYTES_MAX", 4_000)
    for _ in range(4):
        log.trade(9)
        archived(log, directory)
    assert delete_before(directory, now_ms() + TOMORROW_MS) == []


def test_a_crash_between_the_new_first_number_and_the_deletion(
    log: Log, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(retention.Path, "unlink", _die)
        delete_before(old, now_ms() + TOMORROW_MS)
    assert verify_archive(old).wrong == ""
    for _ in range(2):
        log.trade(9)
        log.snapshot()
        archived(log, old, keep_days=1)
    assert verify_archive(old).wrong == ""
    assert (old / "0000000001.segment").exists()
    assert delete_before(old, now_ms() + TOMORROW_MS)
    assert not (old / "0000000001.segment").exists()


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_process_deletes_by_its_setting(log: Log, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.orders.archive.retention.DAY_MS", -TOMORROW_MS)
    archived(log, old, keep_days=1)
    assert Archive(old).segments[0].number > 1
    assert verify_archive(old).wrong == ""
