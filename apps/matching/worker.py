"""The active worker of a shard: commands in, durable events out (architecture.md section 3).

    lease -> epoch (PostgreSQL, then redis-core) -> recovery -> [read -> apply -> ONE fenced append]* -> snapshot at
    the head -> lease released

One round from lease to loss is a *reign*. A lost connection to redis-core ends the reign, not the process: whatever
was in flight may or may not be in the log, so the state in memory is thrown away and the next reign recovers from
snapshot and log, with all their checks and a new epoch. That is the one way back, and it is the same after a crash.
A worker that is fenced or has lost its lease to another one ends, and its supervisor starts it again from nothing.
A `Halt` stays: the process goes on to answer health checks with the reason until a person stops it.

PostgreSQL is asked at takeover only. While it is away a running reign trades on.
"""

import socket
import threading
import time
from pathlib import Path
from uuid import uuid4

import structlog

from apps.matching import metrics, policy
from apps.matching.authority import Authority, AuthorityAway, Settled
from apps.matching.core import CoreClass
from apps.matching.errors import Halt, TakeoverLost
from apps.matching.lease import LeaseKeeper
from apps.matching.recovery import recover
from apps.matching.reign import Reign, free_former_reign, settle_garbage_collection
from apps.matching.status import Phase, WorkerStatus
from apps.streams.bus.base import Bus
from apps.streams.bus.errors import AppendUnknown, BusAway

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """SIGTERM came before the worker was active; there is nothing to finish."""


class Worker:
    """`run()` returns after `stop()`; raises Fenced, LeaseLost or TakeoverLost when another worker is active."""

    def __init__(
        self, bus: Bus, authority: Authority, core_class: CoreClass, directory: Path, *, name: str = ""
    ) -> None:
        self._bus = bus
        self._authority = authority
        self._core_class = core_class
        self._directory = directory
        self._holder = f"{name or socket.gethostname()}:{uuid4().hex[:12]}"
        self._stopping = threading.Event()
        self.status = WorkerStatus(bus.shard, self._holder)

    def stop(self) -> None:
        """Finish the batch, write a snapshot at the head, release the lease, return from run(). Any thread."""
        self._stopping.set()

    def run(self) -> None:
        back_off = BackOff(self._stopping)
        while not self._stopping.is_set():
            back_off.begin()
            try:
                self._reign()
            except Stopped:
                break
            except (BusAway, AppendUnknown) as error:
                self._wait_for_server(Phase.WAITING_FOR_REDIS, error)
                back_off.wait()
            except AuthorityAway as error:
                self._wait_for_server(Phase.WAITING_FOR_POSTGRES, error)
                back_off.wait()
            except Halt as halt:
                self._stay_halted(halt)
        self.status.enter(Phase.STOPPED)

    # -- takeover -----------------------------------------------------------------------------------------------------
    def _reign(self) -> None:
        free_former_reign()
        self._authority.settled()  # without PostgreSQL there is no takeover: find out before the lease is taken
        lease = LeaseKeeper(self._bus.another(), self._holder)
        try:
            self._wait_for_lease(lease)
            epoch, settled = self._raise_epoch()
            self.status.enter(Phase.RECOVERING, epoch=epoch)
            started_s = time.monotonic()
            recovered = recover(self._bus, self._directory, self._core_class, settled)
            metrics.RECOVERY_SECONDS.set(time.monotonic() - started_s)
            settle_garbage_collection()
            Reign(self._bus, self._directory, self._core_class, lease, epoch, recovered, self.status).trade(
                self._stopping
            )
        finally:
            metrics.EPOCH.set(0)
            lease.stop(release=True)
            self._bus.close()

    def _wait_for_lease(self, lease: LeaseKeeper) -> None:
        waiting = False
        while not lease.take():
            if not waiting:
                waiting = True
                self.status.enter(Phase.WAITING_FOR_LEASE)
                log.info("another worker is active, waiting for its lease", holder=self._bus.lease_holder())
            if self._stopping.wait(policy.LEASE_RETRY_S):
                raise Stopped

    def _raise_epoch(self) -> tuple[int, Settled]:
        """PostgreSQL first: it is the authority. Then redis-core, which from then on refuses every older worker."""
        epoch = self._authority.raise_epoch(above=self._bus.epoch(), holder=self._holder)
        if not self._bus.raise_epoch(epoch):
            raise TakeoverLost(f"epoch {epoch} was raised in PostgreSQL, but redis-core is already at a newer one")
        return epoch, self._authority.settled()

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
