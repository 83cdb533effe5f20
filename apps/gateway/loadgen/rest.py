"""Load over REST: persistent HTTP/1.1 connections, one request at a time on each."""

import asyncio
import time
from typing import Final
from urllib.parse import urlencode

import httptools

from apps.gateway.loadgen.plan import Plan, tls_of
from apps.gateway.loadgen.signing import Signer
from apps.gateway.loadgen.traffic import Request
from apps.gateway.loadgen.transport import CONNECT_TIMEOUT_S, UNANSWERED, Link, Pool, Waiting

RECV_WINDOW_MS: Final = 60_000


class RestLink(Link, asyncio.Protocol):
    """Also the callbacks of its HTTP parser."""

    def __init__(self, pool: "RestPool") -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._waiting: Waiting | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._give_up()
        self._pool.lost(self)

    def send(self, waiting: Waiting) -> None:
        assert self._transport is not None, "a free connection is open"
        assert self._waiting is None, "one request at a time"
        self._waiting = waiting
        self._transport.write(self._pool.message(waiting.request))

    def expire(self, now_ns: int) -> None:
        """An answer that is still to come could not be told from the next one: the connection ends with the request."""
        if self._waiting is not None and self._waiting.deadline_ns <= now_ns:
            self.close()

    def close(self) -> None:
        self._give_up()
        if self._transport is not None:
            self._transport.abort()

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.done(UNANSWERED, b"")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    # -- the parser's callbacks ---------------------------------------------------------------------------------------
    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        status, keeps = self._parser.get_status_code(), self._parser.should_keep_alive()
        body, self._body = b"".join(self._body), []
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            # An answer nobody asked for, such as a time limit of the server on an idle connection.
            self.close()
            return
        waiting.done(status, body)
        if keeps and self._transport is not None and not self._transport.is_closing():
            self._pool.free(self)
        else:
            self.close()


class RestPool(Pool):
    def __init__(self, plan: Plan, signers: list[Signer]) -> None:
        super().__init__(plan, plan.sockets)
        self._signers = signers
        self._tls = tls_of(plan)
        self._host = plan.host_header

    async def connect(self) -> Link:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: RestLink(self), self.plan.host, self.plan.port, ssl=self._tls
            )
        return link

    def message(self, request: Request) -> bytes:
        """The bytes of a request, signed at this moment."""
        query, key = urlencode(request.params), ""
        if request.account is not None:
            signer = self._signers[request.account]
            key = f"X-MBX-APIKEY: {signer.key}\r\n"
            query = signer.query(f"{query}&recvWindow={RECV_WINDOW_MS}&timestamp={time.time_ns() // 1_000_000}")
        length = "" if request.method == "GET" else "Content-Length: 0\r\n"
        return f"{request.method} {request.path}?{query} HTTP/1.1\r\nHost: {self._host}\r\n{key}{length}\r\n".encode()
