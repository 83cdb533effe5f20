"""One epoch of trading: batches of commands into durable events, with snapshots and trimming beside it.

Order of work in a round: read -> apply -> chain -> ONE fenced append -> frames_done. Nobody hears of an event before
its append has returned, because every reader takes it from the log.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from apps.common.clock import now_ms
from apps.common.crashpoints import reach
from apps.common.hashchain import extend
from apps.matching import metrics, policy, snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Core, CoreClass, Position
from apps.matching.crash_marker import CrashMarker
from apps.matching.errors import BadCommand, EngineFailed, LeaseLost
from apps.matching.follower import standby_ready
from apps.matching.lease import LeaseKeeper
from apps.matching.market_stops import stop_commands
from apps.matching.recovery import Recovered
from apps.matching.snapshot_keeper import SnapshotKeeper
from apps.matching.stamping import asks_for_snapshot
from apps.matching.status import Phase, WorkerStatus
from apps.matching.trimming import trim, waits_for
from apps.streams.bus.base import Bus, CommandEntry, EntryId
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.records import EVENT_SIZE, FRAME_SIZE

log = structlog.get_logger(__name__)


class Reign:
    """One epoch of trading, from a recovered state until it is stopped, fenced, cut off or handed over."""

    def __init__(
        self,
        bus: Bus,
        directory: Path,
        core_class: CoreClass,
        lease: LeaseKeeper,
        epoch: int,
        recovered: Recovered,
        status: WorkerStatus,
        *,
        name: str = "",
        marker: CrashMarker | None = None,
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
        self._name = name
        self._marker = marker
        self._clock_ms = clock_ms
        self._waiting: deque[CommandEntry] = deque()
        self._snapshots = SnapshotKeeper(directory, core_class)
        self._snapshot_wanted = False
        self._needs_own_version = (
            recovered.snapshot is not None and recovered.snapshot.rules_version != core_class.RULES_VERSION
        )
        self._standby_asked_s = 0.0
        self._standby_ready = False

    def trade(self, stopping: threading.Event) -> None:
        """Until `stopping`; then the lease goes to whoever is next, and the state at the head is on disk."""
        self._directory.mkdir(parents=True, exist_ok=True)
        snapshots.remove_unfinished(self._directory)
        if self._needs_own_version:
            # From here on replay must start at this version, so its first snapshot comes before its first event.
            self._snapshot_now()
            snapshots.keep_first_of_version(self._directory, self._position, self._core_class.RULES_VERSION)
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
                self._look_after_clock()
                self._look_after_snapshots()
        finally:
            self._snapshots.abandon()
        self._hand_over()

    @property
    def position(self) -> Position:
        """What is published, and all commands that led there."""
        return self._position

    def standby_ready(self) -> bool:
        """Whether another worker follows so closely that it can go on within a moment."""
        return standby_ready(
            self._bus,
            rules_version=self._core_class.RULES_VERSION,
            own_name=self._name,
            head_seq=self._position.seq,
        )

    def _hand_over(self) -> None:
        """With a standby the lease goes first, so that it trades on at once; without one the snapshot does."""
        if self.standby_ready():
            log.info("handing over to the standby", seq=self._position.seq)
            self._lease.stop(release=True)
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
            if waiting:
                reach("matching.read.after")
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
        except EngineFailed as failure:
            if EntryId(*failure.command[:2]) not in {entry.id for entry in entries}:
                # It failed before it began (no memory), or its clock is wrong. A skip of a command that is published
                # would make every replay differ, so this process ends instead and another one tries.
                raise RuntimeError(f"no command of the batch is to blame, so none is skipped: {failure}") from failure
            if failure.invariant_broken:
                # Before the skip is written: whoever dies in between meets the command, and comes here, again.
                self._stop_markets(MarketState.CANCEL_ONLY, HaltCause.INVARIANT)
            raise

    def _apply_and_publish(self, entries: list[CommandEntry]) -> None:
        before = self._position
        started_s = time.perf_counter()
        reach("matching.process.before")
        events = apply_entries(self._core, entries, self._skips)
        if self._marker is not None:
            self._marker.clear()
        reach("matching.process.after")
        applied_s = time.perf_counter()
        frames = sum(len(entry.frames) for entry in entries) // FRAME_SIZE
        count = len(events) // EVENT_SIZE
        last_cmd = entries[-1].id
        if count:
            last_seq = before.seq + count
            chain = extend(before.chain, before.seq + 1, last_seq, events)
            reach("matching.append.before")
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
            reach("matching.append.after")
            self._position = Position(last_seq, chain, last_cmd, before.frames + frames)
        else:
            self._bus.set_frames_done(before.frames + frames, epoch=self._epoch)
            self._position = Position(before.seq, before.chain, last_cmd, before.frames + frames)
        durable_s = time.perf_counter()
        if self._marker is not None:
            self._marker.forget(last_cmd)
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

    # -- time ---------------------------------------------------------------------------------------------------------
    def _look_after_clock(self) -> None:
        """A clock of redis-core that jumped ahead would trigger everything due in between: trading halts instead."""
        jump_ms = self._lease.take_clock_jump()
        if jump_ms is None:
            return
        log.critical("CLOCK OF REDIS-CORE JUMPED AHEAD, trading markets are halted", jump_ms=jump_ms)
        self._stop_markets(MarketState.HALTED, HaltCause.CLOCK)

    def _stop_markets(self, state: MarketState, cause: HaltCause) -> None:
        if frames := stop_commands(self._core.markets(), state, cause):
            self._bus.append_commands(frames, also_when_full=True)

    # -- snapshots and trimming ---------------------------------------------------------------------------------------
    def _look_after_snapshots(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._standby_asked_s + policy.HEARTBEAT_EVERY_S:
            self._standby_asked_s = now_s
            self._standby_ready = self.standby_ready()
        wanted, self._snapshot_wanted = self._snapshot_wanted, False
        patience = policy.PATIENCE_WITH_STANDBY if self._standby_ready else 1.0
        if self._snapshots.look_after(self._core, self._position, wanted=wanted, patience=patience):
            self._after_snapshot()

    def _snapshot_now(self) -> None:
        self._snapshots.write_now(self._core, self._core_class, self._position)
        if not self._lease.released:
            self._after_snapshot()

    def _after_snapshot(self) -> None:
        paths = snapshots.prune(self._directory)
        self._status.trimming_waits_for = waits_for(self._bus.cursors())
        if not paths:
            return
        self._status.snapshot_seq = snapshots.position_in_name(paths[0])[0]
        if len(paths) == policy.SNAPSHOTS_KEPT:
            oldest = snapshots.position_in_name(paths[-1])
            trimmed = trim(self._bus, epoch=self._epoch, oldest_snapshot=oldest, now_ms=self._clock_ms())
            log.debug("log trimmed at the oldest kept snapshot", snapshot_seq=oldest[0], trimmed=str(trimmed))
