"""Requests to a gateway without sockets: the application is called as its server calls it, in the gateway's own loop.

Thousands of requests a second, many at a time. What the server itself does (HTTP parsing, frames) has other tests.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from apps.gateway.app import WS_API, GatewayApp
from apps.gateway.gateway import Gateway
from apps.gateway.wsapi import connection as wsapi
from tests.gateway.exchange import Exchange

AT_ONCE = 32
ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


_numbers = itertools.count()


def _client() -> tuple[str, int]:
    """Another address each time: request weight is counted by address, and is not what is tried here."""
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 1


async def _rest(
    app: GatewayApp, method: str, path: str, query: bytes, body: bytes, headers: list[tuple[bytes, bytes]]
) -> Answer:
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": headers, "client": _client(), "server": ("127.0.0.1", 1), "scheme": "http",
        "http_version": "1.1", "extensions": {},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async with asyncio.timeout(ANSWER_WITHIN_S):
        await app(scope, receive, send)
    start, *rest = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], names, b"".join(each.get("body", b"") for each in rest).decode())


class _Ends:
    """In the place of the gateway's socket: frames go in and texts come out, both as Python values."""

    def __init__(self, *_: Any) -> None:
        self.incoming: asyncio.Queue[str | None] = asyncio.Queue()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.closed = False
        _Ends.newest = self

    newest: "_Ends"

    def push(self, text: str) -> None:
        answer = json.loads(text)
        future = self.waiting.pop(answer["id"])
        future.set_result(answer)

    def close(self, code: int, reason: str) -> None:
        self.closed = True
        for future in self.waiting.values():
            future.set_exception(AssertionError(f"cut off: {code} {reason}"))
        self.waiting.clear()

    async def run(self, *, on_text: Callable[[str | None], None]) -> None:
        while (text := await self.incoming.get()) is not None:
            on_text(text)


class InProcess:
    """`with InProcess(exchange, monkeypatch) as there:` then `there.rest([...])` and `there.ws([...])`."""

    def __init__(self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exchange = exchange
        self._app = GatewayApp(exchange.gateway)
        monkeypatch.setattr(wsapi, "Socket", _Ends)
        # Connections of one client are cut off for their number of requests, which is not what is tried here.
        monkeypatch.setattr(wsapi, "WSAPI_REQUESTS_PER_S", 10_000_000)

    def _run(self, work: Awaitable[Any]) -> Any:
        loop = self._exchange.gateway_thread.loop
        assert loop is not None
        return asyncio.run_coroutine_threadsafe(work, loop).result()  # type: ignore[arg-type]

    def rest(self, requests: Iterable[tuple[str, str, bytes, bytes, list[tuple[bytes, bytes]]]]) -> list[Answer]:
        """Answers in the order of (method, path, query, body, headers)."""
        return list(self._run(_each([lambda each=each: _rest(self._app, *each) for each in requests])))

    def ws(self, frames: Iterable[tuple[int, str]]) -> list[Any]:
        """Answers in the order of (id, frame), over one connection. Each frame must have its id."""
        return list(self._run(self._ws(list(frames))))

    async def _ws(self, frames: list[tuple[int, str]]) -> list[Any]:
        scope = {
            "type": "websocket", "path": WS_API, "query_string": b"", "headers": [], "client": _client(),
        }  # fmt: skip
        gateway: Gateway = self._exchange.gateway

        async def unused(*_: Any) -> Any:
            raise AssertionError("only _Ends is used")

        serving = asyncio.create_task(wsapi.serve(gateway, scope, unused, unused))
        await asyncio.sleep(0)
        ends = _Ends.newest

        async def ask(number: int, frame: str) -> Any:
            future = ends.waiting[number] = asyncio.get_running_loop().create_future()
            ends.incoming.put_nowait(frame)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await future

        try:
            return await _each([lambda number=number, frame=frame: ask(number, frame) for number, frame in frames])
        finally:
            ends.incoming.put_nowait(None)
            await serving


async def _each(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """At most AT_ONCE at a time; results in order."""
    results: list[Any] = [None] * len(calls)
    numbers = iter(range(len(calls)))

    async def work() -> None:
        for number in numbers:
            results[number] = await calls[number]()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return results
