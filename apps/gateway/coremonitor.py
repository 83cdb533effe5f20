"""Whether the engine takes orders right now, from a few cheap reads of redis-core ten times a second.

The answer decides between a clear 503 and a durable append, so a stopped engine is told at once and not by a time-out.
"""

import asyncio
import time
from collections import deque

import structlog
from redis.exceptions import RedisError, ResponseError

from apps.gateway import errors
from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered
from apps.gateway.policy import (
    BACKLOG_FRAMES_MAX,
    CORE_MEMORY_PERCENT_MAX,
    CORE_POLL_S,
    CORE_SILENT_MAX_S,
    SETTLEMENT_LAG_MAX_S,
    UNSETTLED_EVENTS_MAX,
)
from apps.gateway.tail import EventTail
from apps.streams.names import ShardKeys

log = structlog.get_logger("nebannpet.gateway.core")

MEMORY_EVERY = 20  # polls


class CoreMonitor:
    """Lease, backlog, settlement lag and memory as of the last poll."""

    def __init__(self, pipe: CorePipe, tail: EventTail, keys: ShardKeys) -> None:
        self._pipe = pipe
        self._tail = tail
        self._keys = keys
        self._polled_s = float("-inf")
        # (time, head) of past polls that settlement has not reached yet, oldest first.
        self._unsettled: deque[tuple[float, int]] = deque()
        self.lease = False
        self.backlog = 0
        self.head = 0
        self.settled = 0
        self.memory_percent = 0

    async def run(self) -> None:
        polls = 0
        while True:
            try:
                await self._poll(with_memory=polls % MEMORY_EVERY == 0)
            except (CoreAway, CoreUnanswered, RedisError):
                self.lease = False
            polls += 1
            await asyncio.sleep(CORE_POLL_S)

    async def _poll(self, *, with_memory: bool) -> None:
        keys = self._keys
        (lease, frames_in, frames_done, settled), head = await asyncio.gather(
            self._pipe.execute("MGET", keys.lease, keys.frames_in, keys.frames_done, keys.settled),
            self._pipe.execute("HGET", keys.head, "seq"),
        )
        self.head = int(head or 0)
        self.lease = lease is not None
        self.backlog = int(frames_in or 0) - int(frames_done or 0)
        self.settled = int(settled or 0)
        now = time.monotonic()
        if not self._unsettled or self._unsettled[-1][1] != self.head:
            self._unsettled.append((now, self.head))
        while self._unsettled and self._unsettled[0][1] <= self.settled:
            self._unsettled.popleft()
        if with_memory:
            self.memory_percent = await self._memory()
        self._polled_s = now

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
        """The engine holds its lease and this process sees redis-core and the events."""
        return self.lease and self._tail.connected and time.monotonic() - self._polled_s < CORE_SILENT_MAX_S

    def check_cancel(self) -> None:
        """Raise not_executed (503) when a cancel would not be executed soon. Back-pressure never stops a cancel."""
        if not self.alive():
            raise errors.not_executed()

    def check_new_order(self) -> None:
        """Raise not_executed (503) when a new order must not be taken."""
        self.check_cancel()
        if (
            self.backlog > BACKLOG_FRAMES_MAX
            or self.head - self.settled > UNSETTLED_EVENTS_MAX
            or self.settlement_lag_s > SETTLEMENT_LAG_MAX_S
            or self.memory_percent > CORE_MEMORY_PERCENT_MAX
        ):
            raise errors.not_executed()
