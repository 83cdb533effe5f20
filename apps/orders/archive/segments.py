"""Files of an archive: DATA_DIR/archive/<shard>/ holds numbered segments, `snapshots/` with the bases, and the lock.

A segment is appended to while it is the last one; then it never changes. `first.json` is there once retention deleted
segments: it says at which number the archive begins, so that a missing file is told from a deleted one.
"""

import json
import os
from pathlib import Path
from typing import Final

from apps.orders.archive.errors import ArchiveDamaged

SUFFIX: Final = ".segment"
FIRST_NAME: Final = "first.json"


def shard_dir(data_dir: Path, shard: str) -> Path:
    return data_dir / "archive" / shard


def bases_dir(directory: Path) -> Path:
    return directory / "snapshots"


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:010d}{SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Ascending; ArchiveDamaged where one is missing or a file has no number."""
    numbers = []
    for path in directory.glob(f"*{SUFFIX}"):
        stem = path.name.removesuffix(SUFFIX)
        if len(stem) != 10 or not stem.isascii() or not stem.isdigit():
            raise ArchiveDamaged(f"{path.name} in the archive has no segment number; who put it there?")
        numbers.append(int(stem))
    numbers.sort()
    first = first_number(directory)
    kept = [number for number in numbers if number >= first]
    for expected, number in enumerate(kept, first):
        if number != expected:
            raise ArchiveDamaged(f"segment {segment_path(directory, expected).name} is missing")
    return kept


def first_number(directory: Path) -> int:
    """Number of the first segment there has to be; those before it were deleted by retention."""
    path = directory / FIRST_NAME
    try:
        return int(json.loads(path.read_text("ascii"))["first"])
    except FileNotFoundError:
        return 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged(f"{FIRST_NAME} of the archive cannot be read: {error}") from error


def write_first_number(directory: Path, number: int) -> None:
    """Durable before anything is deleted."""
    fresh = directory / f"{FIRST_NAME}.writing"
    with fresh.open("w", encoding="ascii") as file:
        json.dump({"first": number}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / FIRST_NAME)
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
