"""Snapshot files: the state of an engine at one durable position, named by it and proven by a checksum.

Layout of a file
    8 bytes magic · 32 bytes blake2b of all that follows · u32 length of the header · header (JSON) · body.
    The header has seq, chain, last_cmd, frames, rules_version; the body belongs to the engine.

Rules (architecture.md section 3, Recovery)
    A file gets its name only after it was fsynced and read back. Names sort by (seq, command id). SNAPSHOTS_KEPT stay;
    nothing is deleted while the shard is halted, because only a successful new snapshot makes old ones go.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from apps.matching.core import Core, CoreClass, Position
from apps.matching.errors import SnapshotCorrupt
from apps.matching.policy import SNAPSHOTS_KEPT
from apps.streams.bus.base import EntryId

log = structlog.get_logger(__name__)

MAGIC: Final = b"NBPTfil1"
DIGEST_SIZE: Final = 32
SUFFIX: Final = ".snapshot"
# os.write() of everything at once would be cut at 2 GiB.
WRITE_BYTES: Final = 64 * 2**20


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
    """SnapshotCorrupt where the bytes are not exactly what encode() gave."""
    start = len(MAGIC) + DIGEST_SIZE
    if content[: len(MAGIC)] != MAGIC:
        raise SnapshotCorrupt(f"{path.name} is not a snapshot file")
    if blake2b(content[start:], digest_size=DIGEST_SIZE).digest() != content[len(MAGIC) : start]:
        raise SnapshotCorrupt(f"{path.name} does not match its checksum")
    length = int.from_bytes(content[start : start + 4], "little")
    header = json.loads(content[start + 4 : start + 4 + length])
    position = Position(header["seq"], header["chain"], EntryId.parse(header["last_cmd"]), header["frames"])
    return Snapshot(position, header["rules_version"], content[start + 4 + length :], path)


def load(path: Path) -> Snapshot:
    """SnapshotCorrupt where the file is damaged or unreadable."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SnapshotCorrupt(f"{path.name} cannot be read: {error}") from error
    return decode(content, path)


def kept(directory: Path) -> list[Path]:
    """Snapshot files, newest first; not checked."""
    return sorted(directory.glob(f"*{SUFFIX}"), reverse=True)


def good(directory: Path) -> Iterator[Snapshot]:
    """Those that load, newest first; the others are named in the log and stay where they are."""
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
    unproven = path.with_suffix(".writing")
    try:
        _write_durably(unproven, encode(position, core_class.RULES_VERSION, body))
        if core_class.restore(load(unproven).body).snapshot() != body:
            raise SnapshotCorrupt(f"{path.name} does not give the state it was made of")
        os.replace(unproven, path)
        _sync_directory(directory)
    except BaseException:
        unproven.unlink(missing_ok=True)
        raise
    return path


def prune(directory: Path) -> list[Path]:
    """Delete all but the newest SNAPSHOTS_KEPT; returns those that stay, newest first."""
    paths = kept(directory)
    for path in paths[SNAPSHOTS_KEPT:]:
        path.unlink()
    return paths[:SNAPSHOTS_KEPT]


def remove_unfinished(directory: Path) -> None:
    """Files of a writer that died; called when nobody writes."""
    for path in directory.glob("*.writing"):
        path.unlink()


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view[:WRITE_BYTES]) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
