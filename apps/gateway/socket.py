"""One WebSocket connection with a bounded outbox: a client that does not read is conflated, then cut off.

Messages are frames that all clients of a topic share, so a queue holds references. Everything that was pushed in one
turn of the event loop goes to the network in one write, at the end of that turn.

Layout of the queue: frames, and `_Slot`s, which stand for what a client that is behind may get less of. While it waits,
a newer message of its topic takes its place (tickers, best prices, partial books) or joins it (depth: absolute
quantities from the first id to the last). A client that keeps up gets every message as it is.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Final, Protocol, Self

import structlog

from apps.gateway.asgi import Message, Receive, Scope, Send
from apps.gateway.metrics import CUT_OFF
from apps.gateway.policy import (
    CLIENT_QUEUE_BYTES_MAX,
    CLIENT_QUEUE_MESSAGES_MAX,
    CONNECTION_LIFETIME_S,
    SEND_TIMEOUT_S,
    UNREAD_BYTES_MAX,
    WRITE_BYTES_MAX,
)
from apps.gateway.serverframes import text_frame
from apps.gateway.wsprotocol import PORT, OnText, Port

log = structlog.get_logger("nebannpet.gateway.socket")

NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
TRY_AGAIN: Final = 1013


class Behind(IntEnum):
    """What a client that is behind gets of several messages of one topic."""

    ALL = 0
    NEWEST = 1
    JOINED = 2


class Shared(Protocol):
    """A message that many clients get. `form` says in which of its forms; each is built once."""

    topic: str
    behind: Behind

    def frame(self, form: int) -> bytes: ...

    def join(self, later: Self) -> Self:
        """Both as one message; only where `behind` is JOINED."""


class _Slot:
    __slots__ = ("form", "message", "parts", "size")

    def __init__(self, message: Shared, form: int, size: int) -> None:
        self.message = message
        self.form = form
        # Messages that are still to be joined to it, oldest first.
        self.parts: list[Shared] = []
        self.size = size

    def take(self, later: Shared, size: int) -> int:
        """By how many bytes it grew."""
        if later.behind is Behind.JOINED:
            self.parts.append(later)
            self.size += size
            return size
        grown, self.message, self.size = size - self.size, later, size
        return grown

    def frame(self) -> bytes:
        for part in self.parts:
            self.message = self.message.join(part)
        self.parts.clear()
        return self.message.frame(self.form)


class Socket:
    """`run(on_message)` serves the connection until it ends; `push`, `share` and `close` may be called at any time."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._port: Port | None = scope.get("extensions", {}).get(PORT)
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes | _Slot] = deque()
        self._waiting: dict[str, _Slot] = {}
        self._is_accepted = False
        self._flush_planned = False
        self._stall: asyncio.TimerHandle | None = None
        # Whether a client that is behind has to wait with what it asks for, and whether it does.
        self._holds = False
        self._is_holding = False
        # The same, because it has asked for as much as it may.
        self._is_full = False
        self._end: asyncio.Future[tuple[int, str] | None] = self._loop.create_future()
        self.queued_bytes = 0

    # -- outgoing -----------------------------------------------------------------------------------------------------
    def push(self, text: str) -> None:
        """Queue a message of this client alone."""
        if not self._end.done():
            frame = text_frame(text.encode())
            self._add(frame, len(frame))

    def share(self, message: Shared, form: int) -> None:
        """Queue a message that others get too."""
        if self._end.done():
            return
        frame = message.frame(form)
        if self._stall is None:
            self._add(frame, len(frame))
            return
        slot = self._waiting.get(message.topic)
        if message.behind is Behind.ALL:
            # What comes later in this topic must not overtake it.
            self._waiting.pop(message.topic, None)
            self._add(frame, len(frame))
        elif slot is None or slot.form != form:
            slot = self._waiting[message.topic] = _Slot(message, form, len(frame))
            self._add(slot, len(frame))
        else:
            self.queued_bytes += slot.take(message, len(frame))
            self._check()

    def join_no_more(self) -> None:
        """What comes from now on stands alone: what waits does not reach it, as after the end of a subscription."""
        self._waiting.clear()

    def _add(self, entry: bytes | _Slot, size: int) -> None:
        self._queue.append(entry)
        self.queued_bytes += size
        if not self._flush_planned and self._stall is None:
            self._flush_planned = True
            self._loop.call_soon(self._flush)
        self._check()

    def _check(self) -> None:
        if self._stall is not None and self.queued_bytes > UNREAD_BYTES_MAX:
            self._hold()
        if self.queued_bytes <= CLIENT_QUEUE_BYTES_MAX and len(self._queue) <= CLIENT_QUEUE_MESSAGES_MAX:
            return
        if len(self._queue) == 1:
            # One large answer is no sign of a slow client.
            return
        for slot in self._waiting.values():
            size = len(slot.frame())
            self.queued_bytes += size - slot.size
            slot.size = size
        if self.queued_bytes > CLIENT_QUEUE_BYTES_MAX // 2 or len(self._queue) > CLIENT_QUEUE_MESSAGES_MAX:
            CUT_OFF.labels("slow").inc()
            self.close(POLICY_VIOLATION, "too slow")

    def _hold(self) -> None:
        """A client that does not read its answers is not read from either: TCP tells it to wait."""
        if self._holds and not self._is_holding and self._port is not None:
            self._is_holding = True
            self._port.hold()

    def hold(self) -> None:
        """No message of the client before `go_on`."""
        assert self._port is not None, "messages come from it"
        self._is_full = True
        self._port.hold()

    def go_on(self) -> None:
        assert self._port is not None, "messages come from it"
        self._is_full = False
        if not self._is_holding:
            self._port.go_on()

    def close(self, code: int, reason: str) -> None:
        """End the connection; a client that does not keep up does not get what is still queued."""
        if not self._end.done():
            self._end.set_result((code, reason))

    @property
    def closed(self) -> bool:
        return self._end.done()

    def _flush(self) -> None:
        """Hand as much to the network as it takes; `on_writable` goes on."""
        self._flush_planned = False
        port = self._port
        if port is None or not self._is_accepted:
            return
        queue = self._queue
        while queue and port.is_writable():
            chunk: list[bytes] = []
            size = 0
            while queue and size < WRITE_BYTES_MAX:
                entry = queue.popleft()
                if isinstance(entry, _Slot):
                    entry = self._frame_of(entry)
                else:
                    self.queued_bytes -= len(entry)
                chunk.append(entry)
                size += len(entry)
            port.write(chunk[0] if len(chunk) == 1 else b"".join(chunk))
        if not port.is_writable() and self._stall is None:
            self._stall = self._loop.call_later(SEND_TIMEOUT_S, self._stalled)
        if self._is_holding and self.queued_bytes <= UNREAD_BYTES_MAX:
            self._is_holding = False
            if not self._is_full:
                port.go_on()

    def _frame_of(self, slot: _Slot) -> bytes:
        topic = slot.message.topic
        if self._waiting.get(topic) is slot:
            del self._waiting[topic]
        self.queued_bytes -= slot.size
        return slot.frame()

    def _on_writable(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._flush()

    def _on_lost(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def _stalled(self) -> None:
        """Nothing could be handed to the network for SEND_TIMEOUT_S: the client does not read."""
        CUT_OFF.labels("stalled").inc()
        self.close(POLICY_VIOLATION, "too slow")

    # -- the connection -----------------------------------------------------------------------------------------------
    async def run(
        self,
        on_message: Callable[[Message], Awaitable[None]] | None = None,
        *,
        on_text: OnText | None = None,
        on_control_frame: Callable[[], None] | None = None,
    ) -> None:
        """Accept, then read and write until one side ends it.

        `on_message` handles messages one after the other. `on_text` gets them when they come, None for what is no text,
        and must not wait; an exception of it ends the connection. It is not called while the client does not read its
        answers, nor between `hold` and `go_on`, nor for what came after `close`.
        `on_control_frame` hears of each ping and pong of the client.
        """
        if (await self._receive())["type"] != "websocket.connect":
            return
        port = self._port
        assert port is not None, "this server's protocol is GatewayWebSocketProtocol"
        await self._send({"type": "websocket.accept"})
        self._holds = on_text is not None
        port.attach(
            on_writable=self._on_writable, on_lost=self._on_lost, on_control_frame=on_control_frame,
            on_text=self._guarded(on_text) if on_text is not None else None,
        )  # fmt: skip
        self._is_accepted = True
        self._flush()
        reading: asyncio.Task[None] | None = None
        if on_message is not None:
            reading = asyncio.create_task(self._read(on_message))
            reading.add_done_callback(self._reading_ended)
        lifetime = self._loop.call_later(
            CONNECTION_LIFETIME_S, self.close, NORMAL, "24 hours are over; please connect again"
        )
        try:
            ending = await self._end
        finally:
            lifetime.cancel()
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            self._flush()
            if self._stall is not None:
                self._stall.cancel()
            port.detach()
            self._queue.clear()
            self._waiting.clear()
        if ending is not None:
            port.close_with(*ending)

    def _guarded(self, on_text: OnText) -> OnText:
        """A message that cannot be handled ends the connection: what the ones after it mean may depend on it."""

        def guarded(text: str | None) -> None:
            try:
                on_text(text)
            except Exception:  # the top of a message: the log gets the reason
                log.exception("a socket failed")
                self.close(INTERNAL_ERROR, "internal error")

        return guarded

    def _reading_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._end.done():
            log.error("a socket failed", exc_info=error)
            self.close(INTERNAL_ERROR, "internal error")

    async def _read(self, on_message: Callable[[Message], Awaitable[None]]) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._on_lost()
                return
            await on_message(message)
