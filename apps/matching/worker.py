"""The worker of a shard: it follows the log as a standby, and when the lease is free it becomes the active one.

    follow -> lease -> epoch (PostgreSQL, then redis-core) -> recovery -> skips
           -> [read -> apply -> ONE fenced append]* -> hand-over

One round from lease to loss is a *reign* (reign.py). A lost connection to redis-core ends the reign, not the process:
whatever was in flight may or may not be in the log, so the state in memory is thrown away and the next reign recovers
with all checks and a new epoch. That is the one way back, and it is the same after a crash.
A worker that is fenced or has lost its lease to another one ends, and its supervisor starts it again from nothing: it
is then the standby. A `Halt` stays: the process goes on to answer health checks with the reason until a person stops
it. Where another worker is active there is no halt: what keeps this one from following is tried again, and one that is
replaced while it recovers (it was paused, and its lease ran out) ends like any that was fenced.

PostgreSQL is asked at takeover only. While it is away a running reign trades on.
(architecture.md section 3)
"""

import socket
import threading
import time
from pathlib import Path
from uuid import uuid4

import structlog

from apps.matching import metrics, policy
from apps.matching.authority import Authority, AuthorityAway, Settled
from apps.matching.collector import free_discarded_engine, settle_garbage_collection
from apps.matching.core import CoreClass
from apps.matching.crash_marker import CrashMarker
from apps.matching.errors import EngineFailed, Halt, LogDamaged, TakeoverLost
from apps.matching.follower import Follower, standby_ready
from apps.matching.lease import LeaseKeeper
from apps.matching.recovery import recover
from apps.matching.reign import Reign
from apps.matching.skips import Skips, command_key
from apps.matching.status import Phase, WorkerStatus
from apps.matching.takeover import skip_crashing_commands, skip_stale_orders
from apps.streams.bus.base import START, Bus
from apps.streams.bus.errors import AppendUnknown, BusAway, BusRefused, LogUnreadable
from apps.streams.kinds import Reason

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """SIGTERM came before the worker was active; there is nothing to finish."""


