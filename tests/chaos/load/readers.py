"""One reader of depth and one of user data: they write down every message, and connect again when cut off."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.chaos.history import FeedMessage, Histories, History
from tests.chaos.load.forms import SYMBOL
from tests.chaos.load.signing import signed_params
from tests.chaos.load.wire import open_socket

RETRY_S = 0.2
SNAPSHOT_EVERY_S = 1.0
SILENT_MAX_S = 8.0
# Over all readers and all rounds of the load: ids join within one connection only.
_connections = itertools.count(1)


class FeedReader:
    """Reads one WebSocket for ever. `begin` frames are sent after each connection; `take` gets each message."""

    def __init__(
        self, url: str, *, begin: Callable[[], list[dict[str, Any]]], take: Callable[[int, dict[str, Any]], None]
    ) -> None:
        self._url = url
        self._begin = begin
        self._take = take

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await _unless(stopping, self._read)
            except (WebSocketException, InvalidHandshake, OSError, TimeoutError):
                await _pause(stopping, RETRY_S)

    async def _read(self) -> None:
        connection = await open_socket(self._url)
        try:
            number = next(_connections)
            for frame in self._begin():
                await connection.send(json.dumps(frame))
            while True:
                # A gateway that was killed -9 closes; one that is stopped says nothing. Both end this connection.
                async with asyncio.timeout(SILENT_MAX_S):
                    text = await connection.recv()
                self._take(number, json.loads(text))
        finally:
            await connection.close()


def depth_reader(ws_url: str, histories: Histories) -> FeedReader:
    def take(connection: int, body: dict[str, Any]) -> None:
        histories.depth.append(FeedMessage(connection, time.monotonic(), body))

    return FeedReader(f"{ws_url}/ws/{SYMBOL.lower()}@depth@100ms", begin=list, take=take)


def user_data_reader(ws_url: str, history: History) -> FeedReader:
    def begin() -> list[dict[str, Any]]:
        params = signed_params(history.account, {})
        return [{"id": 1, "method": "userDataStream.subscribe.signature", "params": params}]

    def take(connection: int, body: dict[str, Any]) -> None:
        if "event" in body:
            history.reports.append(FeedMessage(connection, time.monotonic(), body["event"]))
        elif body.get("status") != 200:
            raise TimeoutError(f"not subscribed: {body}")

    return FeedReader(f"{ws_url}/ws-api/v3", begin=begin, take=take)


async def read_snapshots(base_url: str, histories: Histories, stopping: asyncio.Event) -> None:
    """The REST snapshot once a second; its id must never fall either."""
    async with httpx.AsyncClient(base_url=base_url, timeout=5, trust_env=False) as http:
        while not stopping.is_set():
            try:
                answer = await http.get("/api/v3/depth", params={"symbol": SYMBOL, "limit": 100})
                if answer.status_code == 200:
                    histories.snapshots.append(FeedMessage(0, time.monotonic(), answer.json()))
            except httpx.HTTPError:
                pass  # the exchange is being broken on purpose; the next second tries again
            await _pause(stopping, SNAPSHOT_EVERY_S)


async def _unless(stopping: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """`work` until it ends or `stopping`."""
    task, stop = asyncio.ensure_future(work()), asyncio.ensure_future(stopping.wait())
    await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if task.done():
        task.result()
    else:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
