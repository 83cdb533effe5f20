"""manage.py backup: a set that belongs together, trading undisturbed, and nothing left behind where it fails."""

import contextlib
import json
import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis
from django.core.management import CommandError, call_command

from apps.matching import snapshots
from apps.outbox import session
from apps.streams.bus.redis import RedisBus
from apps.streams.names import ShardKeys
from nebannpet.backup import cursors, database, files, log_copy, making
from nebannpet.backup.database import ToolFailed
from nebannpet.backup.errors import BackupFailed, NotABackup
from nebannpet.backup.files import verify
from nebannpet.backup.installation import Installation
from nebannpet.backup.making import make_backup
from nebannpet.backup.manifest import NAME, Manifest
from tests.nebannpet.installation import KEY, SHARD, installation, trade, trim_log
from tests.orders.live import LiveShard, Traffic, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def here(transactional_db: None, core: redis.Redis, redis_core_url: str, tmp_path: Path) -> Installation:
    from django.conf import settings

    return installation(tmp_path / "data", settings.DATABASE_DSN, redis_core_url)


def left_of_a_backup(here: Installation, directory: Path) -> tuple[list[str], set[str]]:
    """Files in the directory, and cursors of a backup on redis-core."""
    with contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        return [path.name for path in directory.rglob("*")], {name for name in bus.cursors() if "backup" in name}


def test_a_backup_while_orders_are_traded_is_one_consistent_set(here: Installation, tmp_path: Path) -> None:
    trade(here, reigns=3)
    trim_log(here)
    seen: list[str] = []
    with contextlib.closing(RedisBus(here.core_url, SHARD)) as bus, LiveShard(bus, here.snapshots_dir) as shard:
        stop = threading.Event()

        def load() -> None:
            traffic = Traffic(99)
            with contextlib.closing(bus.another()) as own:
                while not stop.is_set():
                    own.append_commands(traffic.frames(10))
                    seen.extend(own.cursors())
                    stop.wait(0.002)

        loading = threading.Thread(target=load)
        loading.start()
        try:
            until(lambda: bus.head().seq > shard.settlement.seq > 0, "orders under way")
            made = make_backup(here, tmp_path / "set")
        finally:
            stop.set()
            loading.join()
        shard.until_settled()
    assert Manifest.read(tmp_path / "set") == made
    verify(tmp_path / "set", made)
    assert made.database.seq <= made.log.seq
    assert [point.file for point in made.snapshots] == sorted((point.file for point in made.snapshots), reverse=True)
    assert len(made.snapshots) == 3
    assert made.snapshots[0].seq <= made.log.seq
    assert made.log.trimmed_command != "0-0", "nothing was trimmed: the test proves too little"
    # The cursors held the log while the backup ran, and are gone.
    assert {cursors.EVENTS_CURSOR, cursors.COMMANDS_CURSOR} <= set(seen)
    assert left_of_a_backup(here, tmp_path / "none")[1] == set()


def test_the_relay_numbers_nothing_at_the_point(here: Installation, tmp_path: Path) -> None:
    """Else the log could hold a deposit that the dumped database does not know, and settlement would stop there."""
    refused: list[str] = []

    def number_meanwhile(*arguments: object) -> log_copy.Point:
        with session.connect() as connection:
            connection.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("SELECT last_relay_seq FROM outbox_relaycounter FOR UPDATE")
            refused.append("numbering")
        return log_copy.read_point(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "read_point", number_meanwhile)
        make_backup(here, tmp_path / "set")
    assert refused == ["numbering"]
    with session.connect() as connection:
        connection.execute("SELECT last_relay_seq FROM outbox_relaycounter FOR UPDATE")


def test_production_keys_are_not_in_a_backup_and_the_development_key_is(here: Installation, tmp_path: Path) -> None:
    trade(here, batches=1, reigns=1)
    made = make_backup(here, tmp_path / "one")
    assert not any(part.path.startswith("secrets/") for part in made.files)
    assert made.credentials
    assert all(KEY.encode() not in path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file())

    (here.paths.data_dir / "credentials.key").write_text(KEY)
    development = make_backup(replace(here, credentials_key=""), tmp_path / "two")
    assert [part.path for part in development.files if part.path.startswith("secrets/")] == ["secrets/credentials.key"]
    assert development.credentials == made.credentials, "the same key has the same fingerprint"
    assert KEY not in (tmp_path / "two" / NAME).read_text()


def test_files_are_closed_to_other_users(here: Installation, tmp_path: Path) -> None:
    make_backup(here, tmp_path / "set")
    assert (tmp_path / "set").stat().st_mode & 0o077 == 0


def test_an_archive_that_grows_meanwhile_keeps_its_prefix(here: Installation, tmp_path: Path) -> None:
    """Segments that begin during the copy would leave a gap; a lock or a half-written file is nobody's copy."""
    here.archive_dir.mkdir(parents=True)
    for number in (1, 2):
        (here.archive_dir / f"{number:010d}.segment").write_bytes(bytes([number]) * 1000)
    (here.archive_dir / "snapshots").mkdir()
    (here.archive_dir / "snapshots" / "base").write_bytes(b"base")
    (here.archive_dir / "first.json.writing").write_bytes(b"half")
    copy = files.NewSet.copy

    def copy_and_grow(new: files.NewSet, source: Path, path: str) -> None:
        copy(new, source, path)
        if source.name == "0000000002.segment":
            with source.open("ab") as segment:
                segment.write(b"more")
            (here.archive_dir / "0000000003.segment").write_bytes(b"new")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.NewSet, "copy", copy_and_grow)
        made = make_backup(here, tmp_path / "set")
    archived = [part.path for part in made.files if part.path.startswith("archive/")]
    assert archived == ["archive/0000000001.segment", "archive/0000000002.segment", "archive/snapshots/base"]


