"""uvicorn's WebSocket protocol with bounds against clients that send without end or do not read.

`scope["extensions"]["nebannpet.port"]` takes finished frames, which many connections share, and says when the network
takes more. No connection outlives its end by more than CLOSE_TIMEOUT_S, whether or not the client reads (a plain close
waits until it has read what is buffered, which may be never). Pongs are not buffered without bound.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from apps.gateway.clientframes import frame_at
from apps.gateway.policy import (
    CLOSE_TIMEOUT_S,
    PONG_BYTES_MAX,
    UNSENT_BYTES_MAX,
    WRITE_BYTES_MAX,
    WS_FRAME_BYTES_MAX,
)

PORT: Final = "nebannpet.port"
# Looked up once: a member of an enumeration costs a call each time (Python 3.11).
_OPEN: Final = State.OPEN
OnText = Callable[[str | None], None]


class Port(Protocol):
    """What a connection offers beside ASGI."""

    def attach(
        self, *, on_writable: Callable[[], None], on_lost: Callable[[], None],
        on_control_frame: Callable[[], None] | None, on_text: OnText | None,
    ) -> None:  # fmt: skip
        """Call these from now on: the network takes more, the connection ended, a ping or pong came, a message came.

        Without `on_text` messages go the way of ASGI. One that is not text is None.
        """

    def hold(self) -> None:
        """Let the client wait: no message before `go_on`."""

    def go_on(self) -> None: ...

    def detach(self) -> None: ...

    def is_writable(self) -> bool:
        """Whether the network takes more now."""

    def write(self, frames: bytes) -> None:
        """Whole frames of messages, after the connection was accepted."""

    def close_with(self, code: int, reason: str) -> None:
        """Send a close frame behind everything written, and end the connection soon, answered or not."""


def _nothing() -> None:
    """Nobody is attached."""


class GatewayWebSocketProtocol(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._on_writable: Callable[[], None] = _nothing
        self._on_lost: Callable[[], None] = _nothing
        self._on_control_frame: Callable[[], None] = _nothing
        self._on_text: OnText | None = None
        # What came and was not looked at: the beginning of a frame, or all that came while messages are held.
        self._left = b""
        self._is_held = False
        self._is_by_frames = True

    # -- Port ---------------------------------------------------------------------------------------------------------
    def attach(
        self, *, on_writable: Callable[[], None], on_lost: Callable[[], None],
        on_control_frame: Callable[[], None] | None, on_text: OnText | None,
    ) -> None:  # fmt: skip
        self._on_writable, self._on_lost = on_writable, on_lost
        self._on_control_frame = on_control_frame or _nothing
        self._on_text = on_text
        self._hand_out_queued()

    def detach(self) -> None:
        self._on_writable = self._on_lost = self._on_control_frame = _nothing
        self._on_text = None
        self._is_held = False
        self._read_on()

    def hold(self) -> None:
        self._is_held = True
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def go_on(self) -> None:
        if self._is_held:
            self._is_held = False
            self._hand_out_queued()
            self._take(b"")

    def is_writable(self) -> bool:
        return self.writable.is_set() and not self.transport.is_closing()

    def write(self, frames: bytes) -> None:
        """Past the sans-I/O connection: without extensions it keeps nothing about messages that were sent."""
        if not self.close_sent:
            self.transport.write(frames)

    def close_with(self, code: int, reason: str) -> None:
        if self.transport.is_closing() or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            # Also to see the client's answer.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self._give_up)
        # The client's answer may be here already, behind what was held.
        self._take(b"")

    def _give_up(self) -> None:
        self.close_timer = None
        self.transport.abort()

    # -- uvicorn ------------------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # What a client that does not read costs: so much here, so much in the kernel, and one write more.
        self.transport.set_write_buffer_limits(high=WRITE_BYTES_MAX)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self.handshake_complete and self._is_by_frames:
            self._take(data)
            return
        # The request comes first and alone. Who sends more before the answer may have sent a part of a frame.
        self._is_by_frames = not self.handshake_initiated
        super().data_received(data)
        self._hand_out_queued()

    def _take(self, data: bytes) -> None:
        """Frame by frame, so that the state machine below stands between two frames whenever a text goes past it."""
        data = self._left + data if self._left else data
        start = 0
        try:
            while not self._is_held and not self.transport.is_closing():
                end, text = frame_at(data, start, WS_FRAME_BYTES_MAX)
                if not end:
                    break
                # Before it is handed out: whatever happens then, none may be handed out again.
                begin, start = start, end
                on_text = self._on_text
                # Not within a message of several frames, nor after the end.
                if (
                    text is None
                    or on_text is None
                    or self.conn.current_size is not None
                    or self.conn.state is not _OPEN
                ):
                    super().data_received(data[begin:end])
                    self._hand_out_queued()
                else:
                    on_text(text)
        finally:
            self._left = data[start:]

    def _hand_out_queued(self) -> None:
        """What went through the state machine: uvicorn queues it, and reads no more until it is fetched."""
        if self._on_text is None:
            return
        while not self._is_held and not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] == "websocket.receive":
                self._on_text(message.get("text"))
            else:
                self._on_lost()
        if not self._is_held:
            self._read_on()

    def _read_on(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._on_writable()

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > PONG_BYTES_MAX:
            self.transport.abort()
            return
        super().handle_ping()
        self._on_control_frame()

    def handle_pong(self, event: Frame) -> None:
        super().handle_pong(event)
        self._on_control_frame()

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._end_soon()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._end_soon()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._end_soon()

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent and self.conn.state is not _OPEN:
            # The client has closed, was answered, and has not read that; uvicorn would send a second close frame.
            self.stop_keepalive()
            self.transport.close()
        else:
            super().shutdown()
        self._end_soon()

    def _end_soon(self) -> None:
        """The close frame may never be read; a plain close would wait for that."""
        self._hand_out_queued()
        self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # A refusal is a whole handshake; uvicorn would log an error that there was none.
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        extensions: Any = self.scope.setdefault("extensions", {})
        extensions[PORT] = self
        await super().run_asgi()
