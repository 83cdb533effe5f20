"""Snapshot files: the state of an engine at one durable position, named by it and proven by a checksum.

Layout of a file
    8 bytes magic · 32 bytes blake2b of all that follows · u32 length of the header · header (JSON) · body.
    The header has seq, chain, last_cmd, frames, rules_version; the body belongs to the engine.

Rules (architecture.md section 3, Recovery)
    A file gets its name only after it was fsynced and read back. Names sort by (seq, command id), and a file whose
    header says another position than its name is not used. SNAPSHOTS_KEPT stay; nothing is deleted while the shard is
    halted, because only a successful new snapshot makes old ones go.
    Active worker and standby share the directory: an unfinished file has a name of its own and is locked by whoever
    writes it. The system gives the lock back when a writer dies, so a leftover is told from a file at work without
    process ids, which mean nothing across containers.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from apps.matching.core import Core, CoreClass, Position
from apps.matching.errors import SnapshotCorrupt, SnapshotsUnreadable
from apps.matching.policy import SNAPSHOTS_KEPT
from apps.streams.bus.base import SEQ_MAX, EntryId

log = structlog.get_logger(__name__)

MAGIC: Final = b"NBPTfil1"
DIGEST_SIZE: Final = 32
SUFFIX: Final = ".snapshot"
UNFINISHED: Final = ".writing"
DAMAGED: Final = ".damaged"
FIRST_OF_VERSION: Final = "first-of-v"
# os.write() of everything at once would be cut at 2 GiB.
WRITE_BYTES: Final = 64 * 2**20

_NAME: Final = re.compile(r"\d{16}-\d{14}-\d{10}\.snapshot", re.ASCII)
_CHAIN: Final = re.compile(r"[0-9a-f]{64}|")
_COMMAND: Final = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A loaded file; `body` is for the engine of that rules version."""

    position: Position
    rules_version: int
    body: bytes
    path: Path

    @property
    def seq(self) -> int:
        return self.position.seq

    @property
    def chain(self) -> str:
        return self.position.chain

    @property
    def last_cmd(self) -> EntryId:
        return self.position.last_cmd


def shard_dir(data_dir: Path, shard: str) -> Path:
    return data_dir / "snapshots" / shard


def name_of(position: Position) -> str:
    cmd = position.last_cmd
    return f"{position.seq:016d}-{cmd.ms:014d}-{cmd.n:010d}{SUFFIX}"


def position_in_name(path: Path) -> tuple[int, EntryId]:
    """(seq, last command id) without opening the file."""
    seq, ms, n = path.name.removesuffix(SUFFIX).split("-")
    return int(seq), EntryId(int(ms), int(n))


def encode(position: Position, rules_version: int, body: bytes) -> bytes:
    header = json.dumps(
        {
            "seq": position.seq,
            "chain": position.chain,
            "last_cmd": str(position.last_cmd),
            "frames": position.frames,
            "rules_version": rules_version,
        }
    ).encode("ascii")
    content = len(header).to_bytes(4, "little") + header + body
    return MAGIC + blake2b(content, digest_size=DIGEST_SIZE).digest() + content


def decode(content: bytes, path: Path) -> Snapshot:
    """SnapshotCorrupt where the bytes are not exactly what encode() gave, and no other exception."""
    start = len(MAGIC) + DIGEST_SIZE
    if content[: len(MAGIC)] != MAGIC:
        raise SnapshotCorrupt(f"{path.name} is not a snapshot file")
    if blake2b(content[start:], digest_size=DIGEST_SIZE).digest() != content[len(MAGIC) : start]:
        raise SnapshotCorrupt(f"{path.name} does not match its checksum")
    end = start + 4 + int.from_bytes(content[start : start + 4], "little")
    if end > len(content):
        raise SnapshotCorrupt(f"{path.name} ends within its header")
    try:
        position, rules_version = _header(json.loads(content[start + 4 : end].decode("ascii")))
    except (ValueError, RecursionError) as error:
        raise SnapshotCorrupt(f"the header of {path.name} is not one: {error}") from error
    return Snapshot(position, rules_version, content[end:], path)


def _header(values: object) -> tuple[Position, int]:
    """ValueError for anything that encode() does not write."""
    if not isinstance(values, dict) or values.keys() != {"seq", "chain", "last_cmd", "frames", "rules_version"}:
        raise ValueError("other fields than those of a snapshot")
    numbers = [values[name] for name in ("seq", "frames", "rules_version")]
    if not all(type(number) is int and 0 <= number <= SEQ_MAX for number in numbers):
        raise ValueError("a number is out of range")
    chain, command = values["chain"], values["last_cmd"]
    if not isinstance(chain, str) or not _CHAIN.fullmatch(chain):
        raise ValueError("the chain is not 64 hexadecimal digits")
    found = _COMMAND.fullmatch(command) if isinstance(command, str) else None
    if found is None:
        raise ValueError("the last command is not an entry id")
    seq, frames, rules_version = numbers
    return Position(seq, chain, EntryId(int(found[1]), int(found[2])), frames), rules_version


