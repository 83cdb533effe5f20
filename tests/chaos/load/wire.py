"""The two ways to the trading API. Each answers (status, body), or raises NotSent or Unanswered."""

import asyncio
import contextlib
import itertools
import json
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.chaos.load.signing import signed_params, signed_query
from tests.dialect import Account

ANSWER_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
WS_METHODS = {
    ("POST", "/api/v3/order"): "order.place",
    ("DELETE", "/api/v3/order"): "order.cancel",
    ("DELETE", "/api/v3/openOrders"): "openOrders.cancelAll",
    ("GET", "/api/v3/order"): "order.status",
    ("PUT", "/api/v3/order/amend/keepPriority"): "order.amend.keepPriority",
    ("POST", "/api/v3/order/cancelReplace"): "order.cancelReplace",
    ("POST", "/api/v3/orderList/oco"): "orderList.place.oco",
    ("DELETE", "/api/v3/orderList"): "orderList.cancel",
}


class NotSent(Exception):
    """The request never reached the exchange: certainly not executed."""


class Unanswered(Exception):
    """Sent, and no answer came: executed or not."""


class Wire(Protocol):
    async def request(self, method: str, path: str, params: dict[str, Any]) -> tuple[int, Any]: ...
    async def close(self) -> None: ...


class RestWire:
    def __init__(self, base_url: str, account: Account) -> None:
        self._account = account
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"X-MBX-APIKEY": account.api_key},
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            trust_env=False,
        )

    async def request(self, method: str, path: str, params: dict[str, Any]) -> tuple[int, Any]:
        try:
            answer = await self._http.request(method, f"{path}?{signed_query(self._account, params)}")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(str(error)) from error
        except httpx.HTTPError as error:
            raise Unanswered(repr(error)) from error
        try:
            return answer.status_code, answer.json()
        except ValueError as error:
            raise Unanswered(f"status {answer.status_code} without JSON") from error

    async def close(self) -> None:
        await self._http.aclose()


class SocketWire:
    """Requests of one WebSocket API connection, side by side; it connects again at the next request."""

    def __init__(self, ws_url: str, account: Account) -> None:
        self._url = ws_url + "/ws-api/v3"
        self._account = account
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._connection: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def request(self, method: str, path: str, params: dict[str, Any]) -> tuple[int, Any]:
        connection = await self._connected()
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        frame = {"id": number, "method": WS_METHODS[method, path], "params": signed_params(self._account, params)}
        try:
            await connection.send(json.dumps(frame))
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                body = await answer
        except (WebSocketException, OSError, TimeoutError) as error:
            raise Unanswered(repr(error)) from error
        finally:
            self._waiting.pop(number, None)
        return body["status"], body.get("result", body.get("error"))

    async def _connected(self) -> ClientConnection:
        async with self._connecting:
            if self._connection is None:
                try:
                    self._connection = await open_socket(self._url)
                except (WebSocketException, InvalidHandshake, OSError, TimeoutError) as error:
                    raise NotSent(repr(error)) from error
                self._reading = asyncio.create_task(self._read(self._connection))
            return self._connection

    async def _read(self, connection: ClientConnection) -> None:
        try:
            async for text in connection:
                message = json.loads(text)
                answer = self._waiting.get(message["id"])
                if answer is not None and not answer.done():
                    answer.set_result(message)
        except WebSocketException:
            pass  # the same as an orderly end: whoever still waits was not answered
        finally:
            self._connection = None
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(Unanswered("the connection ended"))

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading


async def open_socket(url: str) -> ClientConnection:
    return await connect(
        url,
        compression=None,
        open_timeout=CONNECT_TIMEOUT_S,
        close_timeout=2,
        max_size=2**22,
        proxy=None,
        ping_interval=None,
    )
