"""Files of a set: written once, durably, with their digest; and checked again before a restore."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final

from nebannpet.backup.errors import BackupFailed, NotABackup
from nebannpet.backup.manifest import DIGEST_SIZE, NAME, FilePart, Manifest, sync_directory
from nebannpet.preflight import FREE_BYTES_MIN

CHUNK_BYTES: Final = 4 * 2**20


class NewFile:
    """A file being written; `write` counts and hashes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = blake2b(digest_size=DIGEST_SIZE)
        self.bytes = 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)
        self.bytes += len(content)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class NewSet:
    """The directory of a backup being made. `parts` grows by every finished file; nothing is ever overwritten."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.parts: list[FilePart] = []

    def begin(self) -> None:
        """Make the directory; BackupFailed unless it is new or empty."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self.directory.iterdir()):
                raise BackupFailed(f"{self.directory} is not empty; a backup needs a new or empty directory.")
            self.directory.chmod(0o700)
        except OSError as error:
            raise BackupFailed(f"{self.directory} cannot be used: {error.strerror or error}.") from error

    def remove(self) -> None:
        """Take away what was written; the directory itself stays, since it may have been there before."""
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def check_room(self, bytes_needed: int = 0) -> None:
        """BackupFailed where the disk would get below the room that the exchange itself needs."""
        free = shutil.disk_usage(self.directory).free
        if free - bytes_needed < FREE_BYTES_MIN:
            raise BackupFailed(
                f"The disk of {self.directory} has {free // 1_000_000} MB free; the backup needs up to"
                f" {bytes_needed // 1_000_000} MB more and leaves {FREE_BYTES_MIN // 1_000_000} MB. Make room, or"
                " choose another disk."
            )

    @contextlib.contextmanager
    def new_file(self, path: str) -> Iterator[NewFile]:
        """A file at `path` below the set, durable at the end of the block."""
        target = self.place(path)
        with open(target, "xb", opener=_private) as file:
            new = NewFile(file)
            yield new
            file.flush()
            os.fsync(file.fileno())
        self.parts.append(FilePart(path, new.bytes, new.digest))

    def copy(self, source: Path, path: str) -> None:
        """As much of `source` as it has when it is opened: files may grow meanwhile."""
        with source.open("rb") as original, self.new_file(path) as copy:
            left = os.fstat(original.fileno()).st_size
            while left > 0 and (chunk := original.read(min(CHUNK_BYTES, left))):
                self.check_room()
                copy.write(chunk)
                left -= len(chunk)

    def adopt(self, path: str) -> None:
        """A file that another program wrote at `place(path)`."""
        target = self.directory / path
        with target.open("rb+") as file:
            os.fsync(file.fileno())
        self.parts.append(FilePart(path, target.stat().st_size, digest_of(target)))

    def place(self, path: str) -> Path:
        target = self.directory / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return target

    def finish(self, manifest: Manifest) -> None:
        """Make all names durable, then the manifest."""
        for directory in sorted({path.parent for path in self.directory.rglob("*")} | {self.directory}):
            sync_directory(directory)
        manifest.write(self.directory)
        sync_directory(self.directory.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def digest_of(path: Path) -> str:
    digest = blake2b(digest_size=DIGEST_SIZE)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def verify(directory: Path, manifest: Manifest) -> None:
    """NotABackup unless exactly the manifest's files are there, each byte as it was written."""
    found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}
    listed = {part.path for part in manifest.files}
    if strangers := found - listed - {NAME}:
        raise NotABackup(f"{directory} holds files that are not of the backup: {', '.join(sorted(strangers)[:5])}.")
    for part in manifest.files:
        path = directory / part.path
        if Path(part.path).is_absolute() or ".." in Path(part.path).parts:
            raise NotABackup(f"{NAME} names {part.path}, which is outside of {directory}.")
        if not path.is_file():
            raise NotABackup(f"{part.path} is missing from {directory}. Use another copy of this backup.")
        if path.stat().st_size != part.bytes or digest_of(path) != part.digest:
            raise NotABackup(f"{part.path} is damaged: it is not what was written. Use another copy of this backup.")
