"""One epoch of trading: batches of commands into durable events, with snapshots and trimming beside it.

Order of work in a round: read -> apply -> chain -> ONE fenced append -> frames_done. Nobody hears of an event before
its append has returned, because every reader takes it from the log.
"""

import gc
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from apps.common.clock import now_ms
from apps.common.hashchain import extend
from apps.matching import metrics, policy, snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Core, CoreClass, Position
from apps.matching.errors import BadCommand, LeaseLost
from apps.matching.lease import LeaseKeeper
from apps.matching.recovery import Recovered
from apps.matching.snapshot_writer import SnapshotWriter
from apps.matching.stamping import asks_for_snapshot
from apps.matching.status import Phase, WorkerStatus
from apps.matching.trimming import trim
from apps.streams.bus.base import Bus, CommandEntry
from apps.streams.records import EVENT_SIZE, FRAME_SIZE

log = structlog.get_logger(__name__)


class Reign:
    """One epoch of trading, from a recovered state until it is stopped, fenced or cut off."""

    def __init__(
        self,
        bus: Bus,
        directory: Path,
        core_class: CoreClass,
        lease: LeaseKeeper,
        epoch: int,
        recovered: Recovered,
        status: WorkerStatus,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._bus = bus
        self._directory = directory
        self._core_class = core_class
        self._lease = lease
        self._epoch = epoch
        self._core: Core = recovered.core
        self._position = recovered.position
        self._skips = recovered.skips
        self._status = status
        self._clock_ms = clock_ms
        self._waiting: deque[CommandEntry] = deque()
        self._writer = SnapshotWriter(directory, core_class)
        self._snapshot_wanted = False
        self._snapshot_s = time.monotonic()
        self._snapshot_seq = recovered.snapshot.seq if recovered.snapshot is not None else 0
        self._needs_own_version = (
            recovered.snapshot is not None and recovered.snapshot.rules_version != core_class.RULES_VERSION
        )

    def trade(self, stopping: threading.Event) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        snapshots.remove_unfinished(self._directory)
        if self._needs_own_version:
            # From here on replay must start at this version, so its first snapshot comes before its first event.
            self._snapshot_now()
        position = self._position
        self._bus.recount_frames(position.frames, after=position.last_cmd, epoch=self._epoch)
        metrics.EPOCH.set(self._epoch)
        self._status.moved(position, 0)
        self._status.enter(Phase.ACTIVE, epoch=self._epoch)
        log.info("active", epoch=self._epoch, seq=position.seq)
        self._lease.tick()
        try:
            while not stopping.is_set():
                entries = self._next_batch()
                self._wait_until_lease_held(stopping)
                if entries and not stopping.is_set():
                    self._do(entries)
                self._look_after_snapshots()
        finally:
            self._writer.abandon()
        self._snapshot_now()

    # -- one batch ----------------------------------------------------------------------------------------------------
    def _next_batch(self) -> list[CommandEntry]:
        """Whole entries, in order, of about FRAMES_PER_BATCH frames at most; empty after READ_BLOCK_MS without any."""
        waiting = self._waiting
        if not waiting:
            waiting.extend(
                self._bus.read_commands(
                    self._position.last_cmd, count=policy.ENTRIES_PER_READ, block_ms=policy.READ_BLOCK_MS
                )
            )
        batch: list[CommandEntry] = []
        size = 0
        while waiting and (not batch or size + len(waiting[0].frames) <= policy.FRAMES_PER_BATCH * FRAME_SIZE):
            size += len(waiting[0].frames)
            batch.append(waiting.popleft())
        return batch

    def _do(self, entries: list[CommandEntry]) -> None:
        try:
            self._apply_and_publish(entries)
        except BadCommand as bad:
            if bad.good_entries:
                self._apply_and_publish(entries[: bad.good_entries])
            raise

    def _apply_and_publish(self, entries: list[CommandEntry]) -> None:
        before = self._position
        started_s = time.perf_counter()
        events = apply_entries(self._core, entries, self._skips)
        applied_s = time.perf_counter()
        frames = sum(len(entry.frames) for entry in entries) // FRAME_SIZE
        count = len(events) // EVENT_SIZE
        last_cmd = entries[-1].id
        if count:
            last_seq = before.seq + count
            chain = extend(before.chain, before.seq + 1, last_seq, events)
            self._bus.append_events(
                epoch=self._epoch,
                first_seq=before.seq + 1,
                last_seq=last_seq,
                prev_chain=before.chain,
                chain=chain,
                last_cmd=last_cmd,
                body=events,
                rules_version=self._core_class.RULES_VERSION,
                frames_done=before.frames + frames,
            )
            self._position = Position(last_seq, chain, last_cmd, before.frames + frames)
        else:
            self._bus.set_frames_done(before.frames + frames, epoch=self._epoch)
            self._position = Position(before.seq, before.chain, last_cmd, before.frames + frames)
        durable_s = time.perf_counter()
        self._snapshot_wanted = self._snapshot_wanted or any(asks_for_snapshot(entry) for entry in entries)
        lag_ms = max(0, self._clock_ms() - last_cmd.ms)
        self._status.moved(self._position, lag_ms)
        metrics.BATCH_FRAMES.observe(frames)
        metrics.PROCESS_SECONDS.observe(applied_s - started_s)
        metrics.APPEND_SECONDS.observe(durable_s - applied_s)
        metrics.EVENTS.inc(count)
        metrics.FRAMES.inc(frames)
        metrics.LAG_SECONDS.set(lag_ms / 1000)
        metrics.SEQ.set(self._position.seq)

    def _wait_until_lease_held(self, stopping: threading.Event) -> None:
        """The lease thread gets the lease back after a short silence of redis-core, unless another worker has it."""
        lease = self._lease
        while not lease.held():
            if lease.lost_to is not None:
                raise LeaseLost(f"the lease is now {lease.lost_to}'s")
            if not lease.kept():
                raise LeaseLost("the thread that renews the lease has failed")
            if stopping.wait(policy.LEASE_RETRY_S):
                return

    # -- snapshots and trimming ---------------------------------------------------------------------------------------
    def _look_after_snapshots(self) -> None:
        finished = self._writer.poll()
        if finished is not None:
            position, failure = finished
            if failure:
                self._not_written(position, failure)
            else:
                self._after_snapshot(position)
        if self._writer.busy:
            return
        age_s = time.monotonic() - self._snapshot_s
        events = self._position.seq - self._snapshot_seq
        if self._snapshot_wanted or age_s >= policy.SNAPSHOT_EVERY_S or events >= policy.SNAPSHOT_EVERY_EVENTS:
            self._snapshot_wanted = False
            self._snapshot_s = time.monotonic()
            self._snapshot_seq = self._position.seq
            try:
                self._writer.start(self._core, self._position)
            except OSError as error:  # no memory or no process left for a fork: trading goes on without
                self._not_written(self._position, str(error))

    @staticmethod
    def _not_written(position: Position, failure: str) -> None:
        metrics.SNAPSHOT_FAILURES.inc()
        log.error("snapshot not written; the older ones stay", seq=position.seq, error=failure)

    def _snapshot_now(self) -> None:
        """In this process and at the head, before a hand-over."""
        started_s = time.monotonic()
        snapshots.write(self._directory, self._core, self._core_class, self._position)
        self._after_snapshot(self._position)
        log.info("snapshot at the head", seq=self._position.seq, seconds=round(time.monotonic() - started_s, 3))

    def _after_snapshot(self, position: Position) -> None:
        metrics.SNAPSHOT_SEQ.set(position.seq)
        self._status.snapshot_seq = position.seq
        paths = snapshots.prune(self._directory)
        if len(paths) == policy.SNAPSHOTS_KEPT:
            oldest = snapshots.position_in_name(paths[-1])
            trimmed = trim(self._bus, epoch=self._epoch, oldest_snapshot=oldest, now_ms=self._clock_ms())
            log.debug("snapshot written", seq=position.seq, trimmed=str(trimmed))


def free_former_reign() -> None:
    """Before a recovery. A discarded engine is full of cycles (account, seat, market) and frozen: without this every
    lost connection to redis-core would keep one whole engine for ever. From here on no full collection looks at what
    recovery builds (half a million orders load in 2.5 s instead of 7.8 s); the reasons stand in policy.GC_THRESHOLDS.
    """
    gc.unfreeze()
    gc.collect()
    gc.set_threshold(*policy.GC_THRESHOLDS)


def settle_garbage_collection() -> None:
    """What recovery built is never looked at again. Nothing is collected now: that would stop the lease's renewal."""
    gc.freeze()
