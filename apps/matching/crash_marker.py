"""Which command a process died at: a small file mapped into memory, so that a crash cannot loop.

(architecture.md section 3, Poison: two abnormal exits on one command id count as an exception.)

The engine writes the id of the command being applied into the first 16 bytes (`Engine.mark_in`), the worker zeroes them
after every batch. An id that still stands there when the file is opened again, or in another worker's file, is that of
a command whose application never ended. What was written survives the process, not the machine: a power cut needs no
more than that, because it is not a crash of the engine.

Layout of `<name>.applying`, 64 bytes, little-endian
    16 id being applied, zeros between batches · 8 magic · 16 id of the last crash · u32 crashes there · u32 CRC-32 of
    the 28 bytes before it · 16 zeros.

A worker may skip a command only while its events are not published; who asks `crashes()` must compare with the head.
"""

import mmap
import os
import re
from collections import Counter
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, Self
from zlib import crc32

import structlog

log = structlog.get_logger(__name__)

CommandId = tuple[int, int, int]  # (entry_ms, entry_n, index)

SUFFIX: Final = ".applying"
SIZE: Final = 64
MAGIC: Final = b"NBPTmark"
_ID: Final = Struct("<QII")
_CRASH: Final = Struct("<8sQIII")
_CHECKSUM: Final = Struct("<I")
_CRASH_AT: Final = _ID.size
_CHECKSUM_AT: Final = _CRASH_AT + _CRASH.size
NOBODY: Final[CommandId] = (0, 0, 0)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class _Content(NamedTuple):
    """What a file says: the id being applied, and how often processes of this name died at `crashed`."""

    applying: CommandId = NOBODY
    crashed: CommandId = NOBODY
    times: int = 0

    def pack(self) -> bytes:
        crash = _CRASH.pack(MAGIC, *self.crashed, self.times)
        return (_ID.pack(*self.applying) + crash + _CHECKSUM.pack(crc32(crash))).ljust(SIZE, b"\0")

    @classmethod
    def of(cls, path: Path) -> "_Content":
        """Empty where there is no file; a damaged one is named in the log and counts as empty too."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return cls()
        crash = content[_CRASH_AT:_CHECKSUM_AT]
        if len(content) != SIZE or _CHECKSUM.unpack_from(content, _CHECKSUM_AT) != (crc32(crash),):
            log.warning("crash marker is damaged and counts as empty", file=path.name, size=len(content))
            return cls()
        magic, ms, n, index, count = _CRASH.unpack(crash)
        if magic != MAGIC:
            log.warning("crash marker is not one of ours and counts as empty", file=path.name)
            return cls()
        return cls(_ID.unpack_from(content), (ms, n, index), count)

    def folded(self) -> "_Content":
        """The id that was being applied has become a crash."""
        if self.applying == NOBODY:
            return self
        return _Content(NOBODY, self.applying, self.times + 1 if self.applying == self.crashed else 1)


class CrashMarker:
    """This process's own file. Not for use by two threads."""

    def __init__(self, path: Path, content: _Content) -> None:
        """Use open()."""
        self._crashed, self._count = content.crashed, content.times
        descriptor = os.open(path, os.O_RDWR)
        try:
            self._map = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
        self._whole = memoryview(self._map)
        self.buffer: memoryview = self._whole[: _ID.size]

    @classmethod
    def open(cls, directory: Path, name: str) -> Self:
        """The marker of the processes of that name, made where it is missing. OSError where it cannot be written.

        The file is replaced, so that a process of the same name that is still there, paused, writes into its own.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"a crash marker is named by letters, digits, '.', '_' and '-', not by {name!r}")
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / (name + SUFFIX)
        found = _Content.of(path)
        content = found.folded()
        if found.applying != NOBODY:
            log.warning(
                "the last process of this name ended while it applied a command",
                command="{}-{}-{}".format(*found.applying),
                times=content.times,
            )
        _replace(path, content.pack())
        return cls(path, content)

    def clear(self) -> None:
        """Nothing is being applied: after every batch, also after one that raised an exception."""
        self._map[: _ID.size] = bytes(_ID.size)

    def count_of(self, command: CommandId) -> int:
        """How often processes of this name died at the command."""
        return self._count if command == self._crashed else 0

    def forget(self, durable: tuple[int, int]) -> None:
        """No crash any more, once everything up to and including entry `durable` (ms, n) is; else nothing changes."""
        if self._count and self._crashed[:2] <= durable:
            self._crashed, self._count = NOBODY, 0
            self._map[_CRASH_AT:] = _Content().pack()[_CRASH_AT:]

    def close(self) -> None:
        """An engine that still marks in `buffer` raises TypeError from here on."""
        self.buffer.release()
        self._whole.release()
        self._map.close()


def crashes(directory: Path) -> dict[CommandId, int]:
    """How often processes died at which command, by all markers of the directory.

    Active worker and standby share it when they share a disk. An id that stands as being applied counts once more: its
    process has died and not come back (or is paused at it).
    """
    found: Counter[CommandId] = Counter()
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        content = _Content.of(path)
        if content.times:
            found[content.crashed] += content.times
        if content.applying != NOBODY:
            found[content.applying] += 1
    return dict(found)


def _replace(path: Path, content: bytes) -> None:
    """In one step: a process that dies here leaves the old file or the new one, and both say the same."""
    unfinished = path.with_name(path.name + ".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(unfinished, path)
