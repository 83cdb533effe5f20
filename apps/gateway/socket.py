"""One WebSocket connection with a bounded outbox: a client that does not read is conflated, then cut off.

Messages are texts that all clients of a topic share, so a queue holds references. What may be replaced by something
newer (tickers, best prices, partial books) has a key: while it waits, the newer text takes its place.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from apps.gateway.asgi import Message, Receive, Scope, Send
from apps.gateway.metrics import CUT_OFF
from apps.gateway.policy import (
    CLIENT_QUEUE_BYTES_MAX,
    CLIENT_QUEUE_MESSAGES_MAX,
    CLOSE_TIMEOUT_S,
    CONNECTION_LIFETIME_S,
    SEND_TIMEOUT_S,
)
from apps.gateway.protocol import ABORT

log = structlog.get_logger("nebannpet.gateway.socket")

NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
TRY_AGAIN: Final = 1013
CLOSE_SEND_TIMEOUT_S: Final = 1.0


class _Slot:
    __slots__ = ("key", "text")

    def __init__(self, text: str, key: str | None) -> None:
        self.text = text
        self.key = key


class Socket:
    """`run(on_message)` serves the connection until it ends; `push` and `close` may be called at any time."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._abort: Callable[[], None] | None = scope.get("extensions", {}).get(ABORT)
        self._queue: deque[_Slot] = deque()
        self._waiting: dict[str, _Slot] = {}
        self._wake = asyncio.Event()
        self._end: asyncio.Future[tuple[int, str] | None] = asyncio.get_running_loop().create_future()
        self.queued_bytes = 0

    # -- outgoing -----------------------------------------------------------------------------------------------------
    def push(self, text: str, topic: str = "", *, replaceable: bool = False) -> None:
        """Queue a message; a replaceable one takes the place of the waiting one of its topic."""
        if self._end.done():
            return
        slot = self._waiting.get(topic) if replaceable else None
        if slot is not None:
            self.queued_bytes += len(text) - len(slot.text)
            slot.text = text
        else:
            # Later replaceable messages of this topic must not overtake this one.
            self._waiting.pop(topic, None)
            slot = _Slot(text, topic if replaceable else None)
            if replaceable:
                self._waiting[topic] = slot
            self._queue.append(slot)
            self.queued_bytes += len(text)
            self._wake.set()
        if self.queued_bytes > CLIENT_QUEUE_BYTES_MAX or len(self._queue) > CLIENT_QUEUE_MESSAGES_MAX:
            CUT_OFF.labels("slow").inc()
            self.close(POLICY_VIOLATION, "too slow")

    def close(self, code: int, reason: str) -> None:
        """End the connection; what is still queued is dropped."""
        if not self._end.done():
            self._end.set_result((code, reason))

    @property
    def closed(self) -> bool:
        return self._end.done()

    # -- the connection -----------------------------------------------------------------------------------------------
    async def run(self, on_message: Callable[[Message], Awaitable[None]]) -> None:
        """Accept, then read and write until one side ends it. Messages are handled one after the other."""
        if (await self._receive())["type"] != "websocket.connect":
            return
        await self._send({"type": "websocket.accept"})
        tasks = [asyncio.create_task(self._read(on_message)), asyncio.create_task(self._write())]
        lifetime = asyncio.get_running_loop().call_later(
            CONNECTION_LIFETIME_S, self.close, NORMAL, "24 hours are over; please connect again"
        )
        for task in tasks:
            task.add_done_callback(self._task_ended)
        try:
            ending = await self._end
        finally:
            lifetime.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._queue.clear()
            self._waiting.clear()
        if ending is not None:
            await self._say_goodbye(*ending)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._end.done():
            log.error("a socket failed", exc_info=error)
            self.close(1011, "internal error")

    async def _read(self, on_message: Callable[[Message], Awaitable[None]]) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                if not self._end.done():
                    self._end.set_result(None)
                return
            await on_message(message)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                slot = self._queue.popleft()
                if slot.key is not None and self._waiting.get(slot.key) is slot:
                    del self._waiting[slot.key]
                self.queued_bytes -= len(slot.text)
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._send({"type": "websocket.send", "text": slot.text})
                except TimeoutError:
                    CUT_OFF.labels("stalled").inc()
                    self.close(POLICY_VIOLATION, "too slow")
                    return
                except (OSError, RuntimeError):
                    # The connection is closed already.
                    if not self._end.done():
                        self._end.set_result(None)
                    return

    async def _say_goodbye(self, code: int, reason: str) -> None:
        """Send the close frame, and make sure that the connection ends whatever the client does."""
        try:
            async with asyncio.timeout(CLOSE_SEND_TIMEOUT_S):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:
            self._cut()
        except (OSError, RuntimeError):
            return
        else:
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._cut)

    def _cut(self) -> None:
        if self._abort is not None:
            self._abort()
