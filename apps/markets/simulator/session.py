"""A client of the public WebSocket API, as any bot could write one: signed requests and user data on one connection."""

import asyncio
import contextlib
import hashlib
import hmac
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from apps.common.clock import now_ms

ANSWER_TIMEOUT_S: Final = 10.0
OPEN_TIMEOUT_S: Final = 5.0
MESSAGE_BYTES_MAX: Final = 4 * 2**20

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key; the secret signs and is never sent."""

    name: str
    account_id: int
    api_key: str
    api_secret: str = field(repr=False)


class Refused(Exception):
    """The API answered with an error: `code` and `message` of the dialect, HTTP-like `status`."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class TradingSession:
    """`request` may be called by several tasks at once; `on_event` gets each user data event in order."""

    def __init__(
        self, connection: ClientConnection, credentials: Credentials, on_event: Callable[[Event], None]
    ) -> None:
        self._connection = connection
        self._credentials = credentials
        self._on_event = on_event
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0

    async def request(self, method: str, **params: object) -> Any:
        """The result of a public method. Raises Refused, TimeoutError, ConnectionClosed."""
        self._last_id = number = self._last_id + 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._connection.send(
                msgspec.json.encode({"id": number, "method": method, "params": params}).decode()
            )
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answer
        finally:
            del self._waiting[number]

    async def signed(self, method: str, **params: str | int) -> Any:
        """As `request`, signed with the account's key over the parameters sorted by name."""
        sent = {**params, "apiKey": self._credentials.api_key, "timestamp": now_ms()}
        text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
        signature = hmac.new(self._credentials.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return await self.request(method, **sent, signature=signature)

    async def read(self) -> None:
        """Deliver answers and events until the connection ends."""
        async for message in self._connection:
            frame = msgspec.json.decode(message)
            if "event" in frame:
                self._on_event(frame["event"])
                continue
            answer = self._waiting.get(frame["id"])
            if answer is None or answer.done():
                continue
            if "error" in frame:
                error = frame["error"]
                answer.set_exception(Refused(frame["status"], error["code"], error["msg"]))
            else:
                answer.set_result(frame["result"])
        raise ConnectionError("the gateway closed the connection")


def from_address(url: str) -> tuple[str, int] | None:
    """Where to connect from; None for anywhere.

    To a gateway of this machine from another loopback address than its other clients have: the API's limits count by
    address, and a ban of one of them would stand the market still. Only Linux has more than one without being asked.
    """
    return ("127.0.0.2", 0) if sys.platform == "linux" and urlsplit(url).hostname == "127.0.0.1" else None


@contextlib.asynccontextmanager
async def trading_session(
    url: str, credentials: Credentials, on_event: Callable[[Event], None]
) -> AsyncIterator[TradingSession]:
    """An open session that reads in the background. When the connection ends, so does the block, with the reason."""
    async with connect(
        url, open_timeout=OPEN_TIMEOUT_S, close_timeout=1, compression=None, max_size=MESSAGE_BYTES_MAX, proxy=None,
        local_addr=from_address(url),
    ) as connection:  # fmt: skip
        session = TradingSession(connection, credentials, on_event)
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(session.read())
            try:
                yield session
            finally:
                reader.cancel()
