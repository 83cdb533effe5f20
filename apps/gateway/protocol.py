"""uvicorn's protocols with bounds against clients that send without end or do not read.

HTTP: the head of a request (address and headers) is bounded in bytes and in time; uvicorn would keep all of it, for
ever. WebSocket: `scope["extensions"]["nebannpet.abort"]` closes the connection at once, without waiting until what is
buffered was read (a plain close never ends towards a client that does not read). Pongs are not buffered without bound.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apps.gateway.metrics import CUT_OFF
from apps.gateway.policy import CLOSE_TIMEOUT_S, PONG_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEAD_TIMEOUT_S

ABORT: Final = "nebannpet.abort"


class GatewayHttpProtocol(HttpToolsProtocol):
    """A connection waits for a head from its start, and from the first byte of each later request."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        head = self._head_timer
        super().data_received(data)
        # Only what lies wholly within one head counts: where this chunk began a new one, the chunk itself is the bound.
        if head is not None and head is self._head_timer:
            self._head_bytes += len(data)
            if self._head_bytes > REQUEST_HEAD_BYTES_MAX:
                self._cut_off("large head")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._stop_timer()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(REQUEST_HEAD_TIMEOUT_S, self._cut_off, "slow head")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_off(self, why: str) -> None:
        self._stop_timer()
        CUT_OFF.labels(why).inc()
        self.transport.abort()


class GatewayWebSocketProtocol(WebSocketsSansIOProtocol):
    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > PONG_BYTES_MAX:
            self.transport.abort()
            return
        super().handle_ping()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._end_soon()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._end_soon()

    def _end_soon(self) -> None:
        """The close frame may never be read; a plain close would wait for that."""
        self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    async def run_asgi(self) -> None:
        extensions: Any = self.scope.setdefault("extensions", {})
        extensions[ABORT] = self.transport.abort
        await super().run_asgi()