def load(path: Path) -> Snapshot:
    """SnapshotCorrupt where the file is damaged, unreadable, or named after another position than it holds."""
    snapshot = decode(_content(path), path)
    if _NAME.fullmatch(path.name) and path.name != name_of(snapshot.position):
        raise SnapshotCorrupt(f"{path.name} holds the snapshot {name_of(snapshot.position)}: files were exchanged")
    return snapshot


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise SnapshotCorrupt(f"{path.name} cannot be read: {error}") from error


def kept(directory: Path) -> list[Path]:
    """Snapshot files, newest first; not checked. Empty too where the directory cannot be looked at."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            log.error("the snapshot directory cannot be read", directory=str(directory), error=str(error))
        return []
    return [directory / name for name in sorted(filter(_NAME.fullmatch, names), reverse=True)]


def good(directory: Path) -> Iterator[Snapshot]:
    """Those that load, newest first; the others are named in the log and stay where they are.

    SnapshotsUnreadable where the directory cannot be looked at: "no snapshot" would be a wrong answer.
    """
    try:
        os.listdir(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SnapshotsUnreadable(
            f"the snapshot directory {directory} cannot be read: {error}. Give the process access to it (owner, rights,"
            " mount) and start again; without it nobody can say where the log must be replayed from."
        ) from error
    for path in kept(directory):
        try:
            yield load(path)
        except SnapshotCorrupt as damage:
            log.error("snapshot cannot be used, trying an older one", reason=str(damage))


def newest(directory: Path) -> Snapshot | None:
    """The newest file that loads."""
    return next(good(directory), None)


def write(directory: Path, core: Core, core_class: CoreClass, position: Position) -> Path:
    """Write the core's state, prove the file by loading it into another core, then give it its name.

    Uses only the file system and the core, so that a forked child may call it. OSError or SnapshotCorrupt: the
    directory holds no new snapshot.
    """
    directory.mkdir(parents=True, exist_ok=True)
    body = core.snapshot()
    path = directory / name_of(position)
    unproven, descriptor = _open_unfinished(path)
    try:
        _write_durably(descriptor, encode(position, core_class.RULES_VERSION, body))
        if core_class.restore(decode(_content(unproven), unproven).body).snapshot() != body:
            raise SnapshotCorrupt(f"{path.name} does not give the state it was made of")
        os.replace(unproven, path)
        _sync_directory(directory)
    except BaseException:
        unproven.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return path


def prune(directory: Path) -> list[Path]:
    """Delete all but the newest SNAPSHOTS_KEPT; returns those that stay, newest first."""
    paths = kept(directory)
    for path in paths[SNAPSHOTS_KEPT:]:
        path.unlink(missing_ok=True)  # the other worker prunes too
    return paths[:SNAPSHOTS_KEPT]


def keep_first_of_version(directory: Path, position: Position, rules_version: int) -> None:
    """A second name for the first snapshot of a rules version, which no pruning takes away.

    Replays of that version begin from it; the archive fetches it from here, also when it was not running just then.
    """
    first = directory / f"{FIRST_OF_VERSION}{rules_version}"
    first.mkdir(exist_ok=True)
    path = first / name_of(position)
    if not path.exists():
        os.link(directory / path.name, path)
        _sync_directory(first)
        _sync_directory(directory)


def firsts_of_versions(directory: Path) -> list[Path]:
    """What `keep_first_of_version` has kept."""
    return [path for first in sorted(directory.glob(f"{FIRST_OF_VERSION}*")) for path in kept(first)]


def set_aside_damaged(directory: Path) -> list[str]:
    """Rename files that do not load, so that none of them counts as one of the SNAPSHOTS_KEPT; their old names.

    Reads every file, so it is for a writer beside trading. The renamed file stays for whoever looks into it.
    """
    renamed = []
    for path in kept(directory):
        try:
            load(path)
        except SnapshotCorrupt:
            with contextlib.suppress(FileNotFoundError):  # pruned meanwhile
                os.replace(path, path.with_suffix(DAMAGED))
                renamed.append(path.name)
    return renamed


def remove_unfinished(directory: Path) -> None:
    """Files of writers that died; what another process is writing stays."""
    for path in directory.glob(f"*{UNFINISHED}"):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("unfinished snapshot cannot be removed", file=path.name, error=str(error))
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            log.info("another process is writing a snapshot", file=path.name)
        finally:
            os.close(descriptor)


def _open_unfinished(path: Path) -> tuple[Path, int]:
    """A new file for the snapshot that will be `path`, and its locked descriptor."""
    while True:
        unproven = path.with_suffix(f".{os.getpid()}-{os.urandom(4).hex()}{UNFINISHED}")
        descriptor = os.open(unproven, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(unproven)):
                return unproven, descriptor
        except FileNotFoundError:
            pass  # taken for a leftover between open and lock
        os.close(descriptor)


def _write_durably(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view[:WRITE_BYTES]) :]
    os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
