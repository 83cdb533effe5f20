"""Reads after writes: wait until PostgreSQL contains everything that was durable when a read arrived."""

import asyncio
from typing import Any

import structlog
from redis.exceptions import RedisError

from apps.gateway import errors
from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered, connect, connection_of
from apps.gateway.policy import SETTLED_TIMEOUT_S
from apps.streams.bus.replicated import NotAReplica, check_follows
from apps.streams.names import ShardKeys

log = structlog.get_logger("nebannpet.gateway.settled")

RECONNECT_S = 0.2
POLL_S = 0.05
QUIET_S = 5.0


class Settled:
    """Follows settlement's announcements; `wait()` is what private reads call first."""

    def __init__(self, url: str, pipe: CorePipe, events: CorePipe, keys: ShardKeys) -> None:
        """`url` and `pipe` lead to where settlement announces, `events` to where this process reads the events."""
        self._url = url
        self._pipe = pipe
        self._events = events
        self._keys = keys
        self._news = asyncio.Event()
        self._lost = False
        # The newest event that was asked for.
        self._wanted = 0
        self.seq = 0

    async def run(self) -> None:
        """Follow the announcements; a lost one is made good by the poll of whoever waits."""
        while True:
            connection = connection_of(self._url)
            try:
                await connect(connection)
                await connection.send_command("SUBSCRIBE", self._keys.settled_channel)
                await self._listen(connection)
            except (OSError, RedisError, TimeoutError) as error:
                if not self._lost:  # said once, not at every attempt
                    log.warning("settlement announcements lost", error=str(error) or type(error).__name__)
                self._lost = True
            finally:
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self, connection: Any) -> None:
        """Until the connection fails; one that is silent is asked for a sign of life."""
        asked = False
        while True:
            message = await connection.read_response(timeout=QUIET_S)
            if message is not None and self._lost:
                self._lost = False
                log.info("settlement announcements again")
            if message is None:
                if asked:
                    raise TimeoutError(f"no answer for {QUIET_S:.0f} s")
                await connection.send_command("PING")
            elif bytes(message[0]) == b"message":
                self._moved(int(message[2]))
            asked = message is None

    def _moved(self, seq: int) -> None:
        if seq < self.seq:
            log.warning("settlement went back", was=self.seq, now=seq)
        self.seq = seq
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def wait(self, timeout_s: float = SETTLED_TIMEOUT_S) -> int:
        """Return once settlement has passed the durable head of this moment; that head. 503 after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                head = await self._durable_head()
                if self.seq < head:
                    self._want(head)
                while self.seq < head:
                    await self._next(head)
                return head
        except (TimeoutError, CoreAway, CoreUnanswered, RedisError, NotAReplica) as error:
            raise errors.not_executed() from error

    def _want(self, head: int) -> None:
        """Tell settlement, which may rest a moment for more events. Whether that arrives or not, it will settle."""
        if head > self._wanted:
            self._wanted = head
            told = self._pipe.execute("PUBLISH", self._keys.unsettled_reads_channel, head)
            told.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    async def _durable_head(self) -> int:
        """The newest event that may be told. Of a replica only while it is one: what a promoted site goes on with is
        not this site's, and this site's record is out of date then."""
        ask = self._events.execute
        if self._events is self._pipe:
            return int(await ask("HGET", self._keys.head, "seq") or 0)
        head, role = await asyncio.gather(ask("HGET", self._keys.head, "seq"), ask("ROLE"))
        check_follows(role)
        return int(head or 0)

    async def _next(self, head: int) -> None:
        """Wait for an announcement; where none comes soon, ask for the number itself."""
        news = self._news
        try:
            async with asyncio.timeout(POLL_S):
                await news.wait()
        except TimeoutError:
            before = self.seq
            announced = int(await self._pipe.execute("GET", self._keys.settled) or 0)
            # An announcement that came meanwhile may be newer than this answer.
            if announced != self.seq == before:
                self._moved(announced)
