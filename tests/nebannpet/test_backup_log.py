"""redis-core's log through a set and back: every key, every entry, every id; and what is damaged is not copied."""

import contextlib
import json
from pathlib import Path

import pytest
import redis

from apps.common.hashchain import extend
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.errors import BusRefused
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from apps.streams.names import ShardKeys
from apps.streams.records import EVENT_SIZE
from nebannpet.backup import log_copy
from nebannpet.backup.errors import BackupFailed, NotABackup
from nebannpet.backup.files import NewSet
from nebannpet.backup.log_copy import HASHES, LEFT_OUT, STREAMS, STRINGS, copy_log, read_point
from nebannpet.backup.log_restore import found_keys, restore_log
from nebannpet.backup.manifest import ArchivePoint, DatabasePoint, LogPoint, Manifest

SHARD = "spot"
TICK = encode_command(Tick())


def fill(bus: RedisBus, *, entries: int, events_each: int = 3) -> list[str]:
    """A chained log of `entries` event entries; the chains."""
    bus.raise_epoch(7)
    chains = [""]
    for number in range(entries):
        command = bus.append_commands(TICK * 2)
        first, last = number * events_each + 1, (number + 1) * events_each
        body = bytes([number % 256]) * EVENT_SIZE * events_each
        chains.append(extend(chains[-1], first, last, body))
        bus.append_events(
            epoch=7, first_seq=first, last_seq=last, prev_chain=chains[-2], chain=chains[-1], last_cmd=command,
            body=body, rules_version=4, frames_done=2 * (number + 1),
        )  # fmt: skip
    return chains


def manifest(*, seq: int, archive: ArchivePoint | None = None) -> Manifest:
    return Manifest(
        made_at="2026-01-01T00:00:00+00:00", shard=SHARD, rules_version=1,
        database=DatabasePoint(seq, "", 0, 18, []), log=LogPoint(0, "", "0-0", "0-0", 0, "0-0", 0, 0, 0),
        snapshots=[], archive=archive or ArchivePoint(), credentials="",
    )  # fmt: skip


def copied(url: str, directory: Path) -> log_copy.Point:
    new = NewSet(directory)
    new.begin()
    with contextlib.closing(Link(url)) as link:
        point = read_point(link, SHARD)
        copy_log(link, SHARD, point, new, chains_at=set())
    return point


def put_back(url: str, directory: Path, made: Manifest) -> None:
    with contextlib.closing(Link(url)) as link:
        restore_log(link, directory, made)


@pytest.fixture
def bus(core: redis.Redis, redis_core_url: str) -> RedisBus:
    return RedisBus(redis_core_url, SHARD)


@pytest.fixture
def elsewhere(core: redis.Redis, redis_core_url: str) -> str:
    return f"{redis_core_url}?db=1"


def test_every_key_of_a_shard_is_copied_or_left_out_on_purpose() -> None:
    names = {name for name, member in vars(ShardKeys).items() if isinstance(member, property)}
    assert names - {*LEFT_OUT} == {*HASHES, *STRINGS, *STREAMS}


def test_a_log_comes_back_entry_by_entry(bus: RedisBus, redis_core_url: str, elsewhere: str, tmp_path: Path) -> None:
    chains = fill(bus, entries=200)
    bus.write_skip("1-2-3", "INTERNAL", epoch=7)
    bus.take_lease("somebody", ttl_ms=60_000)
    bus.set_cursor("settlement", stream="events", position="590", now_ms=5)
    bus.set_cursor("standby", stream="events", position="595", now_ms=5)
    copied(redis_core_url, tmp_path / "set")
    put_back(elsewhere, tmp_path / "set", manifest(seq=570, archive=ArchivePoint("550", "12-0")))

    other = RedisBus(elsewhere, SHARD)
    assert other.read_events(0, count=1_000) == bus.read_events(0, count=1_000)
    assert other.read_commands(START, count=1_000) == bus.read_commands(START, count=1_000)
    assert other.head() == bus.head()
    assert other.chain_at(300) == chains[100]
    assert (other.epoch(), other.frame_count(), other.read_skips()) == (7, bus.frame_count(), {"1-2-3": "INTERNAL"})
    assert other.last_command() == bus.last_command()
    assert other.lease_holder() is None
    # Readers of the record stand where the set has them; the others begin from a snapshot.
    assert other.settled() == 570
    positions = {reader: (cursor.stream, cursor.position) for reader, cursor in other.cursors().items()}
    assert positions == {
        "settlement": ("events", "570"),
        "archive-events": ("events", "550"),
        "archive-commands": ("commands", "12-0"),
    }
    # And the log goes on where it ended.
    assert other.append_commands(TICK) > bus.last_command()


