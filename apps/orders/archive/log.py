"""An archive with the reading side of a Bus, so that replay and settlement run from it as they run from redis-core.

`JoinedLog` reads the archive and goes on in the live log where the archive ends: what is not archived yet is there.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Protocol, Self

from apps.orders.archive.reader import Archive
from apps.streams.bus.base import CommandEntry, EntryId, EventEntry, Head, Trimmed


class ReadableLog(Protocol):
    """What a replay and a settlement read of a Bus."""

    @property
    def shard(self) -> str: ...
    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]: ...
    def last_command(self) -> EntryId: ...
    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]: ...
    def head(self) -> Head: ...
    def chain_at(self, seq: int) -> str | None: ...
    def read_skips(self) -> Mapping[str, str]: ...
    def trimmed(self) -> Trimmed: ...


class ArchivedLog:
    """The log up to the end of an archive, as of the archive's last refresh. Every method may raise ArchiveDamaged.

    Reads that go on where the last one ended are served by one pass over the files.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._commands: tuple[EntryId, Iterator[CommandEntry]] | None = None
        self._events: tuple[int, Iterator[EventEntry]] | None = None

    @property
    def shard(self) -> str:
        return self.archive.segments[0].opening.shard

    def another(self) -> Self:
        return type(self)(self.archive)

    def close(self) -> None:
        self._commands = self._events = None

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        """As a Bus; never waits, because nothing comes after the end of an archive."""
        where, left = self._commands or (None, iter(()))
        if where != after:
            left = self.archive.commands(after)
        found = list(islice(left, count))
        self._commands = (found[-1].id, left) if len(found) == count else None
        return found

    def last_command(self) -> EntryId:
        return self.archive.end().cmd

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        where, left = self._events or (None, iter(()))
        if where != after_seq:
            left = self.archive.events(after_seq)
        found = list(islice(left, count))
        self._events = (found[-1].last_seq, left) if len(found) == count else None
        return found

    def head(self) -> Head:
        end = self.archive.end()
        return Head(end.seq, end.chain, end.head_cmd)

    def chain_at(self, seq: int) -> str | None:
        begin, end = self.archive.begin(), self.archive.end()
        if seq in (begin.seq, end.seq):
            return begin.chain if seq == begin.seq else end.chain
        following = next(self.archive.events(seq), None) if begin.seq < seq < end.seq else None
        return following.prev_chain if following is not None and following.first_seq == seq + 1 else None

    def read_skips(self) -> dict[str, str]:
        return self.archive.skips()

    def trimmed(self) -> Trimmed:
        """The archive begins here: what is before it is not in it."""
        begin = self.archive.begin()
        return Trimmed(begin.cmd, begin.seq)


class JoinedLog(ArchivedLog):
    """The archive, and after it the live log. Whoever reads along checks the chain over the seam.

    At the end of the archive it is looked at again first, because what was archived meanwhile may be trimmed.
    """

    def __init__(self, archive: Archive, live: ReadableLog) -> None:
        super().__init__(archive)
        self._live = live

    def another(self) -> Self:
        return type(self)(self.archive, self._live)

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        if after >= self.archive.end().cmd:
            self.archive.refresh()
        if after >= self.archive.end().cmd:
            return self._live.read_commands(after, count=count, block_ms=block_ms)
        return super().read_commands(after, count=count)

    def last_command(self) -> EntryId:
        return self._live.last_command()

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        if after_seq >= self.archive.end().seq:
            self.archive.refresh()
        if after_seq >= self.archive.end().seq:
            return self._live.read_events(after_seq, count=count, block_ms=block_ms)
        return super().read_events(after_seq, count=count)

    def head(self) -> Head:
        return self._live.head()

    def chain_at(self, seq: int) -> str | None:
        return self._live.chain_at(seq) if seq > self.archive.end().seq else super().chain_at(seq)

    def read_skips(self) -> dict[str, str]:
        return super().read_skips() | dict(self._live.read_skips())
