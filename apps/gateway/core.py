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
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
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


class _Line(asyncio.Protocol):
    """Takes a connection over from redis-py: no task wakes up for a command or an answer."""

    def __init__(self, on_answer: Callable[[Any], None]) -> None:
        self._on_answer = on_answer
        self._reader = hiredis.Reader(replyError=_refusal_of)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            self._on_answer(answer)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


def _refusal_of(text: str) -> ResponseError:
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)


class CorePipe:
    """`run()` keeps the connection; `execute()` may be called from the same event loop at any time."""

    def __init__(self, url: str, scripts: Sequence[str] = (), server: str = "redis-core") -> None:
        self._url = url
        self._server = server
        self._scripts = tuple(scripts)
        self._unanswered: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.WriteTransport | None = None
        # When the server last answered, or was given something to answer after a rest.
        self._heard_s = 0.0
        self.connected = False

    def execute(self, *arguments: str | bytes | int) -> asyncio.Future[Any]:
        """The answer; raises CoreAway, CoreUnanswered, or ResponseError when redis refused the command."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.connected or self._transport is None or self._transport.is_closing():
            future.set_exception(CoreAway())
            return future
        # First, because it raises for what cannot be sent. The stubs take the tuple for one of one argument.
        packed = hiredis.pack_command(arguments)  # type: ignore[arg-type]
        if not self._unanswered:
            self._heard_s = time.monotonic()
        # From here on the outcome is unknown until answered.
        self._unanswered.append(future)
        self._transport.write(packed)
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
                self._transport = None
                self._fail_all()
                with contextlib.suppress(OSError, RedisError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_S)

    async def _serve(self, connection: Any) -> None:
        """Until the connection is lost or the server silent. redis-py has connected, logged on and read all of that."""
        line = _Line(self._on_answer)
        transport = connection._writer.transport
        transport.set_protocol(line)
        self._transport = transport
        self.connected = True
        while not line.lost.done():
            await asyncio.wait({line.lost}, timeout=PIPE_SILENT_MAX_S / 10)
            if self._unanswered and time.monotonic() - self._heard_s > PIPE_SILENT_MAX_S:
                raise TimeoutError(f"no answer for {PIPE_SILENT_MAX_S:.0f} s")
        raise ConnectionError("closed")

    def _on_answer(self, answer: Any) -> None:
        self._heard_s = time.monotonic()
        future = self._unanswered.popleft()
        if isinstance(answer, NoScriptError):
            self._load_scripts()
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _load_scripts(self) -> None:
        """Somebody emptied the server's script cache: what was refused did not happen, and the next call finds it."""
        for script in self._scripts:
            loaded = self.execute("SCRIPT", "LOAD", script)
            loaded.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    def _fail_all(self) -> None:
        for future in self._unanswered:
            if not future.done():
                future.set_exception(CoreUnanswered())
        self._unanswered.clear()