def test_a_fully_trimmed_log_comes_back_with_its_ids(
    bus: RedisBus, redis_core_url: str, elsewhere: str, tmp_path: Path
) -> None:
    fill(bus, entries=5)
    last = bus.last_command()
    bus.trim(epoch=7, commands_to=last, events_to=15)
    copied(redis_core_url, tmp_path / "set")
    put_back(elsewhere, tmp_path / "set", manifest(seq=15))
    other = RedisBus(elsewhere, SHARD)
    assert other.read_commands(START, count=10) == [] == other.read_events(0, count=10)
    assert (other.last_command(), other.head(), other.trimmed()) == (last, bus.head(), bus.trimmed())


def test_an_empty_log_comes_back_empty(bus: RedisBus, redis_core_url: str, elsewhere: str, tmp_path: Path) -> None:
    copied(redis_core_url, tmp_path / "set")
    put_back(elsewhere, tmp_path / "set", manifest(seq=0))
    other = RedisBus(elsewhere, SHARD)
    assert (other.head().seq, other.last_command(), other.epoch()) == (0, START, 0)


def test_what_is_appended_after_the_point_is_not_copied(bus: RedisBus, redis_core_url: str, tmp_path: Path) -> None:
    fill(bus, entries=3)
    new = NewSet(tmp_path / "set")
    new.begin()
    with contextlib.closing(Link(redis_core_url)) as link:
        point = read_point(link, SHARD)
        bus.append_commands(TICK)
        found = copy_log(link, SHARD, point, new, chains_at={3, 4, 9})
    assert (found.command_entries, found.event_entries) == (3, 3)
    assert found.chains == {3: bus.chain_at(3), 9: bus.head().chain}


def test_an_interrupted_restore_of_the_log_leaves_nothing_under_its_names(
    bus: RedisBus, redis_core_url: str, elsewhere: str, tmp_path: Path
) -> None:
    fill(bus, entries=4)
    copied(redis_core_url, tmp_path / "set")
    keys = json.loads((tmp_path / "set" / log_copy.KEYS_FILE).read_text())
    broken = {
        **keys,
        "strings": {"epoch": "1", "frames_in": "x" * 10},
        "hashes": {**keys["hashes"], "head": {"seq": "1"}},
    }
    broken["newest"] = {**keys["newest"], "commands": "0-1"}  # below what the stream has: redis-core refuses it
    (tmp_path / "set" / log_copy.KEYS_FILE).write_text(json.dumps(broken))
    with pytest.raises(BusRefused):
        put_back(elsewhere, tmp_path / "set", manifest(seq=0))
    with contextlib.closing(Link(elsewhere)) as link:
        assert found_keys(link, SHARD) == []
    (tmp_path / "set" / log_copy.KEYS_FILE).write_text(json.dumps(keys))
    put_back(elsewhere, tmp_path / "set", manifest(seq=0))
    assert len(RedisBus(elsewhere, SHARD).read_commands(START, count=100)) == 4


def test_a_changed_event_is_not_copied(bus: RedisBus, core: redis.Redis, redis_core_url: str, tmp_path: Path) -> None:
    fill(bus, entries=3)
    key = ShardKeys(SHARD).events
    rows = core.xrange(key)
    core.delete(key)
    for number, (entry_id, fields) in enumerate(rows):
        body = bytearray(fields[b"d"])
        body[5] ^= number == 1
        core.xadd(key, {**fields, b"d": bytes(body)}, id=entry_id)
    with pytest.raises(BackupFailed, match="entry 4-6 does not match its chain"):
        copied(redis_core_url, tmp_path / "set")


def test_a_missing_event_entry_is_not_passed_over(
    bus: RedisBus, core: redis.Redis, redis_core_url: str, tmp_path: Path
) -> None:
    fill(bus, entries=3)
    core.xdel(ShardKeys(SHARD).events, "6-0")
    with pytest.raises(BackupFailed, match="gap after event 3"):
        copied(redis_core_url, tmp_path / "set")


def test_a_log_that_ends_before_its_head_is_not_copied(
    bus: RedisBus, core: redis.Redis, redis_core_url: str, tmp_path: Path
) -> None:
    fill(bus, entries=3)
    core.xdel(ShardKeys(SHARD).events, "9-0")
    with pytest.raises(BackupFailed, match="events end at 6, its head says 9"):
        copied(redis_core_url, tmp_path / "set")


def test_a_file_of_half_an_entry_is_no_backup(
    bus: RedisBus, redis_core_url: str, elsewhere: str, tmp_path: Path
) -> None:
    fill(bus, entries=2)
    copied(redis_core_url, tmp_path / "set")
    path = tmp_path / "set" / log_copy.EVENTS_FILE
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(NotABackup, match="whole stream entries"):
        put_back(elsewhere, tmp_path / "set", manifest(seq=0))


def test_ids_are_those_of_the_log(bus: RedisBus, redis_core_url: str, tmp_path: Path) -> None:
    fill(bus, entries=2)
    point = copied(redis_core_url, tmp_path / "set")
    assert EntryId.parse(point.newest["commands"]) == bus.last_command()
    assert point.trimmed == (START, 0)
