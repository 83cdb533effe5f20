"""One pipelined connection to a Redis server, as a rule redis-core.

Commands leave in the order of the calls, answers come back in that order.

Nothing is ever sent twice. A command that was not yet written when the connection failed raises `CoreAway` (nothing
happened); one that was written and not answered raises `CoreUnanswered` (the outcome is unknown). A server that stops
answering without closing (frozen, or behind a dead line) counts as lost after PIPE_SILENT_MAX_S (fault-F10).
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from apps.gateway.policy import CORE_CONNECT_TIMEOUT_S, PIPE_SILENT_MAX_S

log = structlog.get_logger("nebannpet.gateway.core")

RECONNECT_S = 0.2
# Shown by redis's CLIENT LIST.
CLIENT_NAME = "nebannpet-gateway"


class CoreAway(Exception):
    """Not connected; the command was not sent."""


class CoreUnanswered(Exception):
    """Sent, but the connection failed before the answer."""


Arguments = Sequence[str | bytes | int]


def connection_of(url: str) -> Any:
    """A connection that never repeats a command by itself. redis-py's connection layer carries no types.

    Without a socket_timeout: redis-py would then send through asyncio.wait_for, which in Python 3.11 may swallow a
    cancellation, so that the task goes on for ever. `connect` and `answer_of` bring their own.
    """
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", Connection)
    once = Retry(NoBackoff(), 0)
    options |= {"protocol": 2, "client_name": CLIENT_NAME, "socket_connect_timeout": CORE_CONNECT_TIMEOUT_S}
    return kind(**options, retry=once, socket_timeout=None)


async def connect(connection: Any) -> None:
    """Connect and log on. A frozen server accepts connections and says nothing, hence the limit on the whole."""
    async with asyncio.timeout(CORE_CONNECT_TIMEOUT_S):
        await connection.connect()


async def answer_of(connection: Any, *, timeout_s: float) -> Any:
    """The next answer. TimeoutError after `timeout_s`; the connection is closed then."""
    async with asyncio.timeout(timeout_s):
        return await connection.read_response(timeout=math.inf)


class CorePipe:
    """`run()` keeps the connection; `execute()` may be called from the same event loop at any time."""

    def __init__(self, url: str, scripts: Sequence[str] = (), server: str = "redis-core") -> None:
        self._url = url
        self._server = server
        self._scripts = tuple(scripts)
        self._waiting: deque[tuple[Arguments, asyncio.Future[Any]]] = deque()
        self._unanswered: deque[asyncio.Future[Any]] = deque()
        self._wake = asyncio.Event()
        # When redis-core last answered, or was given something to answer after a rest.
        self._heard_s = 0.0
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
        said = ""
        while True:
            connection = connection_of(self._url)
            try:
                await connect(connection)
                for script in self._scripts:
                    await connection.send_command("SCRIPT", "LOAD", script)
                    await answer_of(connection, timeout_s=CORE_CONNECT_TIMEOUT_S)
                said = ""
                await self._serve(connection)
            except (OSError, RedisError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
                if reason != said:
                    log.warning(f"{self._server} connection lost", error=reason)
                said = reason
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
                group.create_task(self._watch())
        except* (OSError, RedisError, TimeoutError) as failures:
            raise ConnectionError(str(failures.exceptions[0])) from failures

    async def _write(self, connection: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._waiting:
                continue
            # What nobody waits for any more is not sent.
            batch = [pair for pair in self._waiting if not pair[1].done()]
            self._waiting.clear()
            if not batch:
                continue
            if not self._unanswered:
                self._heard_s = time.monotonic()
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
                if isinstance(refused, NoScriptError):
                    self._load_scripts()
            self._heard_s = time.monotonic()
            future = self._unanswered.popleft()
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _load_scripts(self) -> None:
        """Somebody emptied the server's script cache: what was refused did not happen, and the next call finds it."""
        for script in self._scripts:
            loaded = self.execute("SCRIPT", "LOAD", script)
            loaded.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PIPE_SILENT_MAX_S / 10)
            if self._unanswered and time.monotonic() - self._heard_s > PIPE_SILENT_MAX_S:
                raise TimeoutError(f"no answer for {PIPE_SILENT_MAX_S:.0f} s")

    def _fail_all(self) -> None:
        for future in self._unanswered:
            if not future.done():
                future.set_exception(CoreUnanswered())
        self._unanswered.clear()
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(CoreAway())
        self._waiting.clear()
