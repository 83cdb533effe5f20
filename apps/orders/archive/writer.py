"""Appending to an archive: one archiver a directory, one write and one fsync a round, never over what is there.

Start   The last segment is read block by block. What follows its last whole block is cut off only where the cursors
        on redis-core do not say that it was durable; they are moved after the fsync, so nothing they have not passed
        is missing in the log. In every other case ArchiveStopped, and no byte changes.
Round   Everything is checked before a byte is written: ids rise, seqs and chain go on, the epoch does not fall.
        After a write or fsync that failed, the file is cut back and written afresh: the system forgets pages whose
        fsync failed, so that a further fsync alone would prove nothing.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

import msgspec
import structlog

from apps.common.clock import now_ms
from apps.common.crashpoints import reach
from apps.orders.archive import policy
from apps.orders.archive.blocks import MAGIC, NO_DIGEST, BlockKind, encode
from apps.orders.archive.errors import ArchiveDamaged, ArchiveStopped
from apps.orders.archive.packing import Base, Ends, Opening, pack_commands, pack_events
from apps.orders.archive.reader import Archive, Contents, after_commands, after_events
from apps.orders.archive.segments import bases_dir, first_number, segment_path, sync_directory
from apps.streams.bus.base import CommandEntry, EntryId, EventEntry

log = structlog.get_logger(__name__)

Entry = TypeVar("Entry", CommandEntry, EventEntry)


_RESTORE: Final = (
    "Nothing was changed. Bring the segments back from a backup (docs/archive.md, Repair), and look into the disk."
)


class Claimed(NamedTuple):
    """What the cursors on redis-core say is durable in the archive."""

    seq: int
    cmd: EntryId


class Writer:
    """Use as a context: the directory is locked as long as it is open. Not thread-safe."""

    def __init__(self, directory: Path, shard: str) -> None:
        self._directory = directory
        self._shard = shard
        self._lock = -1
        self._file = -1
        self._segment = 0
        self._contents: Contents | None = None
        self._failed = False
        self.begin_ends = Ends()
        self.closed_bytes = 0

    def __enter__(self) -> Self:
        """ArchiveStopped while another archiver has the directory."""
        bases_dir(self._directory).mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = -1
            raise ArchiveStopped(
                f"another archiver is writing to {self._directory}; one is enough, this one does nothing"
            ) from None
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    # -- where it stands ----------------------------------------------------------------------------------------------
    @property
    def begun(self) -> bool:
        return self._contents is not None

    @property
    def contents(self) -> Contents:
        assert self._contents is not None, "open_end() or begin() comes first"
        return self._contents

    @property
    def ends(self) -> Ends:
        return self.contents.ends

    @property
    def segment(self) -> int:
        return self._segment

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self.closed_bytes + (self.contents.offset if self.begun else 0)

    def recount(self) -> None:
        """Segments were deleted."""
        closed = range(first_number(self._directory), self._segment)
        self.closed_bytes = sum(segment_path(self._directory, number).stat().st_size for number in closed)

    def open_end(self, claimed: Claimed | None) -> bool:
        """Stand at the end of what is there; False where there is nothing yet and begin() comes next.

        ArchiveStopped where the archive lacks what `claimed` says, or is damaged; nothing was changed then.
        """
        try:
            archive = Archive(self._directory, up_to_damage=True)
        except ArchiveDamaged as damage:
            raise ArchiveStopped(f"the archive is damaged: {damage}. {_RESTORE}") from damage
        contents = archive.contents
        if archive.damage is not None and not _covers(contents, claimed):
            raise ArchiveStopped(f"the archive is damaged: {archive.damage}. {_RESTORE}")
        if contents is None:
            if claimed is not None and claimed != (0, (0, 0)):
                raise ArchiveStopped(
                    f"redis-core says that events up to {claimed.seq} and commands up to {claimed.cmd} are archived,"
                    f" but there is no archive in {self._directory}. Bring it back from a backup; if it is lost for"
                    " good, `manage.py run_archive --begin-anew` starts another one with what the log still has."
                )
            self._cut_unopened(archive)
            return False
        if claimed is not None and not _covers(contents, claimed):
            raise ArchiveStopped(
                f"redis-core says that events up to {claimed.seq} and commands up to {claimed.cmd} are archived, but"
                f" the whole blocks in {self._directory} end at event {contents.ends.seq} and command"
                f" {contents.ends.cmd}: segments were removed, cut or damaged. {_RESTORE}"
            )
        last = archive.segments[-1]
        self._cut_unopened(archive)
        self._file = os.open(last.path, os.O_RDWR)
        size = os.fstat(self._file).st_size
        if size > contents.offset:
            log.warning("the end of the archive was cut at its last whole block", segment=last.path.name,
                        bytes=size - contents.offset)  # fmt: skip
            os.ftruncate(self._file, contents.offset)
        self._write_again(contents.offset)
        sync_directory(self._directory)
        self._segment, self._contents = last.number, contents
        self.begin_ends = archive.begin()
        self.recount()
        return True

    def begin(self, ends: Ends) -> None:
        """The first segment of a new archive, which begins after `ends`."""
        assert not self.begun, "an archive begins once"
        self.begin_ends = ends
        self._open_segment(1, Contents(ends, {}, [], [], NO_DIGEST, 0, 0))

    # -- appending ----------------------------------------------------------------------------------------------------
    def append(
        self,
        *,
        commands: Sequence[CommandEntry] = (),
        events: Sequence[EventEntry] = (),
        skips: Mapping[str, str] | None = None,
        bases: Sequence[Base] = (),
    ) -> int:
        """Write and fsync one round; returns its bytes in the file. Skips stand before the commands they concern.

        ArchiveStopped where it does not follow what is there, OSError where the disk refuses: nothing is written then.
        """
        new_skips = _new_skips(self.contents.skips, skips or {})
        if not (commands or events or new_skips or bases):
            return 0
        if self.contents.offset >= policy.SEGMENT_BYTES_MAX:
            self._open_segment(self._segment + 1, self.contents)
        before = self.contents
        after = Contents(
            before.ends, dict(before.skips), list(before.bases), list(before.stretches), before.digest, before.offset,
            before.block,
        )  # fmt: skip
        data = b"".join(_blocks_of(after, commands, events, new_skips, bases))
        reach("archive.write.before")
        self._write(self._file, before.offset, data)
        self._contents = after
        reach("archive.write.after")
        return len(data)

    def _write(self, file: int, offset: int, data: bytes) -> None:
        """At `offset`, which is the end of the file, and on disk when this returns."""
        if self._failed:
            os.ftruncate(file, offset)
        self._failed = True
        view, at = memoryview(data), offset
        while view:
            written = os.pwrite(file, view, at)
            view, at = view[written:], at + written
        os.fsync(file)
        self._failed = False

    def _write_again(self, end: int) -> None:
        """The last bytes once more, on disk when this returns: the process before may have died right after a failed
        fsync, and the system reads such pages back as if they had been written."""
        start = max(0, end - policy.UNSURE_BYTES_MAX)
        self._write(self._file, start, os.pread(self._file, end - start, start))

    def _open_segment(self, number: int, before: Contents) -> None:
        opening = Opening(
            shard=self._shard, segment=number, created_ms=now_ms(), ends=before.ends, skips=before.skips,
            bases=before.bases, stretches=before.stretches,
        )  # fmt: skip
        block, digest = encode(
            BlockKind.OPENING, msgspec.msgpack.encode(opening), number=0, count=1, prev=before.digest
        )
        path = segment_path(self._directory, number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._write(file, 0, MAGIC + block)
            sync_directory(self._directory)
        except OSError:
            os.close(file)
            path.unlink()
            self._failed = False
            raise
        if self._file >= 0:
            os.close(self._file)
            self.closed_bytes += before.offset
        self._file, self._segment = file, number
        self._contents = Contents(
            before.ends, before.skips, before.bases, before.stretches, digest, len(MAGIC) + len(block), 1
        )

    # -- after a crash ------------------------------------------------------------------------------------------------
    def _cut_unopened(self, archive: Archive) -> None:
        """A further segment whose opening never became whole holds no entry: it is made again when it is needed."""
        following = segment_path(self._directory, archive.segments[-1].number + 1 if archive.segments else 1)
        if following.exists():
            log.warning("a segment without a whole opening was removed", segment=following.name,
                        bytes=following.stat().st_size)  # fmt: skip
            following.unlink()
            sync_directory(self._directory)


def _covers(contents: Contents | None, claimed: Claimed | None) -> bool:
    """Whether whole blocks hold all that is known to be durable; not where nothing is known."""
    if claimed is None:
        return False
    ends = contents.ends if contents is not None else Ends()
    return ends.seq >= claimed.seq and ends.cmd >= claimed.cmd


def _new_skips(known: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    for commands, reason in found.items():
        if known.get(commands, reason) != reason:
            raise ArchiveStopped(
                f"skip {commands} is archived with reason {known[commands]}, and the log now says {reason}: one of the"
                " two was changed by hand, and replays would differ"
            )
    return {commands: reason for commands, reason in found.items() if commands not in known}


def _blocks_of(
    contents: Contents,
    commands: Sequence[CommandEntry],
    events: Sequence[EventEntry],
    skips: dict[str, str],
    bases: Sequence[Base],
) -> Iterator[bytes]:
    """The blocks of one round, `contents` moving along; ArchiveStopped where an entry does not follow."""
    try:
        if skips:
            contents.skips |= skips
            yield _encoded(contents, BlockKind.SKIPS, msgspec.msgpack.encode(skips), len(skips))
        for base in bases:
            contents.bases.append(base)
            yield _encoded(contents, BlockKind.BASE, msgspec.msgpack.encode(base), 1, bounds=((base.seq, 0),) * 2)
        for commands_part in _parts(commands, lambda entry: len(entry.frames)):
            contents.ends = after_commands(contents.ends, commands_part, "log")
            bounds = (commands_part[0].id, commands_part[-1].id)
            yield _encoded(
                contents, BlockKind.COMMANDS, pack_commands(commands_part), len(commands_part), bounds=bounds
            )
        for rules_version, of_one_version in groupby(events, key=lambda entry: entry.rules_version):
            for part in _parts(list(of_one_version), lambda entry: len(entry.body)):
                contents.ends = after_events(contents.ends, part, "log")
                contents.note_rules(part[0])
                yield _encoded(
                    contents, BlockKind.EVENTS, pack_events(part), len(part),
                    bounds=((part[0].first_seq, 0), (part[-1].last_seq, 0)), rules_version=rules_version,
                )  # fmt: skip
    except ArchiveDamaged as gap:
        raise ArchiveStopped(f"the log does not go on where the archive ends: {gap}. Nothing was written.") from gap


def _encoded(
    contents: Contents,
    kind: BlockKind,
    payload: bytes,
    count: int,
    *,
    bounds: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    rules_version: int = 0,
) -> bytes:
    block, digest = encode(
        kind, payload, number=contents.block, count=count, prev=contents.digest, first=bounds[0], last=bounds[1],
        rules_version=rules_version,
    )  # fmt: skip
    contents.digest, contents.block, contents.offset = digest, contents.block + 1, contents.offset + len(block)
    return block


def _parts(entries: Sequence[Entry], size_of: Callable[[Entry], int]) -> Iterator[list[Entry]]:
    """Stretches of about BLOCK_BYTES_MAX; an entry is never cut."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        if part and size + size_of(entry) > policy.BLOCK_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(entry)
        size += size_of(entry)
    if part:
        yield part
