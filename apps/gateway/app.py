"""The ASGI application: trading paths here, everything else on to the site (architecture.md section 2)."""

from typing import Final

from apps.gateway import http
from apps.gateway.asgi import Receive, Scope, Send
from apps.gateway.gateway import Gateway
from apps.gateway.policy import CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX
from apps.gateway.registry import API_PREFIXES, SITE_API_PREFIXES
from apps.gateway.streams import connection as streams
from apps.gateway.wsapi import connection as wsapi

WS_API: Final = "/ws-api/v3"


class GatewayApp:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._sockets: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "http":
            if is_api_path(path) or is_stream_path(path):
                # A stream path asked for without an upgrade is no REST endpoint: 404 in JSON.
                await http.serve(self._gateway, scope, receive, send)
            else:
                await self._gateway.site.http(scope, receive, send)
        elif scope["type"] == "websocket":
            if is_stream_path(path):
                await self._socket(scope, receive, send)
            else:
                await self._gateway.site.websocket(scope, receive, send)
        else:
            raise RuntimeError(f"unexpected scope {scope['type']}; the server runs with lifespan off")

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams and WebSocket API, within the numbers of connections that one process and one address may have."""
        address = http.address_of(scope)
        of_address = self._sockets.get(address, 0)
        if of_address >= CONNECTIONS_PER_ADDRESS_MAX or sum(self._sockets.values()) >= CONNECTIONS_MAX:
            await receive()
            await send({"type": "websocket.http.response.start", "status": 429, "headers": [(b"retry-after", b"5")]})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        self._sockets[address] = of_address + 1
        try:
            serve = wsapi.serve if scope["path"] == WS_API else streams.serve
            await serve(self._gateway, scope, receive, send)
        finally:
            self._sockets[address] -= 1
            if not self._sockets[address]:
                del self._sockets[address]


def is_api_path(path: str) -> bool:
    return path.startswith(API_PREFIXES) and not path.startswith(SITE_API_PREFIXES)


def is_stream_path(path: str) -> bool:
    return path in ("/ws", "/stream", WS_API) or path.startswith("/ws/")