# -- refusals ---------------------------------------------------------------------------------------------------------
def refused(here: Installation, directory: Path, message: str) -> None:
    """It says so, keeps nothing, and takes its cursors away."""
    with pytest.raises(BackupFailed, match=message):
        make_backup(here, directory)


def test_a_directory_with_something_in_it_is_not_touched(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("keep")
    refused(here, tmp_path / "set", "is not empty")
    assert (tmp_path / "set" / "mine").read_text() == "keep"


def test_a_place_that_is_no_directory(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("a file")
    refused(here, tmp_path / "set", "cannot be used")


def test_a_place_inside_the_archive(here: Installation) -> None:
    refused(here, here.archive_dir / "backups", "is part of the backup")
    assert not here.archive_dir.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dsn": "host=nowhere.invalid dbname=x connect_timeout=2"}, "PostgreSQL does not answer"),
        ({"core_url": "unix:///nowhere/redis.sock"}, "redis-core does not answer"),
    ],
)
def test_a_server_is_away(here: Installation, tmp_path: Path, change: dict[str, str], message: str) -> None:
    refused(replace(here, **change), tmp_path / "set", message)
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_two_backups_at_once(here: Installation, tmp_path: Path) -> None:
    with database.connect(here.dsn) as other:
        assert database.be_the_only_one(other)
        refused(here, tmp_path / "set", "Another backup or restore is running")
    make_backup(here, tmp_path / "set")


def test_pg_dump_is_older_than_the_server(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_version", lambda path: 12)
    refused(here, tmp_path / "set", "needs a pg_dump that is not older.*version 12")
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_there_is_no_pg_dump(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> Path:
        from nebannpet.env import ConfigurationError

        raise ConfigurationError("not packaged")

    monkeypatch.setattr("nebannpet.embedded.Postgres.binary", missing)
    monkeypatch.setenv("PATH", "")
    refused(here, tmp_path / "set", "needs a pg_dump that is not older; there is none")


def test_a_disk_without_room(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FREE_BYTES_MIN", 10**18)
    refused(here, tmp_path / "set", "MB free; the backup needs")
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_a_dump_that_fails_leaves_nothing(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def fails(*arguments: object, **options: object) -> None:
        raise ToolFailed("pg_dump ended with code 1: out of luck")

    monkeypatch.setattr(database, "dump", fails)
    refused(here, tmp_path / "set", "out of luck")
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_ctrl_c_leaves_nothing(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(database, "dump", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_backup(here, tmp_path / "set")
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_pg_dump_itself_fails(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program, asked for a point that does not exist: its own words are in the message."""
    export = database.export

    def wrong(*arguments: object) -> database.Exported:
        return replace(export(*arguments), snapshot="00000003-0000001B-1")  # type: ignore[arg-type]

    monkeypatch.setattr(database, "export", wrong)
    refused(here, tmp_path / "set", "pg_dump ended with code 1: .*snapshot")
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_a_damaged_log_is_not_backed_up(here: Installation, core: redis.Redis, tmp_path: Path) -> None:
    trade(here, batches=1, reigns=1)
    core.hset(ShardKeys(SHARD).head, "chain", "0" * 64)
    refused(here, tmp_path / "set", "its head says")
    assert left_of_a_backup(here, tmp_path / "set") == ([], set())


def test_parts_that_do_not_belong_together_are_not_backed_up(
    here: Installation, core: redis.Redis, tmp_path: Path
) -> None:
    trade(here, batches=1, reigns=1)
    core.hset(ShardKeys(SHARD).trimmed, mapping={"cmd": "99999999999999-0", "seq": "1"})
    refused(here, tmp_path / "set", "do not belong together: commands up to 99999999999999-0 were trimmed")
    for path in snapshots.kept(here.snapshots_dir):
        path.unlink()
    refused(here, tmp_path / "set", "there is no snapshot that loads")


def test_postgresql_of_another_history_is_not_backed_up(here: Installation, tmp_path: Path) -> None:
    trade(here, batches=1, reigns=1)
    with database.connect(here.dsn) as connection:
        connection.execute("UPDATE matching_watermark SET chain = repeat('0', 64) WHERE reader = 'settlement'")
    refused(here, tmp_path / "set", "PostgreSQL and the log differ at event")


def test_a_set_without_its_manifest_is_an_interrupted_one(here: Installation, tmp_path: Path) -> None:
    make_backup(here, tmp_path / "set")
    (tmp_path / "set" / NAME).rename(tmp_path / "set" / f"{NAME}.writing")
    with pytest.raises(NotABackup, match="interrupted"):
        Manifest.read(tmp_path / "set")


def test_the_manifest_says_what_the_parts_are(here: Installation, tmp_path: Path) -> None:
    trade(here, batches=2, reigns=1)
    with database.connect(here.dsn) as connection:
        connection.execute("INSERT INTO matching_watermark (shard, reader) VALUES ('drill', 'settlement')")
    made = make_backup(here, tmp_path / "set")
    assert made.other_shards == ["drill"]
    content = json.loads((tmp_path / "set" / NAME).read_text())
    with contextlib.closing(RedisBus(here.core_url, SHARD)) as bus:
        head = bus.head()
    assert (content["log"]["seq"], content["log"]["chain"]) == (head.seq, head.chain)
    assert (content["database"]["seq"], content["database"]["chain"]) == (head.seq, head.chain)
    assert {"ledger.0001_initial", "matching.0001_initial"} <= set(content["database"]["migrations"])
    assert {part.path.split("/")[0] for part in made.files} == {"postgres", "redis-core", "snapshots"}


def test_the_command_refuses_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(CommandError, match="not empty"):
        call_command("backup", str(tmp_path))
