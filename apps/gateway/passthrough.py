"""Everything that is not the trading API goes on to the site's unix socket, HTTP and WebSocket, streamed both ways.

The gateway reads no cookie and keeps nothing; it sets X-Forwarded-For, -Proto and -Host itself and drops what a client
sent under these names. When the site is down, pages get a plain 502 and trading goes on (T16).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import structlog
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from apps.common.contentpolicy import POLICY
from apps.gateway.asgi import Receive, Scope, Send, header
from apps.gateway.httpprotocol import GONE
from apps.gateway.limits.admission import counted_address
from apps.gateway.policy import (
    SITE_BODY_BYTES_MAX,
    SITE_CONNECT_TIMEOUT_S,
    SITE_SOCKETS_MAX,
    SITE_SOCKETS_PER_ADDRESS_MAX,
    WS_FRAME_BYTES_MAX,
)
from apps.gateway.siteclient import SiteClient, SiteDown

log = structlog.get_logger("nebannpet.gateway.site")

# RFC 9110 7.6.1. `expect` is answered by our own server.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"expect", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
        b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
# Our own server adds a date to every answer; there may be one only.
NOT_PASSED_BACK: Final = HOP_BY_HOP | {b"date"}
FORWARDED: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip"}
)
DOWN: Final = b"The site is not available at the moment. Trading through the API is not affected. Please try again.\n"
TOO_LARGE: Final = b"The request is too large.\n"


class _BodyTooLarge(Exception):
    pass


class _ClientGone(Exception):
    pass


class Site:
    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)
        self._client = SiteClient(self._socket)
        self._sockets: Counter[str] = Counter()

    async def close(self) -> None:
        self._client.close()

    # -- HTTP ---------------------------------------------------------------------------------------------------------
    async def http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        body = _body(receive) if _has_body(scope) else None
        try:
            answer = await self._client.request(scope["method"], _target(scope), _forwarded_headers(scope), body)
            try:
                headers = [(key, value) for key, value in answer.headers if key not in NOT_PASSED_BACK]
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                started = True
                gone = scope.get("extensions", {}).get(GONE)
                async for part in answer.body():
                    if gone is not None and gone():
                        return
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                answer.close()
        except _ClientGone:
            return
        except _BodyTooLarge:
            await _plain(send, 413, TOO_LARGE)
        except SiteDown as error:
            log.warning("the site did not answer", path=scope["path"], error=str(error))
            if started:
                # The answer is cut off in the middle: closing the connection is the only honest end.
                raise
            await _plain(send, 502, DOWN)

    # -- WebSocket ----------------------------------------------------------------------------------------------------
    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        client = scope.get("client")
        customer = counted_address(client[0] if client else "")
        # Without an address, as behind a unix socket, whoever is there limits by itself.
        if customer and self._sockets[customer] >= SITE_SOCKETS_PER_ADDRESS_MAX:
            await _refuse(send, 429)
            return
        if self._sockets.total() >= SITE_SOCKETS_MAX:
            await _refuse(send, 503)
            return
        self._sockets[customer] += 1
        try:
            await self._carry(scope, receive, send)
        finally:
            self._sockets[customer] -= 1
            if not self._sockets[customer]:
                del self._sockets[customer]

    async def _carry(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = (header(scope, b"host") or b"site").decode("latin-1")
        try:
            async with asyncio.timeout(SITE_CONNECT_TIMEOUT_S):
                upstream = await unix_connect(
                    self._socket,
                    # The address goes into the Host header; the connection is the unix socket's.
                    f"ws://{host}{_target(scope).decode('latin-1')}",
                    additional_headers=_websocket_headers(scope),
                    subprotocols=scope.get("subprotocols") or None,
                    origin=None,
                    compression=None,
                    max_size=WS_FRAME_BYTES_MAX,
                    max_queue=16,
                    # Between the two processes is a unix socket, which says by itself when the site is gone.
                    ping_interval=None,
                    user_agent_header=None,
                    proxy=None,
                )
        except InvalidStatus as error:
            await _refuse(send, error.response.status_code)
            return
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            log.warning("the site did not take a socket", path=scope["path"], error=repr(error))
            await _refuse(send, 502)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
            await _join(upstream, receive, send)
        finally:
            await upstream.close()


async def _join(upstream: ClientConnection, receive: Receive, send: Send) -> None:
    """Carry messages both ways until one side ends; each side waits for the other, so nothing piles up."""

    async def inward() -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            await upstream.send(text if text is not None else message["bytes"])

    async def outward() -> None:
        async for message in upstream:
            await send(
                {"type": "websocket.send", "text": message}
                if isinstance(message, str)
                else {"type": "websocket.send", "bytes": message}
            )

    tasks = {asyncio.create_task(inward()), asyncio.create_task(outward())}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        # Either side may go at any time; anything else is a mistake of ours.
        error = task.exception()
        if error is not None and not isinstance(error, ConnectionClosed | OSError):
            raise error
    if upstream.close_code is not None:
        # 1005 and 1006 mean 'no code' and 'lost'; they must not be sent.
        code = {1005: 1000, 1006: 1011}.get(upstream.close_code, upstream.close_code)
        with contextlib.suppress(OSError, RuntimeError):
            await send({"type": "websocket.close", "code": code, "reason": upstream.close_reason or ""})


def _target(scope: Scope) -> bytes:
    """Path and query as the client sent them."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return raw + b"?" + query if query else raw


def _forwarded_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    named = {
        token.strip().lower() for key, value in scope["headers"] if key == b"connection" for token in value.split(b",")
    }
    headers = [
        (key, value)
        for key, value in scope["headers"]
        if key not in HOP_BY_HOP and key not in FORWARDED and key not in named
    ]
    client = scope.get("client")
    host = header(scope, b"host") or b""
    headers += [
        (b"x-forwarded-for", (client[0] if client else "unknown").encode("ascii")),
        (b"x-forwarded-proto", b"https" if scope["scheme"] in ("https", "wss") else b"http"),
        (b"x-forwarded-host", host),
    ]
    return headers


def _websocket_headers(scope: Scope) -> list[tuple[str, str]]:
    """Without the handshake's own headers, which the new connection makes itself."""
    return [
        (key.decode("latin-1"), value.decode("latin-1"))
        for key, value in _forwarded_headers(scope)
        if key != b"host" and not key.startswith(b"sec-websocket-")
    ]


def _has_body(scope: Scope) -> bool:
    return any(key in (b"content-length", b"transfer-encoding") and value != b"0" for key, value in scope["headers"])


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    size = 0
    while True:
        message: dict[str, Any] = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > SITE_BODY_BYTES_MAX:
            raise _BodyTooLarge
        if part:
            yield part
        if not message.get("more_body", False):
            return


async def _plain(send: Send, status: int, text: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"retry-after", b"5"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def _refuse(send: Send, status: int) -> None:
    """An HTTP answer instead of the upgrade."""
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})
