"""One WebSocket connection with a bounded outbox: a client that does not read is cut off.

Messages of streams are frames that many clients `share`, so a queue holds references. Everything that was pushed in one
turn of the event loop goes to the network in one write, at the end of that turn.

For a client that `is_behind` (its connection takes no more) streams/topic.py keeps what it misses, and `missed` hands
that over as the network takes more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

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


def _nothing_missed() -> list[bytes]:
    """Nobody keeps messages for it."""
    return []


class Socket:
    """`run(on_message)` serves the connection until it ends; `push`, `share` and `close` may be called at any time.

    `missed` is called when a client that was behind has all that was queued and its connection takes more.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, missed: Callable[[], list[bytes]] = _nothing_missed
    ) -> None:  # fmt: skip
        self._missed = missed
        self._receive = receive
        self._send = send
        self._port: Port | None = scope.get("extensions", {}).get(PORT)
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes] = deque()
        self._is_accepted = False
        self._flush_planned = False
        self._stall: asyncio.TimerHandle | None = None
        # Its connection takes no more.
        self.is_behind = False
        # It was so, and may have missed something.
        self._was_behind = False
        # Whether a client that is behind has to wait with what it asks for, and whether it does.
        self._holds = False
        self._is_holding = False
        # The same, because it has asked for as much as it may.
        self._is_full = False
        self._end: asyncio.Future[tuple[int, str] | None] = self._loop.create_future()
        self.closed = False
        self.queued_bytes = 0

    # -- outgoing -----------------------------------------------------------------------------------------------------
    def push(self, text: str) -> None:
        """Queue a message of this client alone."""
        if not self.closed:
            self._add(text_frame(text.encode()))
            self._check()

    def add_missed(self, frames: Iterable[bytes]) -> None:
        """Queue what the client has missed while it was behind."""
        for frame in frames:
            self._add(frame)

    def _add(self, frame: bytes) -> None:
        self._queue.append(frame)
        self.queued_bytes += len(frame)
        if not self._flush_planned and self._stall is None:
            self._flush_planned = True
            self._loop.call_soon(self.flush)

    @property
    def queued_messages(self) -> int:
        return len(self._queue)

    def _check(self) -> None:
        if self._stall is not None and self.queued_bytes > UNREAD_BYTES_MAX:
            self._hold()
        if self.queued_bytes <= CLIENT_QUEUE_BYTES_MAX and len(self._queue) <= CLIENT_QUEUE_MESSAGES_MAX:
            return
        if len(self._queue) == 1:
            # One large answer is no sign of a slow client.
            return
        self.cut_off()

    def cut_off(self) -> None:
        """The client is further behind than one may be."""
        if not self.closed:
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
        self._finish((code, reason))

    def _finish(self, ending: tuple[int, str] | None) -> None:
        if not self.closed:
            self.closed = True
            # Cancelled with the connection's task.
            if not self._end.done():
                self._end.set_result(ending)

    def flush(self) -> None:
        """Hand as much to the network as it takes; `on_writable` goes on."""
        port = self._port
        if port is None or not self._is_accepted:
            self._flush_planned = False
            return
        # What is added meanwhile goes with it.
        self._flush_planned = True
        queue = self._queue
        takes_more = port.is_writable()
        while takes_more:
            if not queue and self._was_behind:
                self.add_missed(self._missed())
                self._was_behind = bool(queue)
            if not queue:
                break
            chunk: list[bytes] = []
            size = 0
            while queue and size < WRITE_BYTES_MAX:
                frame = queue.popleft()
                chunk.append(frame)
                size += len(frame)
            self.queued_bytes -= size
            port.write(chunk[0] if len(chunk) == 1 else b"".join(chunk))
            takes_more = port.is_writable()
        self._flush_planned = False
        if not takes_more and self._stall is None:
            self._stall = self._loop.call_later(SEND_TIMEOUT_S, self._stalled)
            self.is_behind = self._was_behind = True
        if self._is_holding and self.queued_bytes <= UNREAD_BYTES_MAX:
            self._is_holding = False
            if not self._is_full:
                port.go_on()

    def _on_writable(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
            self.is_behind = False
        self.flush()

    def _on_lost(self) -> None:
        self._finish(None)

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
        self.flush()
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
            # Also when this task was cancelled.
            self.closed = True
            lifetime.cancel()
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            self.flush()
            if self._stall is not None:
                self._stall.cancel()
            port.detach()
            self._queue.clear()
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
        if not task.cancelled() and (error := task.exception()) is not None and not self.closed:
            log.error("a socket failed", exc_info=error)
            self.close(INTERNAL_ERROR, "internal error")

    async def _read(self, on_message: Callable[[Message], Awaitable[None]]) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._on_lost()
                return
            await on_message(message)


def share(sockets: Iterable[Socket], frame: bytes) -> None:
    """Queue one frame for all of them; each is to be flushed after the last one of this turn."""
    size = len(frame)
    # For each message and client: not a call of each socket, which would take three times as long.
    for socket in sockets:
        if not socket.closed:
            socket._queue.append(frame)
            socket.queued_bytes += size
