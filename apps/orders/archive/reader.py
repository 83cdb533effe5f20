"""Reading an archive: entries in order, checked block by block and along the chain, from any position.

An `Archive` sees the segments as they are when it is made (or at `refresh`), also while an archiver appends to them or
somebody copies them. A last segment that ends within a block is read up to its last whole block; `torn_bytes` says how
much was left out. Everything else that is not as it was written is ArchiveDamaged, never a shorter answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from apps.common.hashchain import extend
from apps.orders.archive.blocks import MAGIC, NO_DIGEST, Block, BlockKind, read_blocks
from apps.orders.archive.errors import ArchiveDamaged, TornTail
from apps.orders.archive.packing import (
    Base,
    Ends,
    Opening,
    Stretch,
    frames_digest,
    named,
    unpack_base,
    unpack_commands,
    unpack_events,
    unpack_opening,
    unpack_skips,
)
from apps.orders.archive.segments import bases_dir, segment_numbers, segment_path
from apps.streams.bus.base import CommandEntry, EntryId, EventEntry


@dataclass(frozen=True, slots=True)
class Segment:
    """A file and its opening; `before` is the digest its opening says the segment before ended with."""

    number: int
    path: Path
    opening: Opening
    before: bytes


@dataclass(slots=True)
class Contents:
    """All that is known at the end of the last whole block. `offset` and `block` are where the next one goes."""

    ends: Ends
    skips: dict[str, str]
    bases: list[Base]
    stretches: list[Stretch]
    digest: bytes
    offset: int
    block: int

    def take(self, block: Block, segment: str) -> None:
        """The contents after one further block of the same segment."""
        header = block.header
        if header.kind is BlockKind.SKIPS:
            self.skips |= unpack_skips(block, segment)
        elif header.kind is BlockKind.BASE:
            self.bases.append(unpack_base(block, segment))
        elif header.kind is BlockKind.COMMANDS:
            self.ends = after_commands(self.ends, unpack_commands(block, segment), named(block, segment))
        elif header.kind is BlockKind.EVENTS:
            entries = unpack_events(block, segment)
            self.ends = after_events(self.ends, entries, named(block, segment))
            self.note_rules(entries[0])
        self.digest, self.offset, self.block = header.digest, block.end, header.number + 1

    def note_rules(self, entry: EventEntry) -> None:
        if not self.stretches or self.stretches[-1].rules_version != entry.rules_version:
            self.stretches.append(Stretch(entry.rules_version, entry.first_seq))


class Archive:
    """`directory` as of segments.shard_dir(); a directory without segments gives an empty archive (no `contents`).

    ArchiveDamaged where a segment is missing, or an opening or anything in the last segment is not as it was written.
    With `up_to_damage` a damaged last segment ends before the damage, which is then in `damage`: for the archiver,
    which knows how much was durable.
    """

    def __init__(self, directory: Path, *, up_to_damage: bool = False) -> None:
        self.directory = directory
        self._up_to_damage = up_to_damage
        self.damage: ArchiveDamaged | None = None
        self.segments: list[Segment] = []
        self.torn_bytes = 0
        self.contents: Contents | None = None
        self.refresh()

    def refresh(self) -> None:
        """See what was appended meanwhile."""
        self.segments = []
        self.damage = None
        self._open_segments()
        self.torn_bytes = 0
        self.contents = None
        if self.segments:
            last = self.segments[-1]
            self.contents = self._contents_of(last)
            self.torn_bytes = last.path.stat().st_size - self.contents.offset
            unopened = segment_path(self.directory, last.number + 1)
            self.torn_bytes += unopened.stat().st_size if unopened.exists() else 0

    # -- what there is ------------------------------------------------------------------------------------------------
    def begin(self) -> Ends:
        """The position before the first entry; ArchiveDamaged in an empty archive."""
        if not self.segments:
            raise ArchiveDamaged(f"there is no archive in {self.directory}")
        return self.segments[0].opening.ends

    def end(self) -> Ends:
        """The position after the last entry of whole blocks; ArchiveDamaged in an empty archive."""
        return self.contents.ends if self.contents is not None else self.begin()

    def skips(self) -> dict[str, str]:
        return dict(self.contents.skips) if self.contents is not None else {}

    def bases(self) -> list[Base]:
        """Kept snapshots that lie within the archive, oldest first."""
        if self.contents is None:
            return []
        begin = self.begin()
        return sorted((b for b in self.contents.bases if b.seq >= begin.seq), key=lambda base: (base.seq, base.cmd))

    def base_path(self, base: Base) -> Path:
        return bases_dir(self.directory) / base.name

    def stretches(self) -> list[Stretch]:
        """Rules versions of the events, oldest first, from the begin of the archive."""
        if self.contents is None:
            return []
        begin = self.begin()
        found: list[Stretch] = []
        for stretch in self.contents.stretches:
            clipped = Stretch(stretch.rules_version, max(stretch.first_seq, begin.seq + 1))
            if found and found[-1].first_seq == clipped.first_seq:
                found.pop()
            found.append(clipped)
        return found

    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.path.stat().st_size for segment in self.segments)

    # -- entries ------------------------------------------------------------------------------------------------------
    def commands(self, after: EntryId) -> Iterator[CommandEntry]:
        """Command entries after `after`, oldest first; ids are checked to rise."""
        ends: Ends | None = None
        segments = self._from(lambda begin: begin.cmd <= after)
        for segment, block in self._blocks(segments, BlockKind.COMMANDS, lambda block: block.header.last > after):
            ends = ends or segment.opening.ends
            entries = unpack_commands(block, segment.path.name)
            ends = after_commands(ends, entries, named(block, segment.path.name))
            yield from (entry for entry in entries if entry.id > after)

    def events(self, after_seq: int) -> Iterator[EventEntry]:
        """Event entries whose last event is after `after_seq`, oldest first; seqs and chain are checked on the way."""
        ends: Ends | None = None
        segments = self._from(lambda begin: begin.seq <= after_seq)
        for segment, block in self._blocks(segments, BlockKind.EVENTS, lambda block: block.header.last[0] > after_seq):
            entries = unpack_events(block, segment.path.name)
            if ends is None:
                first = entries[0]
                ends = Ends(seq=first.first_seq - 1, chain=first.prev_chain, epoch=first.epoch)
            ends = after_events(ends, entries, named(block, segment.path.name))
            yield from (entry for entry in entries if entry.last_seq > after_seq)

    # -- inner --------------------------------------------------------------------------------------------------------
    def _open_segments(self) -> None:
        numbers = segment_numbers(self.directory)
        for number in numbers:
            path = segment_path(self.directory, number)
            try:
                segment = open_segment(path, number)
            except TornTail:
                if number != numbers[-1]:
                    raise
                return  # its opening never became whole, so nothing was written to it
            except ArchiveDamaged as damage:
                if number != numbers[-1] or not self._up_to_damage:
                    raise
                self.damage = damage
                return
            if self.segments and segment.opening.shard != self.segments[-1].opening.shard:
                raise ArchiveDamaged(f"segment {path.name} is of shard {segment.opening.shard}")
            self.segments.append(segment)

    def _contents_of(self, segment: Segment) -> Contents:
        """What is known at the end of the last segment, every block of it read and checked."""
        contents = beginning_of(segment)
        try:
            for block in self.walk(segment):
                contents.take(block, segment.path.name)
        except ArchiveDamaged as damage:
            if not self._up_to_damage:
                raise
            self.damage = damage
        return contents

    def _from(self, starts_before: Callable[[Ends], bool]) -> list[Segment]:
        """The last segment that begins at or before the wanted position, and those after it."""
        start = 0
        for place, segment in enumerate(self.segments):
            if starts_before(segment.opening.ends):
                start = place
        return self.segments[start:]

    def _blocks(
        self, segments: list[Segment], kind: BlockKind, wanted: Callable[[Block], bool]
    ) -> Iterator[tuple[Segment, Block]]:
        """The blocks of one kind that are wanted, with their payloads; of the others only the headers are read."""
        before: bytes | None = None
        for segment in segments:
            if before is not None:
                check_join(segment, before)
            for block in self.walk(segment, payloads=False):
                before = block.header.digest
                if block.header.kind is kind and wanted(block):
                    yield segment, next(read_blocks(segment.path, start=block.offset))

    def walk(self, segment: Segment, *, payloads: bool = True) -> Iterator[Block]:
        """All blocks of a segment; of the last one up to where a crash or a copy has cut it off."""
        if segment is self.segments[-1]:
            return whole_blocks(segment.path, payloads=payloads)
        return read_blocks(segment.path, payloads=payloads)


def open_segment(path: Path, number: int) -> Segment:
    """The segment with its opening. TornTail where that is not whole, ArchiveDamaged where it is something else."""
    block = next(read_blocks(path), None)
    if block is None:
        raise TornTail(f"segment {path.name} is empty")
    opening = unpack_opening(block, path.name)
    if opening.segment != number:
        raise ArchiveDamaged(f"segment {path.name} says that it is number {opening.segment}")
    return Segment(number, path, opening, block.header.prev)


def beginning_of(segment: Segment) -> Contents:
    opening = segment.opening
    return Contents(
        opening.ends, dict(opening.skips), list(opening.bases), list(opening.stretches), NO_DIGEST, len(MAGIC), 0
    )


def whole_blocks(path: Path, *, payloads: bool = True) -> Iterator[Block]:
    """The blocks of a last segment up to where a crash or a copy has cut it off."""
    try:
        yield from read_blocks(path, payloads=payloads)
    except TornTail:
        return


def check_join(segment: Segment, before: bytes) -> None:
    """`before` is the digest of the last block of the segment before this one."""
    if segment.before != before:
        raise ArchiveDamaged(
            f"segment {segment.path.name} does not follow the segment before it: one of the two was replaced, cut or"
            " comes from another archive"
        )


def after_commands(ends: Ends, entries: list[CommandEntry], where: str) -> Ends:
    """The position after these entries; ArchiveDamaged where their ids do not rise."""
    cmd = ends.cmd
    for entry in entries:
        if entry.id <= cmd:
            raise ArchiveDamaged(f"{where}: command entry {entry.id} comes after {cmd}")
        cmd = entry.id
    return msgspec.structs.replace(ends, cmd=cmd, cmd_digest=frames_digest(entries[-1].frames))


def after_events(ends: Ends, entries: list[EventEntry], where: str) -> Ends:
    """The position after these entries; ArchiveDamaged where seqs, chain or epoch do not go on."""
    seq, chain, epoch = ends.seq, ends.chain, ends.epoch
    for entry in entries:
        what = f"{where}: event entry {entry.first_seq}-{entry.last_seq}"
        if entry.first_seq != seq + 1 or entry.last_seq < entry.first_seq:
            raise ArchiveDamaged(f"{what} comes after event {seq}")
        if entry.prev_chain != chain:
            raise ArchiveDamaged(f"{what} follows chain {entry.prev_chain or '(none)'}, not {chain or '(none)'}")
        if extend(chain, entry.first_seq, entry.last_seq, entry.body) != entry.chain:
            raise ArchiveDamaged(f"{what}: its chain does not match its bytes")
        if entry.epoch < epoch:
            raise ArchiveDamaged(f"{what}: the epoch falls from {epoch} to {entry.epoch}")
        seq, chain, epoch = entry.last_seq, entry.chain, entry.epoch
    last = entries[-1]
    return msgspec.structs.replace(
        ends, seq=seq, chain=chain, epoch=epoch, rules_version=last.rules_version, head_cmd=last.last_cmd
    )
