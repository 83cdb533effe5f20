"""Whether the engine takes orders right now, from a few cheap reads of redis-core ten times a second.

The answer decides between a clear 503 and a durable append, so a stopped engine is told at once and not by a time-out.
A hand-over is no stop: the lease is free for a moment, and an order of that moment waits in the log for the next
worker.
"""

import asyncio
import time
from collections import deque

import structlog
from redis.exceptions import RedisError, ResponseError

from apps.gateway import errors
from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered
from apps.gateway.metrics import REFUSED_ORDERS
from apps.gateway.policy import CORE_POLL_S, CORE_SILENT_MAX_S, LEASE_GAP_MAX_S, POLL_AGE_MAX_S
from apps.gateway.pressure import Limits, Pressure, Readings
from apps.gateway.tail import EventTail
from apps.streams.names import ShardKeys

log = structlog.get_logger("nebannpet.gateway.core")

MEMORY_EVERY = 20  # polls


class CoreMonitor:
    """Lease, and how far intake, engine, events and settlement are apart, as of the last poll."""

    def __init__(self, pipe: CorePipe, tail: EventTail, keys: ShardKeys, limits: Limits) -> None:
        self._pipe = pipe
        self._tail = tail
        self._keys = keys
        # When the last answered poll came back, and when one left that is not answered yet.
        self._polled_s = float("-inf")
        self._asked_s: float | None = None
        self._lease_seen_s = float("-inf")
        # (time, head) of past polls that settlement has not reached yet, oldest first.
        self._unsettled: deque[tuple[float, int]] = deque()
        # When the engine last finished something or had nothing to do, and how much it had finished.
        self._worked_s, self._frames_done = float("-inf"), -1
        # A head of redis-core and when it was new; replaced once this process has read the events up to there.
        self._sought_s, self._sought_head = float("-inf"), -1
        self.pressure = Pressure(limits)
        self.lease = False
        self.head = 0
        self.settled = 0
        self.readings = Readings()
        self.started = asyncio.Event()

    async def run(self) -> None:
        polls = 0
        memory_percent = 0
        while True:
            self._asked_s = time.monotonic()
            try:
                if polls % MEMORY_EVERY == 0:
                    memory_percent = await self._memory()
                await self._poll(memory_percent)
            except (CoreAway, CoreUnanswered, RedisError):
                self._polled_s = float("-inf")
                self._asked_s = None
            polls += 1
            await asyncio.sleep(CORE_POLL_S)

    async def _poll(self, memory_percent: int) -> None:
        keys = self._keys
        (lease, frames_in, frames_done, settled, disk_free), head = await asyncio.gather(
            self._pipe.execute("MGET", keys.lease, keys.frames_in, keys.frames_done, keys.settled, keys.disk_free),
            self._pipe.execute("HGET", keys.head, "seq"),
        )
        now = time.monotonic()
        self.head, self.settled, done = int(head or 0), int(settled or 0), int(frames_done or 0)
        backlog = int(frames_in or 0) - done
        self.lease = lease is not None
        if self.lease:
            self._lease_seen_s = now
        if not self._unsettled or self._unsettled[-1][1] != self.head:
            self._unsettled.append((now, self.head))
        while self._unsettled and self._unsettled[0][1] <= self.settled:
            self._unsettled.popleft()
        if backlog <= 0 or done != self._frames_done:
            self._worked_s, self._frames_done = now, done
        if self._tail.seq >= self._sought_head:
            self._sought_s, self._sought_head = now, self.head
        self.readings = Readings(
            backlog_frames=backlog,
            unsettled_events=self.head - self.settled,
            settlement_lag_s=self.settlement_lag_s,
            memory_percent=memory_percent,
            disk_free_bytes=int(disk_free) if disk_free is not None else None,
            engine_silent_s=now - self._worked_s,
            events_behind_s=now - self._sought_s,
        )
        self.pressure.update(self.readings)
        self._polled_s, self._asked_s = now, None
        self.started.set()

    async def _memory(self) -> int:
        """Used part of maxmemory in percent; 0 where no limit is set or INFO is not allowed to this user."""
        try:
            text = await self._pipe.execute("INFO", "memory")
        except ResponseError:
            return 0
        raw = text if isinstance(text, str) else bytes(text).decode("ascii", "replace")
        found = dict(line.split(":", 1) for line in raw.splitlines() if ":" in line)
        limit = int(found.get("maxmemory", 0))
        return int(found.get("used_memory", 0)) * 100 // limit if limit else 0

    @property
    def settlement_lag_s(self) -> float:
        """Age of the oldest head that settlement has not reached; exact to one poll."""
        return time.monotonic() - self._unsettled[0][0] if self._unsettled else 0.0

    def alive(self) -> bool:
        """An engine holds the lease or did a moment ago, and this process sees redis-core and the events.

        A process that was itself held up (a busy machine) has polls that are late, and no reason to doubt redis-core.
        """
        now = time.monotonic()
        return (
            (self.lease or now - self._lease_seen_s < LEASE_GAP_MAX_S)
            and now - self._polled_s < POLL_AGE_MAX_S
            and (self._asked_s is None or now - self._asked_s < CORE_SILENT_MAX_S)
            and self._pipe.connected
            and self._tail.connected
        )

    def check_cancel(self) -> None:
        """Raise not_executed (503) when a cancel would not be executed soon. Back-pressure never stops a cancel."""
        if not self.alive():
            raise errors.not_executed()

    def check_new_order(self) -> None:
        """Raise not_executed (503) when a new order must not be taken."""
        self.check_cancel()
        if self.pressure.causes:
            for cause in self.pressure.causes:
                REFUSED_ORDERS.labels(cause).inc()
            raise errors.not_executed()
