"""One pipelined connection to redis-core: commands leave in the order of the calls, answers come back in that order.

Nothing is ever sent twice. A command that was not yet written when the connection failed raises `CoreAway` (nothing
happened); one that was written and not answered raises `CoreUnanswered` (the outcome is unknown).
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

log = structlog.get_logger("nebannpet.gateway.core")

RECONNECT_S = 0.2
# Shown by redis's CLIENT LIST.
CLIENT_NAME = "nebannpet-gateway"


class CoreAway(Exception):
    """Not connected to redis-core; the command was not sent."""


class CoreUnanswered(Exception):
    """Sent to redis-core, but the connection failed before the answer."""


Arguments = Sequence[str | bytes | int]


def connection_of(url: str, *, socket_timeout: float | None) -> Any:
    """A connection that never repeats a command by itself. redis-py's connection layer carries no types."""
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", Connection)
    once = Retry(NoBackoff(), 0)
    options |= {"protocol": 2, "client_name": CLIENT_NAME, "socket_connect_timeout": 2}
    return kind(**options, retry=once, socket_timeout=socket_timeout)


class CorePipe:
    """`run()` keeps the connection; `execute()` may be called from the same event loop at any time."""

    def __init__(self, url: str, scripts: Sequence[str] = ()) -> None:
        self._url = url
        self._scripts = tuple(scripts)
        self._waiting: deque[tuple[Arguments, asyncio.Future[Any]]] = deque()
        self._unanswered: deque[asyncio.Future[Any]] = deque()
        self._wake = asyncio.Event()
        self.connected = False

    def execute(self, *arguments: str | bytes | int) -> asyncio.Future[Any]:
        """The answer; raises CoreAway, CoreUnanswered, or ResponseError when redis refused the command."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.connected:
            future.set_exception(CoreAway())
            return future
        self._waiting.append((arguments, future))
        self._wake.set()
        return future

    async def run(self) -> None:
        """Connect, serve, reconnect; ends only by cancellation."""
        while True:
            connection = connection_of(self._url, socket_timeout=None)
            try:
                await connection.connect()
                for script in self._scripts:
                    await connection.send_command("SCRIPT", "LOAD", script)
                    await connection.read_response()
                await self._serve(connection)
            except (OSError, RedisError, TimeoutError) as error:
                log.warning("redis-core connection lost", error=str(error))
            finally:
                self.connected = False
                self._fail_all()
                with contextlib.suppress(OSError, RedisError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_S)

    async def _serve(self, connection: Any) -> None:
        self.connected = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(connection))
                group.create_task(self._read(connection))
        except* (OSError, RedisError, TimeoutError) as failures:
            raise ConnectionError(str(failures.exceptions[0])) from failures

    async def _write(self, connection: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._waiting:
                continue
            batch = list(self._waiting)
            self._waiting.clear()
            # From here on the outcome of these is unknown until answered.
            self._unanswered.extend(future for _, future in batch)
            packed = connection.pack_commands([arguments for arguments, _ in batch])
            if not connection.is_connected:  # send_packed_command would quietly open another one
                raise ConnectionError("closed")
            await connection.send_packed_command(packed, check_health=False)

    async def _read(self, connection: Any) -> None:
        while True:
            try:
                answer: Any = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
            except ResponseError as refused:
                answer = refused
            future = self._unanswered.popleft()
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _fail_all(self) -> None:
        for future in self._unanswered:
            if not future.done():
                future.set_exception(CoreUnanswered())
        self._unanswered.clear()
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(CoreAway())
        self._waiting.clear()
