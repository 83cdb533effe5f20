"""manage.py restore: what comes back is what was saved; whatever does not fit is refused before anything changes."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import CommandError, call_command

from apps.matching import snapshots
from apps.matching.authority import PostgresAuthority
from apps.matching.engine import Engine
from apps.matching.recovery import recover
from apps.streams.bus.base import START
from apps.streams.bus.errors import BusAway
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus
from nebannpet.backup import database, preconditions, restoring
from nebannpet.backup.database import ToolFailed
from nebannpet.backup.errors import NotABackup, RestoreFailed, RestoreRefused
from nebannpet.backup.installation import Installation
from nebannpet.backup.log_restore import found_keys
from nebannpet.backup.making import make_backup
from nebannpet.backup.manifest import NAME, Manifest
from nebannpet.backup.restoring import restore_all, restore_database_only
from nebannpet.paths import Paths
from nebannpet.preflight import PreflightError, check_data_directory, lock_data_directory
from tests.nebannpet.installation import KEY, SHARD, empty_installation, installation, noted, trade, trim_log, wanted


@pytest.fixture
def here(transactional_db: None, core: redis.Redis, redis_core_url: str, tmp_path: Path) -> Installation:
    from django.conf import settings

    return installation(tmp_path / "data", settings.DATABASE_DSN, redis_core_url)


@pytest.fixture
def there(core: redis.Redis, postgres: str, redis_core_url: str, tmp_path: Path) -> Iterator[Installation]:
    """An empty installation."""
    with empty_installation(tmp_path / "new", postgres, redis_core_url) as empty:
        yield empty


@pytest.fixture
def own_set(here: Installation, tmp_path: Path) -> Path:
    """A set with every kind of part, of an exchange that has hardly traded and is still there."""
    trade(here, batches=2, reigns=1)
    here.archive_dir.mkdir(parents=True)
    (here.archive_dir / "0000000001.segment").write_bytes(b"segment" * 1000)
    (here.paths.data_dir / "credentials.key").write_text(KEY)
    make_backup(replace(here, credentials_key=""), tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "set"


@pytest.fixture
def small_set(made_once: Path, tmp_path: Path, request: pytest.FixtureRequest, transactional_db: None) -> Path:
    """A copy of such a set; the exchange it was made of is gone.

    `transactional_db` by name: asked for only through `own_set` it would not empty the database afterwards.
    """
    if not made_once.exists():
        shutil.copytree(request.getfixturevalue("own_set"), made_once)
        request.getfixturevalue("core").flushall()
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    return Path(shutil.copytree(made_once, tmp_path / "set"))


def assert_untouched(there: Installation) -> None:
    with database.connect(there.dsn) as connection:
        assert database.tables(connection) == []
    with contextlib.closing(Link(there.core_url)) as link:
        assert found_keys(link, SHARD) == []
    files = [path.name for path in there.paths.data_dir.rglob("*") if path.is_file()]
    assert [name for name in files if name != "supervisor.lock"] == []


def state_of(here: Installation) -> tuple[int, str, str]:
    """Sequence number, chain and state hash as a start would find them."""
    with contextlib.closing(RedisBus(here.core_url, SHARD)) as bus:
        settled = PostgresAuthority(here.dsn, SHARD).settled()
        found = recover(bus, here.snapshots_dir, Engine, settled)
        return found.position.seq, found.position.chain, found.core.state_hash()


def rows_of(here: Installation) -> dict[str, list[tuple[object, ...]]]:
    names = ("ledger_entry", "ledger_balance", "orders_order", "orders_trade", "outbox_outboxrow", "matching_watermark")
    with psycopg.connect(here.dsn) as connection:
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2".encode()).fetchall() for name in names}


def test_what_was_saved_comes_back(here: Installation, there: Installation, tmp_path: Path) -> None:
    trade(here, reigns=3)
    trim_log(here)
    made = make_backup(here, tmp_path / "set")
    restored = restore_all(there, wanted(tmp_path / "set"))
    assert restored.manifest == made
    assert state_of(there) == state_of(here) == (restored.seq, made.log.chain, restored.state_hash)
    assert rows_of(there) == rows_of(here)
    assert (noted(there), noted(here)) == ([("operator", "site.restored", f"shard:{SHARD}", "all")], [])
    assert len(rows_of(there)["orders_order"]) > 100
    names = [path.name for path in snapshots.kept(here.snapshots_dir)]
    assert [path.name for path in snapshots.kept(there.snapshots_dir)] == names
    assert not there.paths.unfinished_restore.exists()
    check_data_directory(there.paths)


def test_secrets_of_development_come_back(there: Installation, small_set: Path) -> None:
    restore_all(replace(there, credentials_key=""), wanted(small_set))
    key = there.paths.data_dir / "credentials.key"
    assert key.read_text() == KEY
    assert key.stat().st_mode & 0o077 == 0
    assert (there.archive_dir / "0000000001.segment").read_bytes() == b"segment" * 1000


# -- damaged sets -----------------------------------------------------------------------------------------------------
def test_a_flipped_byte_in_any_part_is_refused(there: Installation, small_set: Path) -> None:
    parts = [path for path in small_set.rglob("*") if path.is_file()]
    kinds = {path.relative_to(small_set).parts[0] for path in parts}
    assert kinds == {NAME, "postgres", "redis-core", "snapshots", "archive", "secrets"}
    for path in parts:
        original = path.read_bytes()
        # In the manifest, the last digit of a number: it stays good JSON.
        number = re.search(rb'"seq": \d*(\d)', original) if path.name == NAME else None
        place = number.start(1) if number is not None else len(original) // 2
        path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
        with pytest.raises(NotABackup, match=r"damaged|altered"):
            restore_all(there, wanted(small_set))
        path.write_bytes(original)
    assert_untouched(there)


@pytest.mark.parametrize("damage", ["missing", "shorter", "stranger", "no manifest", "not JSON", "other format"])
def test_a_set_that_is_not_whole_is_refused(there: Installation, small_set: Path, damage: str) -> None:
    dump = small_set / database.DUMP_FILE
    manifest = small_set / NAME
    if damage == "missing":
        dump.unlink()
    elif damage == "shorter":
        os.truncate(dump, dump.stat().st_size - 1)
    elif damage == "stranger":
        (small_set / "snapshots" / "other.snapshot").write_bytes(b"x")
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "not JSON":
        manifest.write_text("{")
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    with pytest.raises(NotABackup, match=r"missing|damaged|not of the backup|interrupted|cannot be read|not of format"):
        restore_all(there, wanted(small_set))
    assert_untouched(there)


def test_a_manifest_that_names_files_elsewhere_is_refused(there: Installation, small_set: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    manifest = Manifest.read(small_set)
    outside = replace(manifest.files[0], path="../secret")
    (small_set / NAME).unlink()
    replace(manifest, files=[*manifest.files, outside]).write(small_set)
    with pytest.raises(NotABackup, match="outside of"):
        restore_all(there, wanted(small_set))


# -- sets that do not fit ---------------------------------------------------------------------------------------------
def changed(set_: Path, **changes: Any) -> None:
    """The same set with another manifest."""
    manifest = Manifest.read(set_)
    (set_ / NAME).unlink()
    replace(manifest, **changes).write(set_)


def refused(there: Installation, set_: Path, message: str) -> None:
    with pytest.raises(RestoreRefused, match=message):
        restore_all(there, wanted(set_))


def test_another_shard_release_or_key_is_refused(
    there: Installation, small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(replace(there, shard="other"), small_set, "backup of shard spot; this installation is shard other")

    manifest = Manifest.read(small_set)
    newer = replace(manifest.database, migrations=[*manifest.database.migrations, "orders.9999_from_the_future"])
    changed(small_set, database=newer)
    refused(there, small_set, r"orders.9999_from_the_future\). Restore it with that release")

    changed(small_set, database=manifest.database, rules_version=Engine.RULES_VERSION + 1)
    refused(there, small_set, f"rules version {Engine.RULES_VERSION + 1}, this release has")
    # An older one may start only from a snapshot at the head.
    behind = replace(manifest.snapshots[0], seq=manifest.log.seq - 1)
    changed(small_set, rules_version=Engine.RULES_VERSION - 1, snapshots=[behind])
    refused(there, small_set, f"rules version {Engine.RULES_VERSION - 1}, this release has")

    changed(small_set, rules_version=manifest.rules_version, snapshots=manifest.snapshots)
    refused(replace(there, credentials_key="f" * 64), small_set, "CREDENTIALS_KEY is not the one")
    assert_untouched(there)
    changed(small_set, database=replace(manifest.database, server_version=99))
    refused(there, small_set, "made of PostgreSQL 99, this server is of version")
    assert_untouched(there)


def test_a_lost_key_can_be_given_up(here: Installation, there: Installation, tmp_path: Path) -> None:
    make_backup(here, tmp_path / "production")
    without = replace(there, credentials_key="")
    refused(without, tmp_path / "production", "is not set, and the backup does not carry the one")
    restore_all(without, replace(wanted(tmp_path / "production"), without_credentials=True))


# -- installations that are not empty ---------------------------------------------------------------------------------
def test_a_database_with_tables_is_refused(there: Installation, small_set: Path) -> None:
    with psycopg.connect(there.dsn) as connection:
        connection.execute("CREATE TABLE mine (a int)")
    refused(there, small_set, r"database is not empty \(it has public.mine\)")


def test_a_log_is_refused(there: Installation, small_set: Path) -> None:
    with contextlib.closing(RedisBus(there.core_url, SHARD)) as bus:
        bus.raise_epoch(1)
        refused(there, small_set, r"redis-core is not empty \(it has \{spot\}:epoch\)")
        assert (bus.epoch(), bus.last_command()) == (1, START)


def test_a_living_worker_is_refused(there: Installation, small_set: Path) -> None:
    with contextlib.closing(RedisBus(there.core_url, SHARD)) as bus:
        bus.take_lease("worker-1", ttl_ms=60_000)
        refused(there, small_set, r"matching worker is active here \(worker-1\)")


@pytest.mark.parametrize("part", ["snapshots", "archive"])
def test_files_are_refused(there: Installation, small_set: Path, part: str) -> None:
    directory = there.paths.data_dir / part / SHARD
    directory.mkdir(parents=True)
    (directory / "mine").write_text("keep")
    refused(there, small_set, r"is not empty \(it has mine\)")
    assert (directory / "mine").read_text() == "keep"


def test_a_running_supervisor_is_refused(there: Installation, small_set: Path) -> None:
    with (
        lock_data_directory(there.paths, "http://localhost:8000"),
        pytest.raises(PreflightError, match="already running"),
    ):
        restore_all(there, wanted(small_set))
    assert_untouched(there)


def test_another_shard_does_not_start_the_servers_of_a_running_exchange(there: Installation, small_set: Path) -> None:
    """The embedded servers belong to the first shard's supervisor; a second pair on the same files would be ruin."""
    changed(small_set, shard="drill")
    second = replace(there, shard="drill", paths=Paths(there.paths.data_dir, "drill"))
    embedded = replace(wanted(small_set), embedded_postgres=True, embedded_core=True)
    with (
        lock_data_directory(there.paths, "http://localhost:8000"),
        pytest.raises(PreflightError, match="already running"),
    ):
        restore_all(second, embedded)
    assert not (there.paths.data_dir / "postgres").exists()


