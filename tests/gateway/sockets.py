"""A WebSocket client for tests: JSON in and out, every wait bounded."""

import itertools
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

WAIT_S = 40.0


class Socket:
    def __init__(self, url: str, **options: Any) -> None:
        self.connection: ClientConnection = connect(
            url, compression=None, open_timeout=WAIT_S, proxy=None, legacy=True, **options
        )
        self._ids = itertools.count(1)
        self.seen: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def send(self, value: Any) -> None:
        self.connection.send(value if isinstance(value, str | bytes) else json.dumps(value))

    def receive(self, timeout_s: float = WAIT_S) -> Any:
        message = json.loads(self.connection.recv(timeout=timeout_s))
        self.seen.append(message)
        return message

    def until(self, wanted: Callable[[Any], bool], timeout_s: float = WAIT_S) -> Any:
        """The next message for which `wanted` holds; others are kept in `seen`."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.receive(max(deadline - time.monotonic(), 0.001))
            if wanted(message):
                return message

    def control(self, method: str, *params: Any) -> Any:
        """Answer of a stream control message."""
        number = next(self._ids)
        self.send({"method": method, "params": list(params), "id": number})
        return self.until(lambda message: isinstance(message, dict) and message.get("id", "") == number)

    def ask(self, method: str, **params: Any) -> Any:
        """Answer of a WebSocket API request."""
        number = next(self._ids)
        self.send({"id": number, "method": method, "params": params})
        return self.until(lambda message: message.get("id") == number)

    def closed_with(self, timeout_s: float = WAIT_S) -> int | None:
        """The close code once the server ended the connection; messages before it are skipped."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self.connection.recv(timeout=max(deadline - time.monotonic(), 0.001))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None
