"""uvicorn's WebSocket protocol with two additions against clients that do not read.

`scope["extensions"]["nebannpet.abort"]` closes the connection at once, without waiting until what is buffered was read
(a plain close never ends towards a client that does not read). Pongs are not buffered without bound.
"""

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apps.gateway.policy import CLOSE_TIMEOUT_S, PONG_BYTES_MAX

ABORT: Final = "nebannpet.abort"


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
