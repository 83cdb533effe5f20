"""A WebSocket client for tests: JSON in and out, every wait bounded."""

import itertools
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.gateway.client import AGAIN_S, PAUSE_S

WAIT_S = 40.0


def _nothing_done(answer: Any) -> bool:
    return answer.get("error", {}).get("code") == -1001


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
        """Answer of a stream control message; one that says that nothing was done (-1001) is asked again."""
        deadline = time.monotonic() + AGAIN_S
        while _nothing_done(answer := self.control_once(method, *params)) and time.monotonic() < deadline:
            # Five messages a second are all that a client may send.
            time.sleep(0.5)
        return answer

    def control_once(self, method: str, *params: Any) -> Any:
        number = next(self._ids)
        self.send({"method": method, "params": list(params), "id": number})
        return self.until(lambda message: isinstance(message, dict) and message.get("id", "") == number)

    def ask(self, method: str, **params: Any) -> Any:
        """Answer of a WebSocket API request; 503 says that nothing was done and asks to try again, as Client does."""
        deadline = time.monotonic() + AGAIN_S
        while (answer := self.ask_once(method, **params)).get("status") == 503 and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        return answer

    def ask_once(self, method: str, **params: Any) -> Any:
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
