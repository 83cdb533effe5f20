"""The manifest of a backup: what is in it, at which point, and the digest of every file.

Layout of a set
    manifest.json               written last; without it the set is an interrupted one
    postgres/database.dump      pg_dump's custom format, without owners and grants (apply_roles makes them)
    redis-core/keys.json        the small keys of the shard · commands.log, events.log: stream entries (entries.py)
    snapshots/<name>.snapshot   as the worker wrote them
    archive/...                 the archive's directory of the shard, files as they were
    secrets/...                 development only (secrets.py)

The manifest carries the digest of its own content, so that a flipped byte in it is seen like one in any other file.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

from nebannpet.backup.errors import NotABackup

FORMAT: Final = 1
NAME: Final = "manifest.json"
DIGEST_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class FilePart:
    """`path` is relative to the set, with slashes; `digest` is blake2b-256 in hexadecimal."""

    path: str
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class DatabasePoint:
    """Where PostgreSQL stands: settlement's watermark, and the migrations ('app.name') it has."""

    seq: int
    chain: str
    epoch: int
    server_version: int
    migrations: list[str]


@dataclass(frozen=True, slots=True)
class LogPoint:
    """Where redis-core's log stands; entry ids as 'ms-n'."""

    seq: int
    chain: str
    last_command: str
    newest_command: str
    epoch: int
    trimmed_command: str
    trimmed_seq: int
    command_entries: int
    event_entries: int


@dataclass(frozen=True, slots=True)
class SnapshotPoint:
    file: str
    seq: int
    chain: str
    last_command: str
    rules_version: int


@dataclass(frozen=True, slots=True)
class ArchivePoint:
    """At least everything up to these positions is in the archive's files: '' where there is no archive."""

    events: str = ""
    commands: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`made_at` is UTC, ISO 8601. `credentials` is a fingerprint of the key that encrypts API secrets. `other_shards`
    have their record in the dump, but their logs are not in this set."""

    made_at: str
    shard: str
    rules_version: int
    database: DatabasePoint
    log: LogPoint
    snapshots: list[SnapshotPoint]
    archive: ArchivePoint
    credentials: str
    other_shards: list[str] = field(default_factory=list)
    files: list[FilePart] = field(default_factory=list)
    format: int = FORMAT

    def write(self, directory: Path) -> None:
        """Durably, and under its name only when whole."""
        content = asdict(self)
        text = json.dumps({**content, "digest": _digest(content)}, indent=1).encode("ascii")
        unfinished = directory / (NAME + ".writing")
        with unfinished.open("xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(directory / NAME)
        sync_directory(directory)

    @classmethod
    def read(cls, directory: Path) -> Self:
        """NotABackup where the set is interrupted, of another format, or its manifest was altered."""
        path = directory / NAME
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise NotABackup(
                f"{directory} has no {NAME}: it is not a backup, or one that was interrupted. Use another one."
            ) from None
        except (OSError, ValueError) as error:
            raise NotABackup(f"{path} cannot be read: {error}. Use another copy of this backup.") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise NotABackup(f"{path} is not of format {FORMAT}, the one this release reads.")
        if content.pop("digest", "") != _digest(content):
            raise NotABackup(f"{path} was altered: its content does not match its digest. Use another copy.")
        return cls(
            **{
                **content,
                "database": DatabasePoint(**content["database"]),
                "log": LogPoint(**content["log"]),
                "snapshots": [SnapshotPoint(**entry) for entry in content["snapshots"]],
                "archive": ArchivePoint(**content["archive"]),
                "files": [FilePart(**entry) for entry in content["files"]],
            }
        )

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.files)


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    return blake2b(canonical, digest_size=DIGEST_SIZE).hexdigest()


def sync_directory(directory: Path) -> None:
    """Make the names in it durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
