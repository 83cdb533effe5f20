"""The two streams of a shard as its processes see them; redis.py and memory.py pass the same contract tests.

Order: command entries are ordered by id (millisecond, counter), which is *the* order of the shard; event entries by
the gapless `seq` of their events. An entry is the unit of reading and of trimming, never cut.

Durability: when an append returns, its entry is on disk, and a reader never sees one that is not (RedisBus on a
server with `appendfsync always`).

A bus object serves one thread: a blocking read blocks every other call on it. `another()` gives a further one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

SEQ_MAX: Final = 9 * 10**15  # Lua numbers are doubles, exact up to 2^53


class EntryId(NamedTuple):
    """Id of a command entry; a command's own id adds its index within the entry."""

    ms: int
    n: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        ms, _, n = (text if isinstance(text, str) else text.decode("ascii")).partition("-")
        return cls(int(ms), int(n or 0))


START: Final = EntryId(0, 0)


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """`frames` is one or more whole frame runs, not stamped and not checked."""

    id: EntryId
    frames: bytes


@dataclass(frozen=True, slots=True)
class EventEntry:
    """All events of one batch; `last_cmd` is the last command entry that went into it."""

    first_seq: int
    last_seq: int
    epoch: int
    prev_chain: str
    chain: str
    last_cmd: EntryId
    body: bytes
    rules_version: int


@dataclass(frozen=True, slots=True)
class Head:
    """The newest durable event entry: (0, '', 0-0) before the first."""

    seq: int
    chain: str
    cmd: EntryId


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Command entries up to `cmd` and events up to `seq` may be gone from the log."""

    cmd: EntryId
    seq: int


BEFORE_FIRST_EVENT: Final = Head(0, "", START)
NOTHING_TRIMMED: Final = Trimmed(START, 0)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come: events up to `position` (a seq), or command entries up to it (an entry id)."""

    stream: str
    position: str
    heartbeat_ms: int


@dataclass(frozen=True, slots=True)
class FrameCount:
    """Command frames ever appended and ever processed; the backlog is the difference."""

    appended: int
    done: int


class Bus(Protocol):
    """Every method may raise BusAway; those that write may raise AppendUnknown instead.

    On a full server commands are refused (BusRefused), but the worker's own; everything else goes on (bus/scripts.py).
    """

    @property
    def shard(self) -> str: ...

    def another(self) -> Self:
        """A further bus on the same shard, for another thread or for blocking reads beside writes."""
        ...

    def close(self) -> None: ...

    # -- commands -----------------------------------------------------------------------------------------------------
    def append_commands(self, frames: bytes, *, also_when_full: bool = False) -> EntryId:
        """One entry of whole frame runs, counted in `frame_count().appended`. FrameError for broken frames.

        `also_when_full` is for the worker, which else could not take over a full server and make room there.
        """
        ...

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        """At most `count` entries after `after`, oldest first; waits up to `block_ms` for the first (0: no wait)."""
        ...

    def last_command(self) -> EntryId:
        """Id of the newest command entry ever appended, trimmed or not."""
        ...

    # -- events -------------------------------------------------------------------------------------------------------
    def append_events(
        self,
        *,
        epoch: int,
        first_seq: int,
        last_seq: int,
        prev_chain: str,
        chain: str,
        last_cmd: EntryId,
        body: bytes,
        rules_version: int,
        frames_done: int | None = None,
    ) -> None:
        """The fenced append: Fenced, Gap or BadRange change nothing.

        Repeating the newest append is a success without effect (its outcome may have been unknown before).
        `frames_done` stores that counter in the same round trip.
        """
        ...

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        """At most `count` entries whose last event is after `after_seq`, oldest first; waits as `read_commands`."""
        ...

    def head(self) -> Head: ...

    def chain_at(self, seq: int) -> str | None:
        """The chain after event `seq`; None where no entry ends there or the log no longer knows."""
        ...

    # -- who writes ---------------------------------------------------------------------------------------------------
    def epoch(self) -> int: ...

    def raise_epoch(self, epoch: int) -> bool:
        """Set the epoch if it is greater than the current one; False: somebody else is newer or equal."""
        ...

    def take_lease(self, holder: str, *, ttl_ms: int) -> bool:
        """True while `holder` has the lease: newly taken, or extended if it was already its own."""
        ...

    def release_lease(self, holder: str) -> None:
        """Give the lease up, if it is `holder`'s."""
        ...

    def lease_holder(self) -> str | None: ...

    # -- bookkeeping --------------------------------------------------------------------------------------------------
    def frame_count(self) -> FrameCount: ...

    def set_frames_done(self, done: int, *, epoch: int) -> None:
        """Absolute; Fenced for an old epoch."""
        ...

    def recount_frames(self, done: int, *, after: EntryId, epoch: int) -> FrameCount:
        """At takeover: done = `done`, appended = `done` + the frames of all entries after `after`. Fenced."""
        ...

    def read_skips(self) -> Mapping[str, str]:
        """Command id ('ms-n-index') or range -> reason; read first by every replay."""
        ...

    def write_skip(self, commands: str, reason: str, *, epoch: int) -> None: ...

    def trim(self, *, epoch: int, commands_to: EntryId, events_to: int) -> Trimmed:
        """Forget command entries up to `commands_to` and event entries up to `events_to`; Fenced for an old epoch.

        What was trimmed is stored before anything goes and never moves back.
        """
        ...

    def trimmed(self) -> Trimmed: ...

    def set_cursor(self, reader: str, *, stream: str, position: str, now_ms: int) -> None:
        """`stream` is 'events' or 'commands'; registers the reader and is its heartbeat."""
        ...

    def cursors(self) -> dict[str, Cursor]: ...

    def drop_cursor(self, reader: str) -> None: ...

    def announce_settled(self, seq: int) -> None:
        """PostgreSQL is settled up to `seq` (called after its commit); wakes those who wait for it."""
        ...

    def settled(self) -> int: ...

    def wait_until_wanted(self, timeout_s: float) -> bool:
        """Wait until somebody needs what is not settled yet (names.py, unsettled_reads_channel); False: nobody did.

        What was said since the call before counts, so that nothing is missed in between.
        """
        ...

    def report_disk(self, free_bytes: int, *, ttl_ms: int) -> None:
        """The active worker's data directory has `free_bytes` left on its disk; forgotten after `ttl_ms`."""
        ...

    def disk_free(self) -> int | None:
        """The newest report; None where there is none of late."""
        ...
