"""The bus in one process's memory, for tests and simulations: the same contract, durable as long as the process."""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

from apps.common.clock import now_ms as wall_clock_ms
from apps.streams.bus.base import (
    BEFORE_FIRST_EVENT,
    NOTHING_TRIMMED,
    SEQ_MAX,
    START,
    CommandEntry,
    Cursor,
    EntryId,
    EventEntry,
    FrameCount,
    Head,
    Trimmed,
)
from apps.streams.bus.errors import BadRange, Fenced, Gap
from apps.streams.codec import iter_runs
from apps.streams.records import FRAME_SIZE

Entry = TypeVar("Entry")


@dataclass(slots=True)
class _Log:
    """The shared state of one shard; every access holds `changed`."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    commands: list[CommandEntry] = field(default_factory=list)
    events: list[EventEntry] = field(default_factory=list)
    last_command: EntryId = START
    head: Head = BEFORE_FIRST_EVENT
    epoch: int = 0
    lease: tuple[str, float] | None = None
    frames_in: int = 0
    frames_done: int = 0
    skips: dict[str, str] = field(default_factory=dict)
    trimmed: Trimmed = NOTHING_TRIMMED
    cursors: dict[str, Cursor] = field(default_factory=dict)
    settled: int = 0
    disk: tuple[int, float] | None = None


class MemoryBus:
    """`clock_ms` gives the entries' milliseconds (never back); `monotonic_s` the lease's expiry."""

    def __init__(
        self,
        shard: str,
        *,
        clock_ms: Callable[[], int] = wall_clock_ms,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shard = shard
        self._clock_ms = clock_ms
        self._monotonic_s = monotonic_s
        self._log = _Log()

    @property
    def shard(self) -> str:
        return self._shard

    def another(self) -> Self:
        return self

    def close(self) -> None:
        """Nothing is open."""

    # -- commands -----------------------------------------------------------------------------------------------------
    def append_commands(self, frames: bytes, *, also_when_full: bool = False) -> EntryId:
        for _ in iter_runs(frames):
            pass
        log = self._log
        with log.changed:
            ms = self._clock_ms()
            last = log.last_command
            entry_id = EntryId(ms, 0) if ms > last.ms else EntryId(last.ms, last.n + 1)
            log.commands.append(CommandEntry(entry_id, bytes(frames)))
            log.last_command = entry_id
            log.frames_in += len(frames) // FRAME_SIZE
            log.changed.notify_all()
            return entry_id

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        log = self._log

        def found() -> list[CommandEntry]:
            start = bisect_right(log.commands, after, key=lambda entry: entry.id)
            return log.commands[start : start + count]

        return self._wait_for(found, block_ms)

    def last_command(self) -> EntryId:
        with self._log.changed:
            return self._log.last_command

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
        log = self._log
        with log.changed:
            self._check_epoch(epoch)
            if first_seq != log.head.seq + 1 or prev_chain != log.head.chain:
                if (last_seq, chain) != (log.head.seq, log.head.chain):
                    raise Gap(log.head.seq, log.head.chain)
            elif not first_seq <= last_seq <= SEQ_MAX:
                raise BadRange(f"{first_seq}-{last_seq}")
            else:
                entry = EventEntry(first_seq, last_seq, epoch, prev_chain, chain, last_cmd, bytes(body), rules_version)
                log.events.append(entry)
                log.head = Head(last_seq, chain, last_cmd)
            if frames_done is not None:
                log.frames_done = frames_done
            log.changed.notify_all()

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        log = self._log

        def found() -> list[EventEntry]:
            start = bisect_right(log.events, after_seq, key=lambda entry: entry.last_seq)
            return log.events[start : start + count]

        return self._wait_for(found, block_ms)

    def head(self) -> Head:
        with self._log.changed:
            return self._log.head

    def chain_at(self, seq: int) -> str | None:
        log = self._log
        with log.changed:
            if seq == log.head.seq:
                return log.head.chain
            start = bisect_right(log.events, seq, key=lambda entry: entry.last_seq)
            following = log.events[start] if start < len(log.events) else None
            return following.prev_chain if following is not None and following.first_seq == seq + 1 else None

    # -- who writes ---------------------------------------------------------------------------------------------------
    def epoch(self) -> int:
        with self._log.changed:
            return self._log.epoch

    def raise_epoch(self, epoch: int) -> bool:
        with self._log.changed:
            if epoch <= self._log.epoch:
                return False
            self._log.epoch = epoch
            return True

    def take_lease(self, holder: str, *, ttl_ms: int) -> bool:
        with self._log.changed:
            if self.lease_holder() not in (None, holder):
                return False
            self._log.lease = (holder, self._monotonic_s() + ttl_ms / 1000)
            return True

    def release_lease(self, holder: str) -> None:
        with self._log.changed:
            if self.lease_holder() == holder:
                self._log.lease = None

    def lease_holder(self) -> str | None:
        with self._log.changed:
            lease = self._log.lease
            return lease[0] if lease is not None and lease[1] > self._monotonic_s() else None

    # -- bookkeeping --------------------------------------------------------------------------------------------------
    def frame_count(self) -> FrameCount:
        with self._log.changed:
            return FrameCount(self._log.frames_in, self._log.frames_done)

    def set_frames_done(self, done: int, *, epoch: int) -> None:
        with self._log.changed:
            self._check_epoch(epoch)
            self._log.frames_done = done

    def recount_frames(self, done: int, *, after: EntryId, epoch: int) -> FrameCount:
        log = self._log
        with log.changed:
            self._check_epoch(epoch)
            waiting = sum(len(entry.frames) for entry in log.commands if entry.id > after) // FRAME_SIZE
            log.frames_in, log.frames_done = done + waiting, done
            return FrameCount(log.frames_in, log.frames_done)

    def read_skips(self) -> dict[str, str]:
        with self._log.changed:
            return dict(self._log.skips)

    def write_skip(self, commands: str, reason: str, *, epoch: int) -> None:
        with self._log.changed:
            self._check_epoch(epoch)
            self._log.skips[commands] = reason

    def trim(self, *, epoch: int, commands_to: EntryId, events_to: int) -> Trimmed:
        log = self._log
        with log.changed:
            self._check_epoch(epoch)
            log.trimmed = Trimmed(max(log.trimmed.cmd, commands_to), max(log.trimmed.seq, events_to))
            log.commands = [entry for entry in log.commands if entry.id > log.trimmed.cmd]
            log.events = [entry for entry in log.events if entry.last_seq > log.trimmed.seq]
            return log.trimmed

    def trimmed(self) -> Trimmed:
        with self._log.changed:
            return self._log.trimmed

    def set_cursor(self, reader: str, *, stream: str, position: str, now_ms: int) -> None:
        with self._log.changed:
            self._log.cursors[reader] = Cursor(stream, position, now_ms)

    def cursors(self) -> dict[str, Cursor]:
        with self._log.changed:
            return dict(self._log.cursors)

    def drop_cursor(self, reader: str) -> None:
        with self._log.changed:
            self._log.cursors.pop(reader, None)

    def announce_settled(self, seq: int) -> None:
        with self._log.changed:
            self._log.settled = seq
            self._log.changed.notify_all()

    def settled(self) -> int:
        with self._log.changed:
            return self._log.settled

    def wait_until_wanted(self, timeout_s: float) -> bool:
        """There is no gateway in this process."""
        time.sleep(timeout_s)
        return False

    def report_disk(self, free_bytes: int, *, ttl_ms: int) -> None:
        with self._log.changed:
            self._log.disk = (free_bytes, self._monotonic_s() + ttl_ms / 1000)

    def disk_free(self) -> int | None:
        with self._log.changed:
            disk = self._log.disk
            return disk[0] if disk is not None and disk[1] > self._monotonic_s() else None

    # -- inner --------------------------------------------------------------------------------------------------------
    def _check_epoch(self, epoch: int) -> None:
        if epoch != self._log.epoch:
            raise Fenced(self._log.epoch)

    def _wait_for(self, found: Callable[[], list[Entry]], block_ms: int) -> list[Entry]:
        with self._log.changed:
            self._log.changed.wait_for(lambda: bool(found()), timeout=block_ms / 1000)
            return found()
