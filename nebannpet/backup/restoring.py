"""The story of a restore. Every check that can be made comes before the first change.

    verify    manifest and every digest · this release can read the set · the key of the API secrets is the right one
    empty     database, log, snapshots and archive of this installation, unless this very restore broke off here before
    restore   snapshots and archive -> PostgreSQL (one transaction) -> log (one transaction)
    prove     recovery as at a start: all its checks, and the commands after the snapshot replayed and compared

A marker in the data directory names the set from the first change to the proof. While it is there `make run` refuses to
start, and the same restore goes on where it was: each part is either absent or whole.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from apps.common.crashpoints import reach
from apps.matching.authority import AuthorityAway, PostgresAuthority
from apps.matching.engine import Engine
from apps.matching.errors import Halt
from apps.matching.recovery import Recovered, recover
from apps.streams.bus.errors import BusError
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus
from nebannpet.backup import database, files, secrets, servers
from nebannpet.backup.audited import noted
from nebannpet.backup.database import ToolFailed
from nebannpet.backup.errors import RestoreFailed, RestoreRefused
from nebannpet.backup.installation import Installation
from nebannpet.backup.log_restore import found_keys, restore_log
from nebannpet.backup.manifest import Manifest, sync_directory
from nebannpet.backup.marker import Marker
from nebannpet.backup.preconditions import check_database, check_empty, check_release
from nebannpet.paths import Paths
from nebannpet.preflight import check_disk, lock_data_directory


@dataclass(frozen=True, slots=True)
class Wanted:
    """`embedded_*`: no address is set, so the packaged server is started for the time. `say` gets lines of progress."""

    directory: Path
    embedded_postgres: bool
    embedded_core: bool
    without_credentials: bool
    say: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    seq: int
    state_hash: str


def check_set(here: Installation, wanted: Wanted) -> Manifest:
    """NotABackup or RestoreRefused; nothing is changed, and no server is needed."""
    manifest = Manifest.read(wanted.directory)
    files.verify(wanted.directory, manifest)
    if manifest.shard != here.shard:
        raise RestoreRefused(f"This is a backup of shard {manifest.shard}; this installation is shard {here.shard}.")
    check_release(manifest)
    if not wanted.without_credentials:
        secrets.check_key(here.paths, here.credentials_key, wanted.directory, manifest.credentials)
    return manifest


def restore_all(here: Installation, wanted: Wanted) -> Restored:
    """The whole set into an empty installation. NotABackup, RestoreRefused, RestoreFailed."""
    manifest = check_set(here, wanted)
    wanted.say(f"verified: {len(manifest.files)} files, {manifest.bytes} bytes, made {manifest.made_at}")
    with _alone(here, wanted), _failures_named():
        marker = Marker(here, wanted.directory)
        check_empty(here, manifest, again=marker.is_there())
        marker.set()
        _restore_files(here, wanted.directory, manifest)
        secrets.restore_secrets(here.paths, wanted.directory)
        reach("restore.files.after")
        wanted.say(f"restored: {len(manifest.snapshots)} snapshots and the archive's files")
        _restore_database(here, wanted.directory, manifest)
        reach("restore.database.after")
        wanted.say(f"restored: PostgreSQL, settled up to event {manifest.database.seq}")
        with contextlib.closing(Link(here.core_url)) as link:
            if not found_keys(link, here.shard):
                restore_log(link, wanted.directory, manifest)
        reach("restore.log.after")
        wanted.say(f"restored: the log up to event {manifest.log.seq}")
        with noted(here, "site.restored", _of(manifest, "all")):
            recovered = _prove(here)
        marker.remove()
    return Restored(manifest, recovered.position.seq, recovered.core.state_hash())


def restore_database_only(here: Installation, wanted: Wanted) -> Manifest:
    """PostgreSQL alone from an older set, while the log and the archive live on. The database must be empty."""
    manifest = check_set(here, wanted)
    mark = manifest.database
    with _alone(here, wanted), _failures_named(), contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        head = bus.head()
        if head.seq < mark.seq:
            raise RestoreRefused(
                f"The log ends at event {head.seq}, before the backup's {mark.seq}: it is not the log that lived on."
                " Restore the whole backup into an empty installation instead."
            )
        chain = bus.chain_at(mark.seq) if mark.seq else ""
        if chain is not None and chain != mark.chain:
            raise RestoreRefused(f"At event {mark.seq} log and backup have different histories; never mix them.")
        check_database(here, manifest, again=False)
        _restore_database(here, wanted.directory, manifest)
        with noted(here, "site.restored", _of(manifest, "database")):
            pass
    return manifest


def _of(manifest: Manifest, what: str) -> dict[str, str | int]:
    return {"what": what, "made_at": manifest.made_at, "settled": manifest.database.seq}


# -- before the first change ------------------------------------------------------------------------------------------
@contextlib.contextmanager
def alone(here: Installation, who: str, *, postgres: bool, core: bool) -> Iterator[None]:
    """No supervisor on this data directory, the embedded servers running where the installation uses them.

    They belong to the first shard's supervisor, so its lock is needed too: a second server on the same files is ruin.
    """
    check_disk(here.paths)
    first = Paths(here.paths.data_dir)
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock_data_directory(here.paths, who))
        if first != here.paths and (postgres or core):
            stack.enter_context(lock_data_directory(first, who))
        stack.enter_context(servers.running(first, postgres=postgres, core=core))
        yield


def _alone(here: Installation, wanted: Wanted) -> contextlib.AbstractContextManager[None]:
    return alone(here, "manage.py restore", postgres=wanted.embedded_postgres, core=wanted.embedded_core)


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except Halt as halt:
        raise RestoreFailed(f"What was restored does not pass the start-up checks: {halt}") from halt
    except (psycopg.Error, BusError, ToolFailed, AuthorityAway, OSError) as error:
        text = str(error).strip().removesuffix(".")
        raise RestoreFailed(f"{text}. Put that right and run the same command again; it goes on.") from error


# -- the parts --------------------------------------------------------------------------------------------------------
def _restore_files(here: Installation, set_: Path, manifest: Manifest) -> None:
    """Snapshots and archive, each file under its name only when whole."""
    for prefix, directory in (("snapshots/", here.snapshots_dir), ("archive/", here.archive_dir)):
        for part in manifest.files:
            if not part.path.startswith(prefix):
                continue
            target = directory / part.path.removeprefix(prefix)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = target.with_name(target.name + ".restoring")
            with (set_ / part.path).open("rb") as source, fresh.open("wb") as file:
                while chunk := source.read(files.CHUNK_BYTES):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
            sync_directory(target.parent)


def _restore_database(here: Installation, set_: Path, manifest: Manifest) -> None:
    """All or nothing; a repetition finds it whole."""
    with database.connect(here.dsn) as connection:
        if database.tables(connection):
            return
        version = connection.info.server_version // 10_000
    database.restore(here.dsn, here.paths, set_ / database.DUMP_FILE, server_version=version)


# -- the proof --------------------------------------------------------------------------------------------------------
def _prove(here: Installation) -> Recovered:
    """A Halt where the set would not start."""
    settled = PostgresAuthority(here.dsn, here.shard).settled()
    with contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        return recover(bus, here.snapshots_dir, Engine, settled)
