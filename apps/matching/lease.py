"""A thread that keeps the lease and makes time pass: liveness only, safety is the epoch's (reliability.md 2.5)."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from apps.matching.clockjump import ClockWatch
from apps.matching.policy import DISK_REPORT_TTL_MS, LEASE_RENEWAL_S, LEASE_STOP_S, LEASE_TTL_MS, TICK_S
from apps.streams.bus.base import Bus
from apps.streams.bus.errors import BusError
from apps.streams.codec import encode_command
from apps.streams.commands import Tick

log = structlog.get_logger(__name__)

TICK: Final = encode_command(Tick())
JOIN_TIMEOUT_S: Final = 10.0


class LeaseKeeper:
    """Renews `holder`'s lease on a connection of its own, and appends a TICK every TICK_S once `tick()` was called.

    A renewal that fails is tried again until it works or somebody else has the lease; the worker asks `held()` before
    every append and does nothing while it is False. `directory` is on the disk whose free space every renewal reports.
    """

    def __init__(
        self,
        bus: Bus,
        holder: str,
        *,
        directory: Path | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._holder = holder
        self._directory = directory
        self._monotonic_s = monotonic_s
        self._renewed_s = float("-inf")
        self._stop = threading.Event()
        self._ticking = threading.Event()
        self._thread: threading.Thread | None = None
        self._clock = ClockWatch()
        self._clock_jump_ms: int | None = None
        self.lost_to: str | None = None
        self.released = False

    def take(self) -> bool:
        """One attempt to get the lease; on success the thread keeps it. BusError where redis-core is away."""
        asked_s = self._monotonic_s()
        if not self._bus.take_lease(self._holder, ttl_ms=LEASE_TTL_MS):
            return False
        self._renewed_s = asked_s
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()
        return True

    def held(self) -> bool:
        """Whether nobody else can hold the lease yet, by this process's own clock."""
        return self._monotonic_s() - self._renewed_s < LEASE_STOP_S

    def kept(self) -> bool:
        """Whether the thread still tries; False once it has failed or stopped, and then the lease runs out."""
        return self._thread is not None and self._thread.is_alive()

    def tick(self) -> None:
        self._ticking.set()

    def take_clock_jump(self) -> int | None:
        """By how many milliseconds the time of redis-core ran ahead of this machine's, once; None: it did not."""
        jump_ms, self._clock_jump_ms = self._clock_jump_ms, None
        return jump_ms

    def stop(self, *, release: bool) -> None:
        """End the thread; `release` gives the lease up at once instead of letting it run out. May be repeated."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT_S)
        try:
            if release and self._thread is not None and self.lost_to is None and not self.released:
                self._bus.release_lease(self._holder)
                self.released = True
        except BusError as error:
            log.warning("lease not released, it runs out by itself", error=str(error))
        self._bus.close()

    def _run(self) -> None:
        renewal_s = tick_s = self._monotonic_s()
        while not self._stop.wait(max(0.0, min(renewal_s, tick_s) - self._monotonic_s())):
            now_s = self._monotonic_s()
            try:
                if now_s >= renewal_s:
                    renewal_s = now_s + LEASE_RENEWAL_S
                    if not self._renew(now_s):
                        return
                if now_s >= tick_s:
                    # A late tick is not made up for: the next one tells the time as well.
                    tick_s = now_s + TICK_S
                    if self._ticking.is_set() and self.held():
                        self._append_tick()
            except (BusError, OSError) as error:
                log.warning("lease, tick or report of the disk not written", error=str(error))

    def _report_disk(self) -> None:
        """Gateways stop taking orders before the disk is full (reliability.md 2.9)."""
        if self._directory is not None:
            disk = os.statvfs(self._directory)
            self._bus.report_disk(disk.f_bavail * disk.f_frsize, ttl_ms=DISK_REPORT_TTL_MS)

    def _append_tick(self) -> None:
        sent_s = self._monotonic_s()
        entry_id = self._bus.append_commands(TICK)
        jump_ms = self._clock.judge(entry_id.ms, sent_s, self._monotonic_s())
        if jump_ms is not None:
            self._clock_jump_ms = jump_ms

    def _renew(self, asked_s: float) -> bool:
        if self._bus.take_lease(self._holder, ttl_ms=LEASE_TTL_MS):
            self._renewed_s = asked_s
            self._report_disk()
            return True
        self.lost_to = self._bus.lease_holder() or "somebody who is gone again"
        return False
