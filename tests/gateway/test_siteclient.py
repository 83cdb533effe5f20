"""The client towards the site, against a server that behaves in every way a server can."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from apps.gateway.policy import SITE_CONNECTIONS_MAX
from apps.gateway.siteclient import SiteClient, SiteDown

Serve = Callable[[bytes, asyncio.StreamWriter], Any]


class Server:
    """Answers each request head with the next of `answers`; a function may do anything with the connection."""

    def __init__(self, path: Path, *answers: bytes | Serve) -> None:
        self.path = str(path)
        self.answers = list(answers)
        self.heads: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_unix_server(self._handle, self.path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.01)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                answer = self.answers.pop(0)
                if callable(answer):
                    await answer(reader, writer)
                else:
                    writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError, IndexError):
            writer.close()


async def fetch(client: SiteClient, method: str = "GET", body: AsyncIterator[bytes] | None = None) -> tuple[int, bytes]:
    answer = await client.request(method, b"/x?y=1", [(b"host", b"site")], body)
    try:
        return answer.status, b"".join([part async for part in answer.body()])
    finally:
        answer.close()


@pytest.mark.parametrize(
    ("method", "answer", "expected", "connections"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, b"hi"), 1),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", (200, b"hi"), 1),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), 1),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", (304, b""), 1),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b""), 1),
        ("GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", (200, b"hi"), 2),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", (200, b""), 2),
    ],
)
async def test_answers(
    tmp_path: Path, method: str, answer: bytes, expected: tuple[int, bytes], connections: int
) -> None:
    """Twice each, so that a pooled connection that was not read to its end would show."""
    async with Server(tmp_path / "s", answer, answer) as server:
        client = SiteClient(server.path)
        assert [await fetch(client, method) for _ in range(2)] == [expected, expected]
        assert server.connections == connections
        assert server.heads[0] == f"{method} /x?y=1 HTTP/1.1\r\nhost: site\r\n\r\n".encode()
        client.close()


async def test_a_body_without_length_ends_with_the_connection(tmp_path: Path) -> None:
    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    async with Server(tmp_path / "s", answer) as server:
        assert await fetch(SiteClient(server.path)) == (200, b"all of it")


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 99999 X\r\n\r\n",
    ],
)
async def test_broken_answers(tmp_path: Path, start: bytes) -> None:
    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        writer.close()

    async with Server(tmp_path / "s", answer) as server:
        with pytest.raises(SiteDown):
            await fetch(SiteClient(server.path))


async def test_a_connection_that_was_just_closed_is_replaced_once(tmp_path: Path) -> None:
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    async def close(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with Server(tmp_path / "s", good, close, good) as server:
        client = SiteClient(server.path)
        assert [await fetch(client) for _ in range(2)] == [(200, b"hi")] * 2
        assert server.connections == 2
        client.close()
    async with Server(tmp_path / "t", close, close) as server:
        with pytest.raises(SiteDown):
            await fetch(SiteClient(server.path))
        assert len(server.heads) == 1


async def test_a_form_is_never_sent_twice(tmp_path: Path) -> None:
    async def take_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\na=1\r\n0\r\n\r\n"
        writer.close()

    async def body() -> AsyncIterator[bytes]:
        yield b"a=1"

    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with Server(tmp_path / "s", good, take_and_close) as server:
        client = SiteClient(server.path)
        await fetch(client)
        with pytest.raises(SiteDown):
            await fetch(client, "POST", body())
        assert [head.split()[0] for head in server.heads] == [b"GET", b"POST"]
        client.close()


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_what_changes_something_is_never_sent_twice_without_a_body_either(tmp_path: Path, method: str) -> None:
    async def close(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.close()

    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with Server(tmp_path / "s", good, close, good) as server:
        client = SiteClient(server.path)
        await fetch(client)
        with pytest.raises(SiteDown):
            await fetch(client, method)
        assert [head.split()[0].decode() for head in server.heads] == ["GET", method]
        client.close()


async def test_a_reset_instead_of_a_close_is_replaced_too(tmp_path: Path) -> None:
    """The site closes while our request lies unread in its socket."""
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    connections = 0

    def serve() -> None:
        nonlocal connections
        while connections < 2:
            connection, _ = listener.accept()
            connections += 1
            connection.recv(65_536)
            connection.sendall(good)
            if connections == 1:
                asked.wait(40)
            connection.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        asked = threading.Event()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = SiteClient(str(tmp_path / "s"))
        assert await fetch(client) == (200, b"hi")
        asyncio.get_running_loop().call_later(0.1, asked.set)
        assert await fetch(client) == (200, b"hi")
        client.close()
        await asyncio.to_thread(thread.join, 5)
    assert connections == 2


async def test_no_server_and_all_slots_are_given_back(tmp_path: Path) -> None:
    client = SiteClient(str(tmp_path / "nobody"))
    for _ in range(SITE_CONNECTIONS_MAX + 5):
        with pytest.raises(SiteDown, match=r"connecting"):
            await fetch(client)


async def test_more_requests_than_connections_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.gateway.siteclient.SITE_CONNECTIONS_MAX", 1)
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with Server(tmp_path / "s", good, good) as server:
        client = SiteClient(server.path)
        held = await client.request("GET", b"/", [], None)
        with monkeypatch.context() as hurried:
            hurried.setattr("apps.gateway.siteclient.SITE_CONNECT_TIMEOUT_S", 0.1)
            with pytest.raises(SiteDown, match=r"busy"):
                await fetch(client)
        held.close()
        assert await fetch(client) == (200, b"hi")
        client.close()


async def test_a_silent_site_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.gateway.siteclient.SITE_READ_TIMEOUT_S", 0.1)

    async def silent(_: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)

    async with Server(tmp_path / "s", silent) as server:
        with pytest.raises(SiteDown, match=r"reading"):
            await fetch(SiteClient(server.path))