def test_a_backup_of_the_same_database_is_waited_for(there: Installation, small_set: Path) -> None:
    with database.connect(there.dsn) as other:
        assert database.be_the_only_one(other)
        refused(there, small_set, "backup or another restore is running")
    assert_untouched(there)


# -- broken off -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["database", "log", "proof"])
def test_a_restore_that_broke_off_goes_on(
    there: Installation, small_set: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise {"database": ToolFailed("no disk"), "log": BusAway("no redis"), "proof": BusAway("no redis")}[where]

    with monkeypatch.context() as patch:
        place, name = {
            "database": (database, "restore"), "log": (restoring, "restore_log"), "proof": (restoring, "recover"),
        }[where]  # fmt: skip
        patch.setattr(place, name, fails)
        with pytest.raises(RestoreFailed, match="run the same command again"):
            restore_all(there, wanted(small_set))
    with pytest.raises(PreflightError, match=r"A restore into .* broke off"):
        check_data_directory(there.paths)
    assert restore_all(there, wanted(small_set)).seq == Manifest.read(small_set).log.seq
    check_data_directory(there.paths)
    assert state_of(there)[1] == Manifest.read(small_set).log.chain


def test_another_set_cannot_finish_a_restore(
    there: Installation, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_set, tmp_path / "later")
    changed(tmp_path / "later", made_at="2030-01-01T00:00:00+00:00")
    with monkeypatch.context() as patch:

        def fails(*arguments: object, **options: object) -> None:
            raise ToolFailed("no disk")

        patch.setattr(database, "restore", fails)
        with pytest.raises(RestoreFailed):
            restore_all(there, wanted(small_set))
    refused(there, tmp_path / "later", "restore of another backup .* broke off")


def test_a_set_that_does_not_pass_the_start_up_checks_says_so(
    there: Installation, small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that was replaced in a set with good digests: what only recovery can see."""
    monkeypatch.setattr(restoring, "PostgresAuthority", _Ahead)
    with pytest.raises(RestoreFailed, match="does not pass the start-up checks: PostgreSQL is settled up to event"):
        restore_all(there, wanted(small_set))


class _Ahead(PostgresAuthority):
    def settled(self):  # type: ignore[no-untyped-def]
        return replace(super().settled(), seq=10**9)


# -- PostgreSQL alone -------------------------------------------------------------------------------------------------
def test_the_database_alone_from_an_older_set(here: Installation, there: Installation, own_set: Path) -> None:
    """The log lived on and is newer than the set."""
    living = replace(there, core_url=here.core_url)
    trade_on(here)
    made = restore_database_only(living, wanted(own_set))
    found = PostgresAuthority(there.dsn, SHARD).settled()
    assert (found.seq, found.chain) == (made.database.seq, made.database.chain)
    assert noted(there) == [("operator", "site.restored", f"shard:{SHARD}", "database")]
    with contextlib.closing(RedisBus(here.core_url, SHARD)) as bus:
        assert bus.head().seq > found.seq


def test_the_database_alone_is_refused_beside_another_log(
    here: Installation, there: Installation, own_set: Path, core: redis.Redis
) -> None:
    with pytest.raises(RestoreRefused, match="not the log that lived on"):
        restore_database_only(there, wanted(own_set))
    living = replace(there, core_url=here.core_url)
    manifest = Manifest.read(own_set)
    changed(own_set, database=replace(manifest.database, chain="0" * 64))
    with pytest.raises(RestoreRefused, match="different histories; never mix them"):
        restore_database_only(living, wanted(own_set))
    with pytest.raises(RestoreRefused, match="database is not empty"):
        changed(own_set, database=manifest.database)
        restore_database_only(here, wanted(own_set))
    assert_untouched(there)


def trade_on(here: Installation) -> None:
    from tests.orders.live import LiveShard, Traffic

    with contextlib.closing(RedisBus(here.core_url, SHARD)) as bus, LiveShard(bus, here.snapshots_dir) as shard:
        bus.append_commands(Traffic(5).frames(20))
        shard.until_settled()


# -- the command ------------------------------------------------------------------------------------------------------
def test_the_command_checks_a_set_without_servers(
    small_set: Path, capsys: pytest.CaptureFixture[str], settings: object
) -> None:
    settings.CREDENTIALS_KEY = KEY  # type: ignore[attr-defined]
    call_command("restore", str(small_set), "--check")
    assert "whole: " in capsys.readouterr().out
    (small_set / database.DUMP_FILE).write_bytes(b"")
    with pytest.raises(CommandError, match=r"damaged.*Nothing was changed"):
        call_command("restore", str(small_set), "--check")


def test_the_planner_finds_no_tables_in_a_new_database(there: Installation) -> None:
    """What an emptiness check must not take for content: PostgreSQL's own schemas, temporary tables."""
    with psycopg.connect(there.dsn, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE own (a int)")
        assert database.tables(connection) == []
    assert preconditions.EXAMPLES_SHOWN > 0
