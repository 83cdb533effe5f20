"""A small HTTP/1.1 client for the site's unix socket: streamed both ways, with a pool of idle connections.

Why not a general client: passing a page on took 2 ms of the event loop that also answers orders; this takes a tenth.
Only requests of safe methods use a pooled connection, and only they are sent again (once) when the site had just closed
it, so nothing is ever done twice (RFC 9110 9.2.2), whether or not it had a body.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import httptools

from apps.gateway.policy import SITE_CONNECT_TIMEOUT_S, SITE_CONNECTIONS_MAX, SITE_READ_TIMEOUT_S

Headers = list[tuple[bytes, bytes]]
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
IDLE_MAX: Final = 20
READ_BYTES: Final = 65_536
HEADER_BYTES_MAX: Final = 65_536


class SiteDown(Exception):
    """No answer: refused, too slow, broken off or not HTTP."""


class _Closed(SiteDown):
    """The connection ended, in all likelihood before the first byte of an answer."""


class _Connection:
    """One connection; carries one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def usable(self) -> bool:
        return not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()

    async def send(self, head: bytes, body: AsyncIterator[bytes] | None, *, chunked: bool) -> None:
        """When the site stops reading in the middle of a body it may have answered already: the answer decides."""
        self._writer.write(head)
        if body is None:
            return
        async for part in body:
            self._writer.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            try:
                async with asyncio.timeout(SITE_READ_TIMEOUT_S):
                    await self._writer.drain()
            except TimeoutError as error:
                raise SiteDown("the site does not read") from error
            except ConnectionError:
                return
        if chunked:
            self._writer.write(b"0\r\n\r\n")

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""
        try:
            async with asyncio.timeout(SITE_READ_TIMEOUT_S):
                return await self._reader.read(READ_BYTES)
        except ConnectionResetError as error:
            # A close that crossed our request on the wire; in the middle of an answer it is no end of a body.
            raise _Closed("reset") from error
        except (OSError, TimeoutError) as error:
            raise SiteDown(f"reading: {error!r}") from error


class Answer:
    """Status and headers of an answer; `body()` streams it. Close it in every case."""

    def __init__(self, connection: _Connection, pool: "SiteClient", *, head_only: bool) -> None:
        self._connection = connection
        self._pool = pool
        self._head_only = head_only
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._begun = False
        self._complete = False
        self._keep_alive = False
        self._header_bytes = 0
        self._closed = False
        self.headers: Headers = []
        self.status = 0

    # -- callbacks of the parser --------------------------------------------------------------------------------------
    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        self._complete = True

    # -- reading ------------------------------------------------------------------------------------------------------
    async def begin(self) -> None:
        """Read up to the end of the headers."""
        while not self.status:
            await self._feed()
        self._complete = self._complete or self._head_only

    async def body(self) -> AsyncIterator[bytes]:
        while True:
            while self._parts:
                yield self._parts.popleft()
            if self._complete:
                return
            await self._feed()

    async def _feed(self) -> None:
        data = await self._connection.read()
        if not data:
            if not self._begun:
                raise _Closed("closed before an answer")
            if self.status and not any(key in (b"content-length", b"transfer-encoding") for key, _ in self.headers):
                self._complete = True  # a body without a length ends with the connection
                return
            raise SiteDown("broken off in the middle of an answer")
        self._begun = True
        if not self.status:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES_MAX + READ_BYTES:
                raise SiteDown("headers without end")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise SiteDown(f"not HTTP: {error!r}") from error

    def close(self) -> None:
        """Give the connection back if the answer was read whole, else end it."""
        if self._closed:
            return
        self._closed = True
        reusable = self._complete and self._keep_alive and not self._head_only and not self._parts
        self._pool.give_back(self._connection, reusable=reusable)


class SiteClient:
    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._idle: deque[_Connection] = deque()
        self._slots = asyncio.Semaphore(SITE_CONNECTIONS_MAX)

    async def request(self, method: str, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None) -> Answer:
        """Send and read the headers of the answer. SiteDown when there is none."""
        chunked = body is not None and not any(key == b"content-length" for key, _ in headers)
        lines = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\n"]
        for key, value in headers:
            lines += [key, b": ", value, b"\r\n"]
        lines.append(b"transfer-encoding: chunked\r\n\r\n" if chunked else b"\r\n")
        head = b"".join(lines)
        try:
            async with asyncio.timeout(SITE_CONNECT_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError as error:
            raise SiteDown("all connections are busy") from error
        if body is None and method in SAFE_METHODS and (idle := self._take_idle()) is not None:
            with contextlib.suppress(_Closed):
                return await self._exchange(idle, method, head, None, chunked=False)
            await self._slots.acquire()
        return await self._exchange(await self._connect(), method, head, body, chunked=chunked)

    async def _exchange(
        self, connection: _Connection, method: str, head: bytes, body: AsyncIterator[bytes] | None, *, chunked: bool
    ) -> Answer:
        answer = Answer(connection, self, head_only=method == "HEAD")
        try:
            await connection.send(head, body, chunked=chunked)
            await answer.begin()
        except BaseException:
            answer.close()
            raise
        return answer

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(SITE_CONNECT_TIMEOUT_S):
                return _Connection(*await asyncio.open_unix_connection(self._socket, limit=READ_BYTES))
        except (OSError, TimeoutError) as error:
            self._slots.release()
            raise SiteDown(f"connecting: {error!r}") from error

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    def give_back(self, connection: _Connection, *, reusable: bool) -> None:
        self._slots.release()
        if reusable and connection.usable and len(self._idle) < IDLE_MAX:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
