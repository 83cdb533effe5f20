"""The ASGI application: trading paths here, everything else on to the site (architecture.md section 2)."""

from collections import Counter
from typing import Final

from apps.common.clock import now_ms
from apps.gateway import errors, handshake, http
from apps.gateway.asgi import Receive, Scope, Send
from apps.gateway.errors import ApiError
from apps.gateway.gateway import Gateway
from apps.gateway.limits.admission import counted_address, refuse
from apps.gateway.policy import CONNECTION_WEIGHT, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX
from apps.gateway.registry import API_PREFIXES, SITE_API_PREFIXES
from apps.gateway.streams import connection as streams
from apps.gateway.wsapi import connection as wsapi

WS_API: Final = "/ws-api/v3"
# Of open pages (nebannpet/routing.py).
SITE_SOCKETS: Final = "/live/"


class GatewayApp:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._sockets: Counter[str] = Counter()

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
            elif path.startswith(SITE_SOCKETS):
                await self._gateway.site.websocket(scope, receive, send)
            else:
                await handshake.refuse(receive, send, errors.unknown_socket_path())
        else:
            raise RuntimeError(f"unexpected scope {scope['type']}; the server runs with lifespan off")

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams and WebSocket API, within the numbers of connections that one process and one address may have."""
        address = http.address_of(scope)
        try:
            await self._admit(address)
            if self._gateway.drain.is_draining:
                raise errors.not_executed()
        except ApiError as error:
            await handshake.refuse(receive, send, error)
            return
        customer = counted_address(address)
        self._sockets[customer] += 1
        try:
            serve = wsapi.serve if scope["path"] == WS_API else streams.serve
            await serve(self._gateway, scope, receive, send)
        finally:
            self._sockets[customer] -= 1
            if not self._sockets[customer]:
                del self._sockets[customer]

    async def _admit(self, address: str) -> None:
        """Opening a connection counts like a request. Raises what refuses it."""
        limits = self._gateway.limits
        usage = await limits.admit(address, CONNECTION_WEIGHT)
        if usage.verdict:
            raise refuse(usage, limits.standard, is_wallet=False, at_ms=now_ms())
        if self._sockets[counted_address(address)] >= CONNECTIONS_PER_ADDRESS_MAX:
            raise errors.too_many_connections(CONNECTIONS_PER_ADDRESS_MAX)
        if self._sockets.total() >= CONNECTIONS_MAX:
            raise errors.not_executed()


def is_api_path(path: str) -> bool:
    return path.startswith(API_PREFIXES) and not path.startswith(SITE_API_PREFIXES)


def is_stream_path(path: str) -> bool:
    return path in ("/ws", "/stream", WS_API) or path.startswith("/ws/")
