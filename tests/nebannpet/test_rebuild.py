"""manage.py rebuild: snapshots and the log itself out of the archive, and each reason why not."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from django.core.management import CommandError, call_command

from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.authority import PostgresAuthority
from apps.matching.engine import Engine
from apps.matching.errors import NoUsableSnapshot
from apps.matching.recovery import Recovered, recover
from apps.matching.skips import Skips
from apps.orders.archive.errors import ArchiveDamaged, ArchiveStopped
from apps.orders.archive.process import ArchiveProcess
from apps.orders.archive.reader import Archive
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.redis import RedisBus
from nebannpet.backup.errors import RestoreRefused
from nebannpet.backup.installation import Installation
from nebannpet.backup.rebuilding import rebuild_log, rebuild_snapshot
from tests.nebannpet.installation import SHARD, empty_installation, installation, noted, trade
from tests.orders.live import LiveShard, Traffic, until


@pytest.fixture
def here(transactional_db: None, core: redis.Redis, redis_core_url: str, tmp_path: Path) -> Installation:
    from django.conf import settings

    return installation(tmp_path / "data", settings.DATABASE_DSN, redis_core_url)


@contextlib.contextmanager
def bus_of(here: Installation) -> Iterator[RedisBus]:
    with contextlib.closing(RedisBus(here.core_url, SHARD)) as bus:
        yield bus


def archive(here: Installation) -> None:
    """Everything that is durable by now, as the process does it."""
    stop = threading.Event()
    process = ArchiveProcess(
        shard=SHARD,
        open_bus=lambda: RedisBus(here.core_url, SHARD),
        directory=here.archive_dir,
        snapshots_dir=here.snapshots_dir,
        stop=stop,
    )
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        with bus_of(here) as bus:
            head = bus.head()
            until(lambda: process.ends.seq >= head.seq and process.ends.cmd >= head.cmd, "archived")
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def recovered(here: Installation) -> Recovered:
    with bus_of(here) as bus:
        return recover(bus, here.snapshots_dir, Engine, PostgresAuthority(here.dsn, SHARD).settled())


def state_at(here: Installation, last: EntryId, *, found: Recovered | None = None) -> tuple[int, str]:
    """Sequence number and state hash after command entry `last`, from what was recovered or else from empty: a state
    also has the time of the ticks after the last event, so two are compared at the same command only."""
    core, after = (found.core, found.position.last_cmd) if found is not None else (Engine(), START)
    with bus_of(here) as bus:
        entries = [entry for entry in bus.read_commands(after, count=100_000) if entry.id <= last]
        apply_entries(core, entries, Skips.parse(bus.read_skips()))
    return core.seq, core.state_hash()


def trade_on(here: Installation) -> None:
    """Orders and a deposit's worth of traffic by a new worker; the log goes on where it ended."""
    with bus_of(here) as bus, LiveShard(bus, here.snapshots_dir) as shard:
        before = bus.head().seq
        bus.append_commands(Traffic(7).frames(30))
        shard.until_settled()
        assert bus.head().seq > before


def lose_snapshots(here: Installation) -> None:
    for path in here.snapshots_dir.glob("*.snapshot"):
        path.unlink()


def test_lost_snapshots_come_back_from_archive_and_log(here: Installation) -> None:
    trade(here, batches=5, reigns=1)
    archive(here)
    trade_on(here)  # not archived: the live log has it
    trim_to_the_archive(here)
    with bus_of(here) as bus:
        newest = bus.last_command()
    before = state_at(here, newest, found=recovered(here))
    lose_snapshots(here)
    with pytest.raises(NoUsableSnapshot):
        recovered(here)
    path = rebuild_snapshot(here)
    after = recovered(here)
    assert after.snapshot is not None
    assert after.snapshot.path == path
    assert noted(here) == [("operator", "site.rebuilt", f"shard:{SHARD}", "snapshot")]
    assert state_at(here, newest, found=after) == before
    trade_on(here)


def trim_to_the_archive(here: Installation) -> None:
    with bus_of(here) as bus:
        cursors = bus.cursors()
        bus.trim(epoch=bus.epoch(), commands_to=START, events_to=int(cursors["archive-events"].position) - 1)
        oldest = snapshots.position_in_name(snapshots.kept(here.snapshots_dir)[-1])[1]
        bus.trim(epoch=bus.epoch(), commands_to=oldest, events_to=0)


