"""Whether a set fits this release and this installation; each refusal before anything is changed."""

import contextlib
from typing import Final

import psycopg
from django.db.migrations.loader import MigrationLoader

from apps.matching.authority import PostgresAuthority
from apps.matching.engine import Engine
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus
from nebannpet.backup import database
from nebannpet.backup.errors import RestoreRefused
from nebannpet.backup.installation import Installation
from nebannpet.backup.log_restore import found_keys
from nebannpet.backup.manifest import Manifest

EXAMPLES_SHOWN: Final = 3


def check_release(manifest: Manifest) -> None:
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(manifest.database.migrations) - known):
        raise RestoreRefused(
            f"The backup was made by another release: its database has migrations that this one does not know"
            f" ({', '.join(newer[:EXAMPLES_SHOWN])}). Restore it with that release."
        )
    own, found = Engine.RULES_VERSION, manifest.rules_version
    at_head = bool(manifest.snapshots) and manifest.snapshots[0].seq == manifest.log.seq
    if found > own or (found < own and not at_head):
        raise RestoreRefused(
            f"The backup is of rules version {found}, this release has {own} and must not replay it. Restore it with"
            " the release it was made with, stop that one with SIGTERM, and start this one (docs/operations.md,"
            " Upgrade)."
        )


def _refuse_others(connection: psycopg.Connection) -> None:
    if not database.be_the_only_one(connection):
        raise RestoreRefused("A backup or another restore is running on this database; wait for its end.")


def check_database(here: Installation, manifest: Manifest, *, again: bool) -> None:
    """Nobody else at work, a server that can take the dump, and no tables but, at a repetition, those of this set."""
    with database.connect(here.dsn) as connection:
        if not database.be_the_only_one(connection):
            raise RestoreRefused("A backup or another restore is running on this database; wait for its end.")
        version = connection.info.server_version // 10_000
        if version < manifest.database.server_version:
            raise RestoreRefused(
                f"The backup was made of PostgreSQL {manifest.database.server_version}, this server is of version"
                f" {version}. Restore into a server that is not older."
            )
        if (found := database.tables(connection)) and not (again and _settled(here) == _mark(manifest)):
            raise RestoreRefused(_not_empty("The database", found))


def check_empty(here: Installation, manifest: Manifest, *, again: bool) -> None:
    """Everything, or at a repetition: everything is either empty or what this set holds."""
    check_database(here, manifest, again=again)
    closing = contextlib.closing
    with closing(RedisBus(here.core_url, here.shard)) as bus, closing(Link(here.core_url)) as link:
        if holder := bus.lease_holder():
            raise RestoreRefused(f"A matching worker is active here ({holder}). Stop it first.")
        if (found := found_keys(link, here.shard)) and not (again and bus.head().chain == manifest.log.chain):
            raise RestoreRefused(_not_empty("redis-core", found))
    if again:
        return
    for what, directory in (("The snapshots' directory", here.snapshots_dir), ("The archive", here.archive_dir)):
        if found := [path.name for path in directory.rglob("*") if not path.is_dir()]:
            raise RestoreRefused(_not_empty(f"{what} {directory}", found))


def _not_empty(what: str, found: list[str]) -> str:
    examples = ", ".join(found[:EXAMPLES_SHOWN]) + (", ..." if len(found) > EXAMPLES_SHOWN else "")
    return (
        f"{what} is not empty (it has {examples})."
        " A restore never replaces anything: move it aside, or restore into another installation, for example"
        " NEBANNPET_DATA=/some/new/directory."
    )


def _settled(here: Installation) -> tuple[int, str]:
    try:
        found = PostgresAuthority(here.dsn, here.shard).settled()
    except psycopg.errors.UndefinedTable:
        return -1, ""
    return found.seq, found.chain


def _mark(manifest: Manifest) -> tuple[int, str]:
    return manifest.database.seq, manifest.database.chain
