"""A connection of the gateway without a network: a port that takes everything or nothing, and what it was given."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from apps.gateway.socket import Socket
from apps.gateway.wsprotocol import PORT


class FakePort:
    """A network that takes everything or nothing."""

    def __init__(self) -> None:
        self.takes = True
        self.written: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.holds = False
        self.held: list[str] = []
        self._on_writable: Callable[[], None]
        self._on_text: Callable[[str], None]

    def attach(
        self, *, on_writable: Callable[[], None], on_lost: Any, on_control_frame: Any, on_text: Any
    ) -> None:  # fmt: skip
        self._on_writable, self._on_text = on_writable, on_text

    def detach(self) -> None: ...

    def hold(self) -> None:
        self.holds = True

    def go_on(self) -> None:
        self.holds = False
        while self.held:
            self._on_text(self.held.pop(0))

    def say(self, text: str) -> None:
        """A message of the client."""
        self.held.append(text)
        if not self.holds:
            self.go_on()

    def is_writable(self) -> bool:
        return self.takes

    def write(self, frames: bytes) -> None:
        self.written.append(frames)

    def close_with(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def resume(self) -> None:
        self.takes = True
        self._on_writable()

    def messages(self) -> list[Any]:
        found, data = [], b"".join(self.written)
        self.written.clear()
        while data:
            length, head = data[1], 2
            if length == 126:
                length, head = int.from_bytes(data[2:4]), 4
            elif length == 127:
                length, head = int.from_bytes(data[2:10]), 10
            assert data[0] == 0x81
            found.append(json.loads(data[head : head + length]))
            data = data[head + length :]
        return found


async def turn() -> None:
    """Until everything planned for this turn of the loop has run."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class Client:
    """An accepted connection on a FakePort, with messages by ASGI or `at_once`; `make` makes its socket."""

    def __init__(self, *, at_once: bool = False, make: Callable[[Any, Any, Any], Socket] = Socket) -> None:
        self.at_once = at_once
        self.make = make

    async def __aenter__(self) -> "Client":
        self.port = FakePort()
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.got: list[Any] = []

        async def send(message: dict[str, Any]) -> None:
            assert message["type"] == "websocket.accept"

        async def on_message(message: dict[str, Any]) -> None:
            self.got.append(message["text"])

        self.socket = self.make({"extensions": {PORT: self.port}}, self.incoming.get, send)
        self.incoming.put_nowait({"type": "websocket.connect"})
        run = self.socket.run(on_text=self.got.append) if self.at_once else self.socket.run(on_message)
        self.running = asyncio.create_task(run)
        await turn()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})
        if not self.running.done():
            self.socket._on_lost()
        await asyncio.wait_for(self.running, 40)

    async def stall(self) -> None:
        """The network takes one message more, and then nothing."""
        self.port.takes = True
        self.socket.push('"last"')
        await turn()
        self.port.takes = False
        self.socket.push('"first"')
        await turn()
        self.port.written.clear()