class Worker:
    """`run()` returns after `stop()`; raises Fenced, LeaseLost or TakeoverLost when another worker is active.

    `name` tells workers of one shard apart: in cursors, in the lease and in the file that marks crashes.
    """

    def __init__(
        self, bus: Bus, authority: Authority, core_class: CoreClass, directory: Path, *, name: str = "worker"
    ) -> None:
        self._bus = bus
        self._authority = authority
        self._core_class = core_class
        self._directory = directory
        self._name = name
        # At most 90 characters, with the longest host name: PostgreSQL keeps 100 of it.
        self._holder = f"{name}@{socket.gethostname()}:{uuid4().hex[:8]} {core_class.NAME}"
        self._stopping = threading.Event()
        self._follower = Follower(bus, directory, core_class, name)
        self._marker = CrashMarker.open(directory, name)
        self._refused = ""
        self._ask_again_s = 0.0
        self.status = WorkerStatus(bus.shard, self._holder)

    def stop(self) -> None:
        """Finish the batch, hand over, return from run(). Any thread."""
        self._stopping.set()

    def run(self) -> None:
        back_off = BackOff(self._stopping)
        while not self._stopping.is_set():
            back_off.begin()
            try:
                self._follow_and_reign()
            except Stopped:
                break
            except (BusAway, AppendUnknown) as error:
                self._wait_for_server(Phase.WAITING_FOR_REDIS, error)
                back_off.wait()
            except AuthorityAway as error:
                self._wait_for_server(Phase.WAITING_FOR_POSTGRES, error)
                back_off.wait()
            except LogUnreadable as error:
                self._stay_halted(LogDamaged(f"{error}. Bring back redis-core's newest intact append-only file."))
            except Halt as halt:
                self._stay_halted(halt)
        self._marker.close()
        self.status.enter(Phase.STOPPED)

    # -- standby ------------------------------------------------------------------------------------------------------
    def _follow_and_reign(self) -> None:
        if not self._follower.following:  # else there was no reign, and a collection would walk the followed state
            free_discarded_engine()
        lease = LeaseKeeper(self._bus.another(), self._holder, directory=self._directory)
        try:
            self._follow_until_lease(lease)
            epoch, settled = self._raise_epoch()
            self.status.enter(Phase.RECOVERING, epoch=epoch)
            try:
                while (published := self._reign(lease, epoch, settled)) is not None:
                    settled = published
                    free_discarded_engine()
            except Halt as halt:
                if self._bus.epoch() > epoch:  # what did not fit was read while the other one wrote
                    raise TakeoverLost(f"the shard has epoch {self._bus.epoch()}, this worker had {epoch}") from halt
                raise
        finally:
            metrics.EPOCH.set(0)
            self._marker.clear()  # an exception, a halt among them, is no crash; before the next worker looks at it
            lease.stop(release=True)
            self._bus.close()

    def _follow_until_lease(self, lease: LeaseKeeper) -> None:
        """Stopped comes first: a worker on its way out takes nothing over."""
        while True:
            if self._stopping.is_set():
                self._follower.hand_out()
                raise Stopped
            if self._take_lease(lease):
                return
            followed_before = self._follower.following
            if self._follower.step():
                if not followed_before:
                    settle_garbage_collection()
                    log.info("following the active worker", holder=self._bus.lease_holder())
                self.status.moved(self._follower.position, 0)
                self._say(Phase.FOLLOWING, self._refused)
            else:
                self._say(Phase.WAITING_FOR_LEASE, self._follower.trouble)
                self._stopping.wait(policy.LEASE_RETRY_S)

    def _take_lease(self, lease: LeaseKeeper) -> bool:
        """Without PostgreSQL there is no takeover, and the gateway must see that nobody trades: it is asked first.

        A replica of redis-core (on a second site) refuses; there is nothing to take until it is promoted. A lease of
        this process, left by a reign that lost its connection, is as good as a free one.

        A free one is left to a standby that is ready, until this worker follows, too: else one that was just started
        again would load a snapshot and replay while the other could trade at once. Of a dead standby nothing is seen
        any more after STANDBY_SEEN_MAX_MS.
        """
        holder = self._bus.lease_holder()
        if holder not in (None, self._holder) or time.monotonic() < self._ask_again_s:
            return False
        if holder is None and not self._follower.following and self._other_is_ready():
            return False
        self._authority.settled()
        try:
            taken = lease.take()
            self._refused = ""
        except BusRefused as refused:
            self._refused = f"redis-core takes no writes: {refused}"
            self._ask_again_s = time.monotonic() + policy.REFUSED_RETRY_S
            return False
        return taken

    def _other_is_ready(self) -> bool:
        return standby_ready(
            self._bus,
            rules_version=self._core_class.RULES_VERSION,
            own_name=self._name,
            head_seq=self._bus.head().seq,
        )

    def _say(self, phase: Phase, explanation: str = "") -> None:
        if (self.status.phase, self.status.explanation) != (phase, explanation):
            self.status.enter(phase, explanation)

    # -- takeover -----------------------------------------------------------------------------------------------------
    def _raise_epoch(self) -> tuple[int, Settled]:
        """PostgreSQL first: it is the authority. Then redis-core, which from then on refuses every older worker."""
        epoch = self._authority.raise_epoch(above=self._bus.epoch(), holder=self._holder)
        if not self._bus.raise_epoch(epoch):
            raise TakeoverLost(f"epoch {epoch} was raised in PostgreSQL, but redis-core is already at a newer one")
        return epoch, self._authority.settled()

    def _reign(self, lease: LeaseKeeper, epoch: int, settled: Settled) -> Settled | None:
        """None when it ended as asked or was left to a standby. After a poison command, which is skipped now, what to
        recover from: the last event that this epoch published. PostgreSQL is behind it and may be away, and what it
        had at the takeover may be trimmed by now.
        """
        started_s = time.monotonic()
        followed = self._follower.hand_out()
        applied = followed.position.last_cmd if followed is not None else START
        skip_crashing_commands(self._bus, self._directory, self._marker, epoch, applied=applied)
        recovered = recover(
            self._bus, self._directory, self._core_class, settled, followed=followed, mark_in=self._marker.buffer
        )
        self._marker.clear()
        # After the checks, so that nothing is written to a log that fails them, and after the time that recovery took:
        # the orders have waited for that, too.
        skip_stale_orders(self._bus, epoch)
        recovered = recovered._replace(skips=Skips.parse(self._bus.read_skips()))
        metrics.RECOVERY_SECONDS.set(time.monotonic() - started_s)
        settle_garbage_collection()
        reign = Reign(
            self._bus, self._directory, self._core_class, lease, epoch, recovered, self.status,
            name=self._name, marker=self._marker,
        )  # fmt: skip
        try:
            reign.trade(self._stopping)
        except EngineFailed as failure:
            self._marker.clear()
            self._skip(failure, epoch)
            if not reign.standby_ready():
                return Settled(reign.position.seq, reign.position.chain)
            log.info("the standby goes on without this command")
            lease.stop(release=True)
            self._stopping.wait(policy.YIELD_S)
        return None

    def _skip(self, failure: EngineFailed, epoch: int) -> None:
        """Poison: in the log of skips before anything else, so that every replay treats the command alike."""
        key = command_key(*failure.command)
        self._bus.write_skip(key, Reason.INTERNAL.name, epoch=epoch)
        metrics.POISON.inc()
        log.critical("COMMAND SKIPPED: the engine failed at it", command=key, error=str(failure))

    def _wait_for_server(self, phase: Phase, error: Exception) -> None:
        """Said once, not at every attempt; the health check has the newest error."""
        if self.status.phase is not phase:
            log.warning(f"{phase}; then this worker takes over again from snapshot and log", error=str(error))
        self.status.enter(phase, str(error))

    def _stay_halted(self, halt: Halt) -> None:
        self.status.enter(Phase.HALTED, str(halt), reason=halt.reason)
        log.critical("SHARD HALTED", shard=self._bus.shard, reason=halt.reason, what_to_do=str(halt))
        self._stopping.wait()


class BackOff:
    """Waits that double while attempts fail soon and start over after one that lasted; cut short by `stopping`."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._next_s = policy.BACK_OFF_FIRST_S
        self._began_s = time.monotonic()

    def begin(self) -> None:
        self._began_s = time.monotonic()

    def wait(self) -> None:
        if time.monotonic() - self._began_s > policy.BACK_OFF_LASTED_S:
            self._next_s = policy.BACK_OFF_FIRST_S
        self._stopping.wait(self._next_s)
        self._next_s = min(self._next_s * 2, policy.BACK_OFF_LAST_S)
