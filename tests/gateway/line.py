"""One kept connection to a gateway for thousands of small requests: httpx takes longer for each than the gateway.

For requests without a body that change nothing: one whose connection the gateway had closed meanwhile is sent again.
"""

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

TIMEOUT_S: Final = 60
END_OF_HEAD: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """Names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname is not None, base_url
        assert parts.port is not None, base_url
        self._address, self._host = (parts.hostname, parts.port), parts.netloc
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def ask(self, method: str, target: str, headers: dict[str, str]) -> LineAnswer:
        """`target` as it is."""
        lines = [f"{method} {target} HTTP/1.1", f"host: {self._host}", "accept: */*"]
        if method in ("POST", "PUT"):
            lines.append("content-length: 0")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join(lines).encode("ascii") + END_OF_HEAD
        if self._socket is not None:
            try:
                return self._answer(request, self._socket)
            except (ConnectionError, EOFError):
                self._hang_up()
        self._socket = socket.create_connection(self._address, timeout=TIMEOUT_S)
        return self._answer(request, self._socket)

    def _answer(self, request: bytes, connected: socket.socket) -> LineAnswer:
        connected.sendall(request)
        found = _more(connected)
        while END_OF_HEAD not in found:
            found += _more(connected)
        head, _, body = found.partition(END_OF_HEAD)
        first, *named = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in named)}
        length = int(headers["content-length"])
        while len(body) < length:
            body += _more(connected)
        assert len(body) == length, (request, found)
        if headers.get("connection") == "close":
            self._hang_up()
        return LineAnswer(int(first.split(" ")[1]), headers, body)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _more(connected: socket.socket) -> bytes:
    """EOFError when the connection has ended."""
    found = connected.recv(65536)
    if not found:
        raise EOFError
    return found
