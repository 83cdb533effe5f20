"""The recorder in front of a server that misbehaves: it reports wrong answers, and asks again after 503 only."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from websockets.sync.client import connect

from tests.clients.recorder import Recorder
from tests.ports import free_port

BUSY = {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."}


class Server:
    """Gives `answers` one after the other, as (status, value), over HTTP and in frames."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []
        self.port = free_port()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(30)

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/ws-api/v3", self._socket)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._started.set()
        await asyncio.Event().wait()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        status, value = self.answers.pop(0)
        return web.json_response(value, status=status)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            self.asked.append(message.data)
            status, value = self.answers.pop(0)
            name = "result" if status == 200 else "error"
            await socket.send_json({"id": json.loads(message.data)["id"], "status": status, name: value})
        return socket


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


@pytest.fixture
def recorder(server: Server) -> Iterator[Recorder]:
    server.asked.clear()
    with Recorder(f"http://127.0.0.1:{server.port}") as running:
        yield running


def test_the_path_goes_through_as_it_is(server: Server, recorder: Recorder) -> None:
    server.answers = [(200, {"serverTime": 1795306578034})]
    with recorder.watch() as record:
        answer = httpx.get(recorder.base_url + "/api/v3/time?a=%7e&b=~&a=1", timeout=40)
    assert answer.json() == {"serverTime": 1795306578034}
    assert server.asked == ["/api/v3/time?a=%7e&b=~&a=1"]
    assert (dict(record.calls), record.faults) == ({"GET /api/v3/time": 1}, [])


def test_wrong_answers_are_faults(server: Server, recorder: Recorder) -> None:
    server.answers = [(200, {"serverTime": "1795306578034"}), (400, {"code": -1121}), (200, {})]
    with recorder.watch() as record:
        for path in ("time", "depth", "unheardOf"):
            httpx.get(f"{recorder.base_url}/api/v3/{path}", timeout=40)
    assert [fault.split(" is ")[0] for fault in record.faults] == [
        "GET /api/v3/time: $.serverTime", "GET /api/v3/depth 400: $.msg", "GET /api/v3/unheardOf: no table for {}",
    ]  # fmt: skip
    assert dict(record.refusals) == {("GET /api/v3/depth", -1121): 1}


def test_a_busy_answer_is_asked_again_and_another_refusal_is_not(server: Server, recorder: Recorder) -> None:
    server.answers = [(503, BUSY), (503, BUSY), (400, {"code": -1121, "msg": "Invalid symbol."})]
    with recorder.watch() as record:
        assert httpx.get(recorder.base_url + "/api/v3/depth", timeout=40).status_code == 400
    assert (len(server.asked), record.faults) == (3, [])


def test_frames_are_asked_again_too(server: Server, recorder: Recorder) -> None:
    server.answers = [(503, BUSY), (200, {"serverTime": 1})]
    with recorder.watch() as record, connect(recorder.ws_url + "/ws-api/v3", proxy=None) as socket:
        request = json.dumps({"id": "a", "method": "time"})
        socket.send(request)
        assert json.loads(socket.recv(timeout=30))["result"] == {"serverTime": 1}
    assert server.asked == [request, request]
    assert record.distinct_faults() == ["ws time: $.result.serverTime is 1, not a time in milliseconds"]
