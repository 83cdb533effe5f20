"""Base snapshots: what a replay can begin from. The archive keeps the first snapshot of each rules version (the one
written at the hand-over, before that version's first event) and, where it begins on a trimmed log, one from there.

They are hard links to the worker's own files where both directories are on one file system, else copies. A BASE block
in the archive says what is in each of them, so that one that was lost, changed or exchanged is noticed.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import structlog

from apps.common.clock import now_ms
from apps.matching import snapshots
from apps.matching.core import Position
from apps.matching.engine.snapshot import state_hash
from apps.matching.errors import SnapshotCorrupt
from apps.matching.snapshots import Snapshot
from apps.orders.archive import policy
from apps.orders.archive.errors import ArchiveDamaged, ArchiveStopped
from apps.orders.archive.packing import Base, Ends
from apps.orders.archive.segments import bases_dir, sync_directory
from apps.streams.bus.base import EntryId

log = structlog.get_logger(__name__)


def snapshot_position(path: Path) -> Position | None:
    """Where a snapshot stands, by its header alone; None where that cannot be read (pruned, damaged)."""
    found = _header(path)
    return found[0] if found is not None else None


def keep(directory: Path, path: Path) -> Base | None:
    """Put a snapshot into the archive's own directory, durable and proven; None where it cannot be used."""
    header = _header(path)
    if header is None:
        return None
    # Two rules versions may have a snapshot at one position, under one name.
    target = bases_dir(directory) / f"v{header[1]}-{path.name}"
    try:
        if not target.exists():
            _link_or_copy(path, target)
        snapshot = snapshots.load(target)
    except (SnapshotCorrupt, FileNotFoundError) as gone:
        log.warning("a snapshot could not be kept in the archive", file=path.name, reason=str(gone))
        target.unlink(missing_ok=True)
        return None
    sync_directory(bases_dir(directory))
    return describe(snapshot, target)


def describe(snapshot: Snapshot, path: Path) -> Base:
    content = path.read_bytes()
    return Base(
        name=path.name, seq=snapshot.seq, chain=snapshot.chain, cmd=snapshot.last_cmd,
        rules_version=snapshot.rules_version, state_hash=state_hash(snapshot.body),
        digest=blake2b(content, digest_size=32).hexdigest(), size=len(content), taken_ms=now_ms(),
    )  # fmt: skip


def load(directory: Path, base: Base) -> Snapshot:
    """The kept snapshot, proven to be the one that was kept; ArchiveDamaged otherwise."""
    path = bases_dir(directory) / base.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArchiveDamaged(f"base snapshot {base.name} of the archive cannot be read: {error}") from error
    if blake2b(content, digest_size=32).hexdigest() != base.digest:
        raise ArchiveDamaged(f"base snapshot {base.name} of the archive is not the file that was kept")
    try:
        snapshot = snapshots.decode(content, path)
    except SnapshotCorrupt as damage:
        raise ArchiveDamaged(f"base snapshot of the archive: {damage}") from damage
    found = (snapshot.seq, snapshot.chain, snapshot.last_cmd, snapshot.rules_version, state_hash(snapshot.body))
    if found != (base.seq, base.chain, base.cmd, base.rules_version, base.state_hash):
        raise ArchiveDamaged(f"base snapshot {base.name} of the archive holds another state than its block says")
    return snapshot


def first_of_trimmed_log(directory: Path, snapshots_dir: Path, begin: Ends) -> Base:
    """The oldest kept snapshot that is not before the begin of an archive of a trimmed log; ArchiveStopped if none."""
    for path in reversed(snapshots.kept(snapshots_dir)):
        seq, cmd = snapshots.position_in_name(path)
        if seq >= begin.seq and cmd >= begin.cmd and (base := keep(directory, path)) is not None:
            return base
    raise ArchiveStopped(
        f"the log was trimmed up to command {begin.cmd}, and {snapshots_dir} holds no snapshot from there on: an"
        " archive of it could never be replayed. Start the matching process, which writes one, then this one again."
    )


class BaseWatch:
    """Looks for snapshots of a rules version that has no base yet."""

    def __init__(self, directory: Path, snapshots_dir: Path) -> None:
        self._directory = directory
        self._snapshots_dir = snapshots_dir
        self._seen: set[str] = set()
        self._look_s = float("-inf")

    def look(self, known: Sequence[Base], begin: Ends) -> list[Base]:
        """New bases not before `begin`, already durable in their directory; none within SNAPSHOT_LOOK_S of the last
        look. What the caller could not write down is found again."""
        if time.monotonic() < self._look_s:
            return []
        self._look_s = time.monotonic() + policy.SNAPSHOT_LOOK_S
        versions = {base.rules_version for base in known if base.seq >= begin.seq}
        paths = [*snapshots.firsts_of_versions(self._snapshots_dir), *reversed(snapshots.kept(self._snapshots_dir))]
        found = []
        for path in (path for path in paths if _key(path) not in self._seen):
            key, header, base = _key(path), _header(path), None
            if header is not None and header[1] not in versions:
                position = header[0]
                if position.seq >= begin.seq and position.last_cmd >= begin.cmd:
                    base = keep(self._directory, path)
            if base is None:
                self._seen.add(key)
                continue
            found.append(base)
            versions.add(base.rules_version)
            log.info("base snapshot kept", file=base.name, rules_version=base.rules_version, state=base.state_hash)
        return found

    def newest(self) -> Base | None:
        """The newest snapshot as a base, for a retention that needs a later one."""
        for path in snapshots.kept(self._snapshots_dir):
            if (base := keep(self._directory, path)) is not None:
                return base
        return None


def _key(path: Path) -> str:
    """Name and age: a hand-over writes a snapshot of the new rules under the name of the one it began from."""
    try:
        return f"{path}:{path.stat().st_mtime_ns}"
    except FileNotFoundError:
        return str(path)


def _header(path: Path) -> tuple[Position, int] | None:
    """(position, rules version) of a snapshot file whose name agrees with them; nothing else of it is read."""
    start = len(snapshots.MAGIC) + snapshots.DIGEST_SIZE
    try:
        with path.open("rb") as file:
            head = file.read(start + 4)
            found = json.loads(file.read(int.from_bytes(head[start:], "little")))
        cmd = EntryId.parse(found["last_cmd"])
        position = Position(int(found["seq"]), str(found["chain"]), cmd, int(found["frames"]))
        version = int(found["rules_version"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not head.startswith(snapshots.MAGIC) or snapshots.name_of(position) != path.name:
        return None
    return position, version


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
        return
    except FileNotFoundError:
        raise
    except OSError:
        pass  # another file system, or one without links: a copy does as well
    unfinished = target.with_suffix(".writing")
    with path.open("rb") as source, unfinished.open("wb") as copy:
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    unfinished.replace(target)
