"""The story of a backup. See nebannpet/backup/__init__.py for why this order gives one consistent set."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from apps.common.crashpoints import reach
from apps.matching import snapshots
from apps.matching.engine import Engine
from apps.matching.errors import SnapshotCorrupt
from apps.matching.snapshots import Snapshot
from apps.streams.bus.base import START, Bus, EntryId
from apps.streams.bus.errors import BusError, BusRefused
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus
from nebannpet.backup import database, log_copy, secrets
from nebannpet.backup.cursors import LogHeld
from nebannpet.backup.database import Exported, ToolFailed
from nebannpet.backup.errors import BackupFailed
from nebannpet.backup.files import NewSet
from nebannpet.backup.installation import Installation
from nebannpet.backup.log_copy import Copied, Point, read_point
from nebannpet.backup.manifest import ArchivePoint, LogPoint, Manifest, SnapshotPoint

# apps/orders/archive/segments.py
SEGMENT_SUFFIX: Final = ".segment"
FIRST_NAME: Final = "first.json"
ARCHIVE_CURSORS: Final = ("archive-events", "archive-commands")


def make_backup(here: Installation, directory: Path) -> Manifest:
    """BackupFailed with the reason; then the directory is as empty as before."""
    new = NewSet(directory)
    for part in (here.snapshots_dir, here.archive_dir):
        if directory.resolve().is_relative_to(part.resolve()):
            raise BackupFailed(f"{directory} is inside {part}, which is part of the backup; choose another place.")
    new.begin()
    try:
        return _make(here, new)
    except BaseException as error:
        new.remove()
        if isinstance(error, (psycopg.Error, BusError, ToolFailed, OSError)):
            raise BackupFailed(f"{_what(error)} Nothing of the backup was kept.") from error
        raise


def _what(error: Exception) -> str:
    text = str(error).strip().removesuffix(".") + "."
    if isinstance(error, psycopg.OperationalError):
        return f"PostgreSQL does not answer, or refuses: {text} Is the exchange running?"
    if isinstance(error, BusError):
        return f"redis-core does not answer, or refuses: {text} Is the exchange running?"
    return text


def _make(here: Installation, new: NewSet) -> Manifest:
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    with database.connect(here.dsn) as connection, contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        if not database.be_the_only_one(connection):
            raise BackupFailed("Another backup or restore is running on this database; wait for its end.")
        new.check_room(_estimate(here, connection))
        archived = _archived(bus)
        with LogHeld(bus.another(), events=_events_needed(bus, archived), commands=_commands_needed(here, archived)):
            kept = _copy_snapshots(here, new)
            _copy_archive(here, new)
            secrets.copy_secrets(here.paths, here.credentials_key, new)
            with _at_one_point(here, connection) as (exported, link, point):
                reach("backup.point.after")
                wanted = {exported.point.seq, *(snapshot.seq for snapshot in kept)}
                copied = log_copy.copy_log(link, here.shard, point, new, chains_at=wanted)
                point = _with_trimmed(link, here.shard, point)
                dump = new.place(database.DUMP_FILE)
                database.dump(here.dsn, here.paths, exported, dump, meanwhile=new.check_room)
                new.adopt(database.DUMP_FILE)
                others = database.other_shards(connection, here.shard)
    _check(exported, point, kept, copied)
    manifest = Manifest(
        made_at=made_at,
        shard=here.shard,
        rules_version=Engine.RULES_VERSION,
        database=exported.point,
        log=_log_point(point, copied),
        snapshots=[_snapshot_point(snapshot) for snapshot in kept],
        archive=archived,
        credentials=secrets.own_fingerprint(here.paths, here.credentials_key),
        other_shards=others,
        files=new.parts,
    )
    reach("backup.manifest.before")
    new.finish(manifest)
    return manifest


# -- what trimming must leave -----------------------------------------------------------------------------------------
def _archived(bus: Bus) -> ArchivePoint:
    """How far the archive's files go at least: its cursors move after its files are durable."""
    cursors = bus.cursors()
    events, commands = (cursors[name].position if name in cursors else "" for name in ARCHIVE_CURSORS)
    return ArchivePoint(events, commands)


def _events_needed(bus: Bus, archived: ArchivePoint) -> int:
    settled = bus.cursors().get("settlement")
    positions = [int(settled.position) if settled is not None else 0]
    if archived.events:
        positions.append(int(archived.events))
    return min(positions)


def _commands_needed(here: Installation, archived: ArchivePoint) -> EntryId:
    positions = [snapshots.position_in_name(path)[1] for path in snapshots.kept(here.snapshots_dir)] or [START]
    if archived.commands:
        positions.append(EntryId.parse(archived.commands))
    return min(positions)


# -- the parts --------------------------------------------------------------------------------------------------------
def _copy_snapshots(here: Installation, new: NewSet) -> list[Snapshot]:
    """Newest first, those that load; without their bodies. A newer one may come meanwhile and push the oldest out."""
    kept = []
    for path in snapshots.kept(here.snapshots_dir):
        try:
            content = path.read_bytes()
            snapshot = snapshots.decode(content, path)
        except (SnapshotCorrupt, FileNotFoundError):
            continue
        with new.new_file(f"snapshots/{path.name}") as file:
            file.write(content)
        kept.append(Snapshot(snapshot.position, snapshot.rules_version, b"", path))
    return kept


