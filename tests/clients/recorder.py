"""Stands between a real client and the exchange, passes every byte on and holds every answer against the field tables.

It listens on a port of its own, speaks HTTP and WebSocket in its own thread, changes nothing (raw path, query, body,
statuses, close codes and pings go through) and keeps, for each client that announced itself by `watch`, the calls that
were answered and everything that fitted no table.

On one thing it insists, as a patient user would: what is answered with 503 (nothing was done, try again; where
settlement is half a second behind on a busy machine) it asks again for some seconds.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout, WSMsgType, WSServerHandshakeError, web
from yarl import URL

from tests.clients.fields.kinds import INT, TEXT, any_of, problems
from tests.clients.fields.market import COUNTED_RATE_LIMIT
from tests.clients.fields.streams import USER_EVENTS, table_of
from tests.clients.fields.tables import ERROR, LIMIT_ERROR, REPLACE_ERROR, REST, WS
from tests.ports import free_port

START_S: Final = 30.0
HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "host"})
WS_ONLY: Final = HOP_BY_HOP | {
    "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol",
}  # fmt: skip
FAULTS_SHOWN: Final = 5
# Shorter than the five seconds for which a signature is good by default.
AGAIN_S: Final = 4.0
PAUSE_S: Final = 0.1


@dataclass(slots=True)
class Record:
    """What one client did: `calls` by name ("GET /api/v3/depth", "ws order.place", "stream trade"), `refusals` by
    (name, code), and `faults`, sentences about what fitted no table."""

    calls: Counter[str] = field(default_factory=Counter)
    refusals: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, name: str, table: Any, value: Any) -> None:
        if table is None:
            self.faults.append(f"{name}: no table for {json.dumps(value)[:200]}")
            return
        self.faults += [f"{name}: {problem}" for problem in problems(table, value)]

    def distinct_faults(self) -> list[str]:
        return sorted(set(self.faults))


class Recorder:
    """with Recorder("http://localhost:8000") as recorder: recorder.base_url, recorder.ws_url"""

    def __init__(self, exchange_url: str) -> None:
        self._exchange_url = exchange_url
        self._port = free_port()
        self._record = Record()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="recorder", daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    def __enter__(self) -> "Recorder":
        self._thread.start()
        assert self._started.wait(START_S), "the recorder did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    @contextmanager
    def watch(self) -> Iterator[Record]:
        """A new record for the client that runs inside the block."""
        self._record = Record()
        yield self._record

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as self._session:
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{path:.*}", self._pass_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._socket(request)
        record, body = self._record, await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        deadline_s = time.monotonic() + AGAIN_S
        while True:
            async with self._session.request(
                request.method,
                URL(self._exchange_url + request.raw_path, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:
                content = await answer.read()
            if answer.status != 503 or time.monotonic() > deadline_s:
                break
            await asyncio.sleep(PAUSE_S)
        self._check_rest(record, f"{request.method} {request.path}", answer.status, answer.content_type, content)
        passed = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
        response = web.Response(status=answer.status, body=content)
        response.headers.popall("Content-Type", None)
        for name, value in passed:
            response.headers.add(name, value)
        return response

    def _check_rest(self, record: Record, name: str, status: int, content_type: str, content: bytes) -> None:
        if content_type != "application/json":
            record.faults.append(f"{name}: the answer's type is {content_type}")
            return
        value = json.loads(content)
        if status == 200:
            record.calls[name] += 1
            record.check(name, REST.get(name), value)
        else:
            record.check(f"{name} {status}", any_of(ERROR, REPLACE_ERROR), value)
            record.refusals[name, value.get("code", 0)] += 1

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in WS_ONLY}
        url = URL(self._exchange_url + request.raw_path, encoded=True)
        try:
            upstream = await self._session.ws_connect(url, headers=headers, autoping=False, max_msg_size=0)
        except WSServerHandshakeError as error:
            self._record.faults.append(f"{request.path}: the handshake was refused with {error.status}")
            return web.Response(status=error.status)
        client = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=0)
        await client.prepare(request)
        check = _ApiFrames(self._record) if request.path.startswith("/ws-api/") else _StreamFrames(self._record)
        tasks = [
            asyncio.create_task(_pump(client, upstream, check.sent, _never)),
            asyncio.create_task(_pump(upstream, client, check.received, check.to_ask_again)),
        ]
        await asyncio.wait(tasks)
        return client


def _never(text: str) -> None:
    """Nothing goes back to where it came from."""


async def _pump(source: Any, target: Any, seen: Any, to_ask_again: Any) -> None:
    """Everything from one side to the other until it closes; then the other is closed with the same code."""
    while True:
        message = await source.receive()
        if message.type == WSMsgType.TEXT:
            if (request := to_ask_again(message.data)) is not None:
                await asyncio.sleep(PAUSE_S)
                await source.send_str(request)
                continue
            seen(message.data)
            if not target.closed:
                await target.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type == WSMsgType.PING:
            await target.ping(message.data)
        elif message.type == WSMsgType.PONG:
            await target.pong(message.data)
        else:
            # The library has answered the close by now.
            if not target.closed:
                await target.close(code=message.data if message.type == WSMsgType.CLOSE and message.data else 1000)
            return


class _StreamFrames:
    """Frames of /ws and /stream: control answers, and messages that may be wrapped."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def sent(self, text: str) -> None:
        """Control requests are the client's affair."""

    def to_ask_again(self, text: str) -> str | None:
        return None

    def received(self, text: str) -> None:
        value = json.loads(text)
        if isinstance(value, dict) and "id" in value and ("result" in value or "error" in value):
            self._record.calls["stream control"] += 1
            return
        if isinstance(value, dict) and value.keys() == {"stream", "data"}:
            value = value["data"]
        name, table = table_of(value)
        self._record.calls[f"stream {name}"] += 1
        self._record.check(f"stream {name}", table, value)


class _ApiFrames:
    """Frames of /ws-api/v3: answers by the id of their request, and user events."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._methods: dict[str, str] = {}
        # Each request and until when it is asked again.
        self._requests: dict[str, tuple[str, float]] = {}

    def sent(self, text: str) -> None:
        request = json.loads(text)
        name = json.dumps(request.get("id"))
        self._methods[name] = request.get("method", "")
        self._requests[name] = (text, time.monotonic() + AGAIN_S)

    def to_ask_again(self, text: str) -> str | None:
        """The request whose answer this is, where it is asked again."""
        value = json.loads(text)
        if value.get("status") != 503:
            return None
        request, until_s = self._requests.get(json.dumps(value.get("id")), ("", 0.0))
        return request if time.monotonic() < until_s else None

    def received(self, text: str) -> None:
        value = json.loads(text)
        if "event" in value:
            name = str(value["event"].get("e"))
            self._record.calls[f"event {name}"] += 1
            self._record.check(
                f"event {name}", {"subscriptionId": INT, "event": USER_EVENTS.get(name, {"e": TEXT})}, value
            )
            return
        method = self._methods.get(json.dumps(value.get("id")), "")
        name = f"ws {method}"
        frame = {"id": any_of(INT, TEXT), "status": INT, "rateLimits?": [COUNTED_RATE_LIMIT]}
        if value.get("status") == 200:
            self._record.calls[name] += 1
            self._record.check(name, {**frame, "result": WS.get(method, {"unknown": TEXT})}, value)
        else:
            table = {**frame, "error": any_of(ERROR, REPLACE_ERROR, LIMIT_ERROR)}
            self._record.check(f"{name} refused", table, value)
            self._record.refusals[name, value.get("error", {}).get("code", 0)] += 1
