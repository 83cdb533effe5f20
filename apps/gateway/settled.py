"""Reads after writes: wait until PostgreSQL contains everything that was durable when a read arrived."""

import asyncio
import math

import structlog
from redis.exceptions import RedisError

from apps.gateway import errors
from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered, connection_of
from apps.gateway.policy import SETTLED_TIMEOUT_S
from apps.streams.bus.replicated import NotAReplica, check_follows
from apps.streams.names import ShardKeys

log = structlog.get_logger("nebannpet.gateway.settled")

RECONNECT_S = 0.2
POLL_S = 0.05


class Settled:
    """Follows settlement's announcements; `wait()` is what private reads call first."""

    def __init__(self, url: str, pipe: CorePipe, events: CorePipe, keys: ShardKeys) -> None:
        """`url` and `pipe` lead to where settlement announces, `events` to where this process reads the events."""
        self._url = url
        self._pipe = pipe
        self._events = events
        self._keys = keys
        self._news = asyncio.Event()
        self.seq = 0

    async def run(self) -> None:
        """Follow the announcements; a lost one is made good by the poll of whoever waits."""
        while True:
            connection = connection_of(self._url, socket_timeout=None)
            try:
                await connection.connect()
                await connection.send_command("SUBSCRIBE", self._keys.settled_channel)
                while True:
                    message = await connection.read_response(timeout=math.inf)
                    if isinstance(message, list) and bytes(message[0]) == b"message":
                        self._moved(int(message[2]))
            except (OSError, RedisError, TimeoutError) as error:
                log.warning("settlement announcements lost", error=str(error))
            finally:
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_S)

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
                while self.seq < head:
                    await self._next(head)
                return head
        except (TimeoutError, CoreAway, CoreUnanswered, RedisError, NotAReplica) as error:
            raise errors.not_executed() from error

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
            await asyncio.wait_for(news.wait(), POLL_S)
        except TimeoutError:
            announced = int(await self._pipe.execute("GET", self._keys.settled) or 0)
            if announced != self.seq:
                self._moved(announced)