def _copy_archive(here: Installation, new: NewSet) -> None:
    """The segments there are now, in their order: the last one may grow meanwhile and is a torn tail then, and a later
    one would leave a gap. Then the bases that they name, and last where the archive begins, since retention may delete
    segments meanwhile."""
    for path in sorted(here.archive_dir.glob(f"*{SEGMENT_SUFFIX}")):
        _copy_if_there(new, path, f"archive/{path.name}")
    others = [name for name in _files(here.archive_dir) if not name.endswith((SEGMENT_SUFFIX, ".writing", "lock"))]
    for name in sorted(others, key=lambda name: name == FIRST_NAME):
        _copy_if_there(new, here.archive_dir / name, f"archive/{name}")


def _copy_if_there(new: NewSet, source: Path, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        new.copy(source, path)


def _files(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        if path.is_file():
            yield path.relative_to(directory).as_posix()


@contextlib.contextmanager
def _at_one_point(here: Installation, connection: psycopg.Connection) -> Iterator[tuple[Exported, Link, Point]]:
    """PostgreSQL and the log at one moment; the relay waits for the two reads only."""
    link = Link(here.core_url)
    with database.connect(here.dsn) as reading, contextlib.closing(link):
        with database.numbering_stopped(connection):
            exported = database.export(reading, here.shard)
            point = read_point(link, here.shard)
        yield exported, link, point


def _with_trimmed(link: Link, shard: str, point: Point) -> Point:
    """What was trimmed while the streams were copied may be missing from the copy; then the copy says so."""
    now = log_copy.read_point(link, shard)
    return Point({**point.hashes, "trimmed": now.hashes["trimmed"]}, point.strings, point.newest)


# -- the check --------------------------------------------------------------------------------------------------------
def _check(exported: Exported, point: Point, kept: list[Snapshot], copied: Copied) -> None:
    """The start-up checks of recovery_checks.py, on the set. None can fail unless the exchange itself is ill."""
    mark = exported.point
    trimmed_cmd, trimmed_seq = point.trimmed
    faults = []
    if mark.seq > point.seq:
        faults.append(f"PostgreSQL is settled up to {mark.seq}, the log ends at {point.seq}")
    elif mark.seq and copied.chains.get(mark.seq) != mark.chain:
        faults.append(f"PostgreSQL and the log differ at event {mark.seq}, or the log no longer has it")
    if not kept and (trimmed_cmd, trimmed_seq) != (START, 0):
        faults.append(f"the log was trimmed up to command {trimmed_cmd}, and there is no snapshot that loads")
    for snapshot in kept[:1]:
        newest = EntryId.parse(point.newest["commands"] or "0-0")
        if snapshot.seq > point.seq or snapshot.last_cmd > newest:
            faults.append(f"snapshot {snapshot.path.name} is ahead of the log")
        elif snapshot.seq and copied.chains.get(snapshot.seq) != snapshot.chain:
            faults.append(f"snapshot {snapshot.path.name} and the log differ at event {snapshot.seq}")
        if trimmed_cmd > snapshot.last_cmd:
            faults.append(f"commands up to {trimmed_cmd} were trimmed, the newest snapshot ends at {snapshot.last_cmd}")
    if faults:
        raise BackupFailed(
            f"The parts do not belong together: {'; '.join(faults)}. Run it again; if it says the same, look up what"
            " the matching process reports (docs/runbooks/README.md)."
        )


def _log_point(point: Point, copied: Copied) -> LogPoint:
    trimmed_cmd, trimmed_seq = point.trimmed
    return LogPoint(
        seq=point.seq,
        chain=point.chain,
        last_command=point.hashes["head"].get("cmd", "0-0"),
        newest_command=point.newest["commands"] or "0-0",
        epoch=int(point.strings.get("epoch", "0")),
        trimmed_command=str(trimmed_cmd),
        trimmed_seq=trimmed_seq,
        command_entries=copied.command_entries,
        event_entries=copied.event_entries,
    )


def _snapshot_point(snapshot: Snapshot) -> SnapshotPoint:
    last = str(snapshot.last_cmd)
    return SnapshotPoint(snapshot.path.name, snapshot.seq, snapshot.chain, last, snapshot.rules_version)


def _estimate(here: Installation, connection: psycopg.Connection) -> int:
    """Bytes the set may need: the database's files, redis-core's memory, snapshots and archive."""
    memory = b""
    with contextlib.closing(Link(here.core_url)) as link, contextlib.suppress(BusRefused):  # not every user may ask
        memory = bytes(link.read("INFO", "memory"))
    used = next((int(line.split(b":")[1]) for line in memory.splitlines() if line.startswith(b"used_memory:")), 0)
    files = sum(
        os.path.getsize(directory / name)
        for directory in (here.snapshots_dir, here.archive_dir)
        for name in _files(directory)
        if (directory / name).exists()
    )
    return database.bytes_of(connection) + used + files
