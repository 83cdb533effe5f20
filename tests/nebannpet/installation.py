"""A small exchange for the tests of backup and restore: the test database, a shard's threads, and empty places."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from apps.matching import snapshots
from apps.streams.bus.redis import RedisBus
from nebannpet.backup.installation import Installation
from nebannpet.backup.restoring import Wanted
from nebannpet.paths import Paths
from tests.orders.live import LiveShard, Traffic, enqueue_set_up

SHARD = "spot"
KEY = "0123456789abcdef" * 4


def installation(data_dir: Path, dsn: str, core_url: str) -> Installation:
    data_dir.mkdir(parents=True, exist_ok=True)
    return Installation(Paths(data_dir), SHARD, dsn, core_url, KEY)


def trade(here: Installation, *, seed: int = 1, batches: int = 20, reigns: int = 2) -> None:
    """Money, markets and orders by a worker, relay and settlement in threads; a snapshot a reign; all is settled."""
    with contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        for part in range(reigns):
            with LiveShard(bus, here.snapshots_dir) as shard:
                if part == 0:
                    enqueue_set_up([(800, 1_000)])
                    shard.until_settled()
                traffic = Traffic(seed + part)
                for _ in range(batches):
                    bus.append_commands(traffic.frames(20))
                shard.until_settled()


def trim_log(here: Installation) -> None:
    """What the worker would forget by now, if it kept no events behind the slowest reader."""
    with contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        seq, command = snapshots.position_in_name(snapshots.kept(here.snapshots_dir)[-1])
        bus.trim(epoch=bus.epoch(), commands_to=command, events_to=seq - 1)


@contextlib.contextmanager
def empty_installation(data_dir: Path, server_dsn: str, core_url: str) -> Iterator[Installation]:
    """A new database on the same server, and the same redis-core's database 1."""
    name = f"restored_{uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield installation(data_dir, make_conninfo(server_dsn, dbname=name), f"{core_url}?db=1")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def wanted(directory: Path) -> Wanted:
    return Wanted(directory, embedded_postgres=False, embedded_core=False, without_credentials=False, say=print)


def other_key(here: Installation, key: str) -> Installation:
    return replace(here, credentials_key=key)


def noted(here: Installation) -> list[tuple[str, str, str, str]]:
    """Kind of actor, action, object and what was done: what operators did to the whole installation, oldest first."""
    with psycopg.connect(here.dsn) as connection:
        return connection.execute(
            "SELECT actor_kind, action, object, after::json ->> 'what' FROM audit_record"
            " WHERE starts_with(action, 'site.') ORDER BY at_ms"
        ).fetchall()
