"""Messages of clients reach the application the same, whichever way they take and wherever the network cuts them."""

import asyncio
import logging
import random
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from apps.gateway import handshake
from apps.gateway.errors import ApiError
from apps.gateway.policy import WS_FRAME_BYTES_MAX
from apps.gateway.wsprotocol import GatewayWebSocketProtocol

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
RUNS = 150


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.closing = False
        self.reads = True

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


async def served(scope: Any, receive: Any, send: Any) -> None:
    """It runs after the test, which accepts by itself."""


async def opened(kind: type[WebSocketsSansIOProtocol]) -> tuple[Any, Transport]:
    """A protocol whose handshake is over."""
    config = uvicorn.Config(served, ws_max_size=WS_FRAME_BYTES_MAX, ws_per_message_deflate=False, log_config=None)
    config.load()
    protocol, transport = kind(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    protocol.data_received(REQUEST)
    await protocol.send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    await protocol.receive()
    protocol.stop_keepalive()
    transport.written = b""
    return protocol, transport


def frames(rng: random.Random) -> list[bytes]:
    """A client's conversation, frame by frame; now and then with a mistake in it."""
    found: list[bytes] = []
    for _ in range(rng.randrange(1, 8)):
        text = ("é" if rng.random() < 0.3 else "e") * rng.choice((0, 1, 60, 125, 126, 300, 70_000 // 2))
        body = text.encode()
        kind = rng.choice(("text",) * 6 + ("parts", "bytes", "ping", "close", "garbage", "not utf-8", "between"))
        if kind == "text":
            found.append(Frame(Opcode.TEXT, body).serialize(mask=True))
        elif kind == "parts":
            found.append(Frame(Opcode.TEXT, body[:1], fin=False).serialize(mask=True))
            found.append(Frame(Opcode.PING, b"p").serialize(mask=True))
            found.append(Frame(Opcode.CONT, body[1:]).serialize(mask=True))
        elif kind == "between":
            found.append(Frame(Opcode.TEXT, body, fin=False).serialize(mask=True))
            found.append(Frame(Opcode.TEXT, body).serialize(mask=True))
        elif kind == "bytes":
            found.append(Frame(Opcode.BINARY, body).serialize(mask=True))
        elif kind == "ping":
            found.append(Frame(Opcode.PING, body[:100]).serialize(mask=True))
        elif kind == "close":
            found.append(Frame(Opcode.CLOSE, b"").serialize(mask=True))
        elif kind == "not utf-8":
            found.append(Frame(Opcode.TEXT, b"\xff").serialize(mask=True))
        else:
            found += [bytes((byte,)) for byte in rng.randbytes(rng.randrange(1, 20))]
    return found


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(rng.sample(range(len(data) + 1), min(len(data), rng.randrange(4))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]


@pytest.mark.parametrize("seed", range(4))
async def test_they_are_those_of_the_state_machine_alone(seed: int) -> None:
    rng = random.Random(seed)
    for run in range(RUNS):
        data = frames(rng)
        plain, plainly = await opened(WebSocketsSansIOProtocol)
        ours, transport = await opened(GatewayWebSocketProtocol)
        got: list[Any] = []
        ours.attach(on_writable=print, on_lost=print, on_control_frame=None, on_text=got.append)
        # In one piece it would lose what came before a mistake.
        for frame in data:
            if not plainly.closing:
                plain.data_received(frame)
        for piece in pieces(rng, b"".join(data)):
            if not transport.closing:
                ours.data_received(piece)
        expected = []
        while not plain.queue.empty():
            message = plain.queue.get_nowait()
            if message["type"] == "websocket.receive":
                expected.append(message.get("text"))
        assert got == expected, f"seed {seed}, run {run}"
        assert (transport.written, transport.closing) == (plainly.written, plainly.closing), f"seed {seed}, run {run}"
        assert transport.reads or transport.closing
        for each in (plain, ours):
            each.stop_keepalive()


async def test_what_is_held_comes_later_and_in_order() -> None:
    protocol, transport = await opened(GatewayWebSocketProtocol)
    got: list[str] = []

    def on_text(text: str) -> None:
        got.append(text)
        if text == "2":
            protocol.hold()

    protocol.attach(on_writable=print, on_lost=print, on_control_frame=None, on_text=on_text)
    data = b"".join(Frame(Opcode.TEXT, b"%d" % number).serialize(mask=True) for number in range(5))
    protocol.data_received(data[:-3])
    protocol.data_received(data[-3:])
    assert (got, transport.reads) == (["0", "1", "2"], False)
    protocol.go_on()
    assert (got, transport.reads) == (["0", "1", "2", "3", "4"], True)


async def test_frames_from_before_the_answer_are_not_torn() -> None:
    """Against the protocol of WebSockets, and harmless."""
    config = uvicorn.Config(served, ws_max_size=WS_FRAME_BYTES_MAX, ws_per_message_deflate=False, log_config=None)
    config.load()
    protocol, transport = GatewayWebSocketProtocol(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    protocol.data_received(REQUEST)
    frame = Frame(Opcode.TEXT, b"early").serialize(mask=True)
    protocol.data_received(frame + frame[:4])
    await protocol.send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    await protocol.receive()
    got: list[Any] = []
    protocol.attach(on_writable=print, on_lost=print, on_control_frame=None, on_text=got.append)
    protocol.data_received(frame[4:] + frame)
    protocol.stop_keepalive()
    assert got == ["early"] * 3


CLOSE = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True)


@pytest.mark.parametrize("before", ["open", "closed by the client", "closed by us", "closed by both", "held"])
async def test_the_end_of_the_server_ends_a_connection_in_each_state(before: str) -> None:
    """One that raises would leave the connections after it, and whoever still waits for an answer."""
    protocol, transport = await opened(GatewayWebSocketProtocol)
    lost: list[bool] = []
    protocol.attach(on_writable=print, on_lost=lambda: lost.append(True), on_control_frame=None, on_text=print)
    if before == "held":
        protocol.hold()
    if before.startswith("closed by us") or before == "closed by both":
        protocol.close_with(1008, "")
    if before in ("closed by the client", "closed by both"):
        # Its transport has not ended: there is something that its client has not read.
        protocol.data_received(CLOSE)
    protocol.shutdown()
    assert transport.closing
    assert bool(lost) == (before in ("open", "closed by the client"))
    written = transport.written
    assert written.count(b"\x88") == 1, "one close frame"


async def test_a_refused_handshake_is_answered_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def banned(scope: Any, receive: Any, send: Any) -> None:
        await handshake.refuse(receive, send, ApiError(418, -1003, "Way too many requests.", retry_after_s=7))

    config = uvicorn.Config(banned, ws_max_size=WS_FRAME_BYTES_MAX, ws_per_message_deflate=False, log_config=None)
    config.load()
    protocol, transport = GatewayWebSocketProtocol(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        protocol.data_received(REQUEST)
        await asyncio.gather(*protocol.tasks)
    assert transport.written.startswith(b"HTTP/1.1 418 ")
    assert transport.written.endswith(b'{"code":-1003,"msg":"Way too many requests."}')
    assert transport.closing
    assert not caplog.records


async def test_the_end_of_the_server_refuses_an_unfinished_handshake() -> None:
    config = uvicorn.Config(served, ws_max_size=WS_FRAME_BYTES_MAX, ws_per_message_deflate=False, log_config=None)
    config.load()
    protocol, transport = GatewayWebSocketProtocol(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    protocol.data_received(REQUEST)
    protocol.shutdown()
    assert transport.closing
    assert transport.written.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("is_held", [False, True])
async def test_no_message_is_handed_out_twice_after_one_that_failed(is_held: bool) -> None:
    """Another copy of an order is another order."""
    protocol, _ = await opened(GatewayWebSocketProtocol)
    got: list[str] = []

    def on_text(text: str) -> None:
        got.append(text)
        if text == "0" and is_held:
            protocol.hold()
        if text == "2":
            raise ValueError("planned")

    protocol.attach(on_writable=print, on_lost=print, on_control_frame=None, on_text=on_text)
    data = b"".join(Frame(Opcode.TEXT, b"%d" % number).serialize(mask=True) for number in range(4))
    if is_held:
        protocol.data_received(data)
        with pytest.raises(ValueError, match="planned"):
            protocol.go_on()
    else:
        with pytest.raises(ValueError, match="planned"):
            protocol.data_received(data)
    protocol.data_received(Frame(Opcode.TEXT, b"last").serialize(mask=True))
    assert got == ["0", "1", "2", "3", "last"]


async def test_what_is_behind_a_held_message_keeps_its_place() -> None:
    """A ping and a message in parts."""
    protocol, transport = await opened(GatewayWebSocketProtocol)
    got: list[tuple[str, bytes]] = []

    def on_text(text: str) -> None:
        got.append((text, transport.written))
        if text == "first":
            protocol.hold()

    protocol.attach(on_writable=print, on_lost=print, on_control_frame=None, on_text=on_text)
    data = b"".join(
        frame.serialize(mask=True)
        for frame in (
            Frame(Opcode.TEXT, b"first"), Frame(Opcode.PING, b"p"), Frame(Opcode.TEXT, b"par", fin=False),
            Frame(Opcode.CONT, b"ts"), Frame(Opcode.TEXT, b"last"),
        )
    )  # fmt: skip
    protocol.data_received(data)
    assert (got, transport.written) == ([("first", b"")], b"")
    protocol.go_on()
    pong = Frame(Opcode.PONG, b"p").serialize(mask=False)
    assert got == [("first", b""), ("parts", pong), ("last", pong)]


async def test_a_close_behind_held_messages_is_answered_when_they_are_handed_out() -> None:
    protocol, transport = await opened(GatewayWebSocketProtocol)
    told: list[str] = []
    protocol.attach(
        on_writable=print, on_lost=lambda: told.append("lost"), on_control_frame=None, on_text=told.append
    )  # fmt: skip
    protocol.hold()
    protocol.data_received(Frame(Opcode.TEXT, b"last").serialize(mask=True) + CLOSE)
    assert (told, transport.closing) == ([], False)
    protocol.go_on()
    assert (told, transport.closing) == (["last", "lost"], True)


async def test_the_end_need_not_wait_for_a_close_that_came_while_messages_were_held() -> None:
    protocol, transport = await opened(GatewayWebSocketProtocol)
    got: list[str] = []
    protocol.attach(on_writable=print, on_lost=print, on_control_frame=None, on_text=got.append)
    protocol.hold()
    protocol.data_received(Frame(Opcode.TEXT, b"too late").serialize(mask=True) + CLOSE)
    protocol.detach()
    assert not transport.closing
    protocol.close_with(1008, "")
    assert transport.closing
    assert not got
    assert protocol.queue.empty()