def test_a_lost_log_comes_back_from_the_archive(here: Installation, core: redis.Redis) -> None:
    trade(here, batches=5, reigns=2)
    archive(here)
    before = state_at(here, Archive(here.archive_dir).end().cmd)
    with bus_of(here) as bus:
        head, events = bus.head(), bus.read_events(0, count=10_000)
        epoch = bus.epoch()
    core.flushall()
    made = rebuild_log(here)
    assert (made.recovered.position.seq, made.recovered.core.state_hash()) == before
    with bus_of(here) as bus:
        assert bus.head() == head
        assert bus.epoch() >= epoch
        assert bus.settled() == made.settled_seq == head.seq
        assert bus.read_events(0, count=10_000) == events
        assert set(bus.cursors()) == {"settlement", "archive-events", "archive-commands"}
        assert bus.append_commands(Traffic(1).frames(1)) > head.cmd
    # The snapshots of before are kept, because some of them may be of what was lost.
    assert made.moved_to is not None
    assert len(snapshots.kept(made.moved_to)) == 2
    assert noted(here) == [("operator", "site.rebuilt", f"shard:{SHARD}", "log")]
    trade_on(here)
    archive(here)  # it goes on with the rebuilt log


def test_a_log_is_rebuilt_beside_an_empty_database(
    here: Installation, core: redis.Redis, postgres: str, redis_core_url: str, tmp_path: Path
) -> None:
    """PostgreSQL was ahead of the archive, so it is put aside: a backup and `settle --from archive` follow."""
    trade(here, batches=2, reigns=1)
    archive(here)
    core.flushall()
    with empty_installation(here.paths.data_dir, postgres, redis_core_url) as there:
        made = rebuild_log(there)
        assert (made.settled_seq, made.recovered.position.seq > 0) == (0, True)


# -- refusals ---------------------------------------------------------------------------------------------------------
def test_postgresql_ahead_of_the_archive_is_refused(here: Installation, core: redis.Redis) -> None:
    trade(here, batches=1, reigns=1)
    archive(here)
    trade_on(here)
    core.flushall()
    with pytest.raises(RestoreRefused, match="PostgreSQL knows more"):
        rebuild_log(here)
    assert (core.dbsize(), noted(here)) == (0, [])
    assert snapshots.kept(here.snapshots_dir)


def test_a_log_that_is_there_is_never_overwritten(here: Installation) -> None:
    trade(here, batches=1, reigns=1)
    archive(here)
    with bus_of(here) as bus:
        head = bus.head()
        with pytest.raises(RestoreRefused, match="redis-core is not empty"):
            rebuild_log(here)
        assert bus.head() == head


def test_postgresql_of_another_history_is_refused(here: Installation, core: redis.Redis) -> None:
    trade(here, batches=1, reigns=1)
    archive(here)
    core.flushall()
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        connection.execute("UPDATE matching_watermark SET chain = repeat('0', 64) WHERE reader = 'settlement'")
    with pytest.raises(RestoreRefused, match="different histories"):
        rebuild_log(here)
    assert core.dbsize() == 0


def test_no_archive_and_a_damaged_one(here: Installation, core: redis.Redis) -> None:
    with pytest.raises(ArchiveDamaged, match="there is no archive"):
        rebuild_log(here)
    trade(here, batches=1, reigns=1)
    archive(here)
    segment = here.archive_dir / "0000000001.segment"
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    with pytest.raises(ArchiveDamaged):
        rebuild_snapshot(here)
    core.flushall()
    with pytest.raises(ArchiveDamaged):
        rebuild_log(here)
    assert core.dbsize() == 0


def test_an_archive_of_another_log_is_refused(here: Installation, core: redis.Redis, tmp_path: Path) -> None:
    trade(here, batches=1, reigns=1)
    archive(here)
    core.hset("{spot}:head", "chain", "0" * 64)
    lose_snapshots(here)
    with pytest.raises(ArchiveStopped):
        rebuild_snapshot(here)
    assert snapshots.kept(here.snapshots_dir) == []


def test_a_living_worker_writes_its_own_snapshots(here: Installation) -> None:
    with bus_of(here) as bus:
        bus.take_lease("worker-1", ttl_ms=60_000)
        with pytest.raises(RestoreRefused, match="worker is active"):
            rebuild_snapshot(here)


def test_the_command_asks_whether_you_are_sure(here: Installation) -> None:
    trade(here, batches=1, reigns=1)
    with bus_of(here) as bus:
        head = bus.head()
        with pytest.raises(CommandError, match="First try every better copy"):
            call_command("rebuild", "log")
        assert bus.head() == head
