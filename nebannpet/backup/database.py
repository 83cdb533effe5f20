"""PostgreSQL out of and into a set with pg_dump and pg_restore, as one transaction saw it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from nebannpet.backup.manifest import DatabasePoint
from nebannpet.embedded import READER_NICENESS, Launch, Postgres
from nebannpet.env import ConfigurationError
from nebannpet.paths import Paths

DUMP_FILE: Final = "postgres/database.dump"
BACKUP_LOCK: Final = 0x6E65_6262
LOCK_TIMEOUT_S: Final = 10
POLL_S: Final = 0.2
STDERR_LINES_SHOWN: Final = 5

# Waits for a numbering that is under way, and keeps the relay from the next one.
_STOP_NUMBERING: Final = "LOCK TABLE outbox_relaycounter IN EXCLUSIVE MODE"
_WATERMARK: Final = "SELECT seq, chain, epoch FROM matching_watermark WHERE shard = %s AND reader = 'settlement'"
_MIGRATIONS: Final = "SELECT app || '.' || name FROM django_migrations ORDER BY 1"
_TABLES: Final = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname NOT LIKE 'pg_temp%%' AND n.nspname NOT LIKE 'pg_toast_temp%%' ORDER BY 1
"""


class ToolFailed(Exception):
    """pg_dump or pg_restore is missing, too old, or ended with an error; the message has its words."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A point of the database that pg_dump can see as long as the transaction behind it is open."""

    snapshot: str
    point: DatabasePoint


def connect(dsn: str) -> psycopg.Connection[Any]:
    """As the owner; psycopg.OperationalError where PostgreSQL does not answer."""
    return psycopg.connect(
        make_conninfo(dsn, application_name="nebannpet-backup"),
        autocommit=True,
        connect_timeout=5,
        options=f"-c lock_timeout={LOCK_TIMEOUT_S}s -c idle_in_transaction_session_timeout=0",
    )


def be_the_only_one(connection: psycopg.Connection[Any]) -> bool:
    """Until the connection is closed; False while another backup or restore runs on this database."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [BACKUP_LOCK]).fetchone()
    return bool(row and row[0])


@contextlib.contextmanager
def numbering_stopped(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """The relay gives out no number inside the block; it waits, and nothing is lost when it gives up waiting."""
    with connection.transaction(force_rollback=True):
        connection.execute(_STOP_NUMBERING)
        yield


def export(connection: psycopg.Connection[Any], shard: str) -> Exported:
    """Begin the transaction that stays open until the caller closes the connection."""
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    mark = connection.execute(_WATERMARK, [shard]).fetchone() or (0, "", 0)
    migrations = [name for (name,) in connection.execute(_MIGRATIONS)]
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    version = connection.info.server_version // 10_000
    return Exported(row[0], DatabasePoint(mark[0], mark[1], mark[2], version, migrations))


def other_shards(connection: psycopg.Connection[Any], shard: str) -> list[str]:
    """Shards whose record is in this database too; their logs are elsewhere."""
    query = "SELECT DISTINCT shard FROM matching_watermark WHERE shard <> %s ORDER BY 1"
    return [name for (name,) in connection.execute(query, [shard])]


def bytes_of(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Everything in the database that is not PostgreSQL's own."""
    return [name for (name,) in connection.execute(_TABLES)]


def dump(dsn: str, paths: Paths, exported: Exported, target: Path, *, meanwhile: Callable[[], None]) -> None:
    """ToolFailed; `meanwhile` is called again and again and may raise, which ends the dump."""
    tool = _tool("pg_dump", paths, server_version=exported.point.server_version)
    arguments = ("--format=custom", f"--snapshot={exported.snapshot}", "--no-owner", "--no-privileges", "--no-sync")
    _run(dsn, [str(tool), *arguments, f"--file={target}"], meanwhile)


def restore(dsn: str, paths: Paths, source: Path, *, server_version: int) -> None:
    """All or nothing, in one transaction; then the planner's statistics. ToolFailed."""
    tool = _tool("pg_restore", paths, server_version=server_version)
    arguments = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    database = conninfo_to_dict(dsn).get("dbname") or "postgres"
    _run(dsn, [str(tool), *arguments, f"--dbname={database}", str(source)], lambda: None)
    with connect(dsn) as connection:
        connection.execute("ANALYZE")


def _tool(name: str, paths: Paths, *, server_version: int) -> Path:
    """The packaged one, else the one on PATH; it must not be older than the server."""
    found = []
    with contextlib.suppress(ConfigurationError):
        found.append(Postgres(paths).binary(name))
    if on_path := shutil.which(name):
        found.append(Path(on_path))
    versions = {path: _version(path) for path in found}
    for path, version in versions.items():
        if version >= server_version:
            return path
    have = ", ".join(f"{path} is of version {version}" for path, version in versions.items()) or "there is none"
    raise ToolFailed(
        f"PostgreSQL's server is of version {server_version} and needs a {name} that is not older; {have}. Install"
        f" the client programs of version {server_version} and put them on PATH."
    )


def _version(path: Path) -> int:
    done = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found.group(1)) if found else 0


def _run(dsn: str, argv: list[str], meanwhile: Callable[[], None]) -> None:
    """It ends with this process, whatever ends that; the connection travels by environment, where no `ps` shows it."""
    read_end, write_end = os.pipe()
    launch = Launch(tuple(argv), signal.SIGTERM, signal.SIGKILL, niceness=READER_NICENESS)
    try:
        with (
            tempfile.TemporaryFile("w+") as words,
            subprocess.Popen(
                launch.command(parent=os.getpid(), pipe=read_end),
                pass_fds=(read_end,),
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", **_environment(dsn)},
                stdout=subprocess.DEVNULL,
                stderr=words,
            ) as process,
        ):
            try:
                while process.poll() is None:
                    meanwhile()
                    time.sleep(POLL_S)
            finally:
                if process.poll() is None:
                    process.kill()
            words.seek(0)
            said = "\n".join(words.read().strip().splitlines()[-STDERR_LINES_SHOWN:])
    finally:
        os.close(read_end)
        os.close(write_end)
    if process.returncode != 0:
        raise ToolFailed(f"{Path(argv[0]).name} ended with code {process.returncode}: {said or 'without a word'}")


def _environment(dsn: str) -> dict[str, str]:
    """libpq's variables for a connection string."""
    same = ("host", "port", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey")
    names = {"dbname": "PGDATABASE"} | {key: f"PG{key.upper()}" for key in same}
    found = conninfo_to_dict(dsn)
    return {names[key]: str(value) for key, value in found.items() if key in names and value}
