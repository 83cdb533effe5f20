"""What a client gets that does not keep up: the newest ticker, joined depth, everything else in order, then the end."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from apps.gateway import policy
from apps.gateway import socket as gateway_socket
from apps.gateway.serverframes import text_frame
from apps.gateway.socket import Behind, Socket
from apps.gateway.streams.shared import COMBINED, DepthMessage, SharedMessage
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


class Market:
    symbol = "BTCUSDT"

    @staticmethod
    def price(ticks: int) -> str:
        return f"{ticks}.00000000"

    quantity = price


async def turn() -> None:
    """Until everything planned for this turn of the loop has run."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class Client:
    """An accepted connection on a FakePort, with messages by ASGI or `at_once`."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once

    async def __aenter__(self) -> "Client":
        self.port = FakePort()
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.got: list[Any] = []

        async def send(message: dict[str, Any]) -> None:
            assert message["type"] == "websocket.accept"

        async def on_message(message: dict[str, Any]) -> None:
            self.got.append(message["text"])

        self.socket = Socket({"extensions": {PORT: self.port}}, self.incoming.get, send)
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


def said(topic: str, value: Any, behind: Behind = Behind.ALL) -> SharedMessage:
    return SharedMessage(topic, lambda unit: value, behind)


def change(first: int, last: int, **sides: Any) -> DepthMessage:
    record = {"U": first, "u": last, "T": last, "b": [], "a": [], **sides}
    return DepthMessage("btcusdt@depth", Market(), record)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames(size: int) -> None:
    port = FakePort()
    port.written = [text_frame(json.dumps("x" * size).encode())]
    assert port.messages() == ["x" * size]


async def test_all_of_one_turn_is_one_write() -> None:
    async with Client() as client:
        for number in range(5):
            client.socket.share(said("t", number, Behind.NEWEST), 0)
        client.socket.push('"answer"')
        await turn()
        assert len(client.port.written) == 1
        assert client.port.messages() == [0, 1, 2, 3, 4, "answer"]


async def test_a_write_is_bounded_and_waits_for_the_network() -> None:
    async with Client() as client:
        for _ in range(20):
            client.socket.share(said("t", "x" * 10_000), 0)
        await turn()
        assert max(map(len, client.port.written)) < policy.WRITE_BYTES_MAX + 10_100
        assert len(client.port.messages()) == 20


async def test_the_newest_takes_the_place_of_the_one_before() -> None:
    async with Client() as client:
        await client.stall()
        for number in range(3):
            client.socket.share(said("a", f"a{number}", Behind.NEWEST), 0)
            client.socket.share(said("t", f"t{number}"), 0)
            client.socket.share(said("b", f"b{number}", Behind.NEWEST), 0)
        client.port.resume()
        assert client.port.messages() == ["first", "a2", "t0", "b2", "t1", "t2"]
        # Whoever keeps up again gets everything again.
        for number in range(2):
            client.socket.share(said("a", number, Behind.NEWEST), 0)
        await turn()
        assert client.port.messages() == [0, 1]


async def test_what_must_arrive_is_not_overtaken_in_its_own_stream() -> None:
    """A closed bar, and then the next one."""
    async with Client() as client:
        await client.stall()
        for value, behind in ((1, Behind.NEWEST), (2, Behind.ALL), (3, Behind.NEWEST), (4, Behind.NEWEST)):
            client.socket.share(said("k", value, behind), 0)
        client.port.resume()
        assert client.port.messages() == ["first", 1, 2, 4]


async def test_changes_of_a_book_are_joined() -> None:
    async with Client() as client:
        await client.stall()
        client.socket.share(change(11, 12, b=[(100, 5), (99, 1)], a=[(101, 1)]), COMBINED)
        client.socket.share(change(13, 13, b=[(99, 0)]), COMBINED)
        client.socket.share(change(14, 20, b=[(100, 7), (98, 2)], a=[(102, 3)]), COMBINED)
        client.port.resume()
        [_, joined] = client.port.messages()
        assert joined == {
            "stream": "btcusdt@depth",
            "data": {
                "e": "depthUpdate", "E": 20, "s": "BTCUSDT", "U": 11, "u": 20,
                "b": [
                    ["100.00000000", "7.00000000"], ["99.00000000", "0.00000000"], ["98.00000000", "2.00000000"],
                ],
                "a": [["101.00000000", "1.00000000"], ["102.00000000", "3.00000000"]],
            },
        }  # fmt: skip
        assert client.socket.queued_bytes == 0


async def test_conflation_comes_before_the_cut() -> None:
    """Many times the bound of changes to the same levels: joined, and the client stays."""
    async with Client() as client:
        await client.stall()
        levels = [(price, 1) for price in range(1_000, 1_100)]
        for number in range(1_000):
            client.socket.share(change(number + 1, number + 1, b=levels), 0)
            assert client.socket.queued_bytes <= policy.CLIENT_QUEUE_BYTES_MAX
        assert not client.socket.closed
        client.port.resume()
        [_, joined] = client.port.messages()
        assert (joined["U"], joined["u"], len(joined["b"])) == (1, 1_000, 100)


@pytest.mark.parametrize(("text", "count"), [("x" * 2_000, 600), ("x", 10_100)])
async def test_what_cannot_be_conflated_is_cut_off(text: str, count: int) -> None:
    async with Client() as client:
        await client.stall()
        for _ in range(count):
            client.socket.share(said("t", text), 0)
        assert client.socket.closed
        await asyncio.wait_for(client.running, 40)
        assert client.port.closed == (1008, "too slow")


async def test_one_large_answer_is_no_reason_to_cut_off() -> None:
    async with Client() as client:
        client.socket.push(json.dumps("x" * 2 * policy.CLIENT_QUEUE_BYTES_MAX))
        await turn()
        assert not client.socket.closed
        assert len(client.port.messages()) == 1


async def test_nothing_taken_for_long_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_socket, "SEND_TIMEOUT_S", 0.05)
    async with Client() as client:
        await client.stall()
        await asyncio.wait_for(client.running, 40)
        assert client.port.closed == (1008, "too slow")


async def test_who_does_not_read_answers_is_not_asked_for_more() -> None:
    async with Client(at_once=True) as client:
        await client.stall()
        client.port.say("1")
        client.socket.push(json.dumps("x" * policy.UNREAD_BYTES_MAX))
        await turn()
        client.port.say("2")
        assert client.got == ["1"]
        client.port.resume()
        await turn()
        assert client.got == ["1", "2"]


async def test_messages_of_streams_are_read_from_who_is_behind_too() -> None:
    async with Client() as client:
        await client.stall()
        client.socket.push(json.dumps("x" * policy.UNREAD_BYTES_MAX))
        client.incoming.put_nowait({"type": "websocket.receive", "text": "1"})
        await turn()
        assert client.got == ["1"]


async def test_a_message_that_cannot_be_handled_ends_the_connection() -> None:
    def fail(text: str | None) -> None:
        raise ValueError("planned")

    port, incoming = FakePort(), asyncio.Queue[dict[str, Any]]()

    async def send(message: dict[str, Any]) -> None: ...

    socket = Socket({"extensions": {PORT: port}}, incoming.get, send)
    incoming.put_nowait({"type": "websocket.connect"})
    running = asyncio.create_task(socket.run(on_text=fail))
    await turn()
    port.say("anything")
    await asyncio.wait_for(running, 40)
    assert port.closed == (1011, "internal error")
