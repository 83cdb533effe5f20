"""One connection: what goes to the network and when, and the end of clients that do not read."""

import asyncio
import json
from typing import Any

import pytest

from apps.gateway import policy
from apps.gateway import socket as gateway_socket
from apps.gateway.serverframes import text_frame
from apps.gateway.socket import Socket, share
from apps.gateway.wsprotocol import PORT
from tests.gateway.fakeport import Client, FakePort, turn


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames(size: int) -> None:
    port = FakePort()
    port.written = [text_frame(json.dumps("x" * size).encode())]
    assert port.messages() == ["x" * size]


async def test_all_of_one_turn_is_one_write() -> None:
    async with Client() as client:
        for number in range(5):
            share([client.socket], text_frame(b"%d" % number))
        client.socket.push('"answer"')
        await turn()
        assert len(client.port.written) == 1
        assert client.port.messages() == [0, 1, 2, 3, 4, "answer"]


async def test_a_write_is_bounded_and_waits_for_the_network() -> None:
    async with Client() as client:
        for _ in range(20):
            share([client.socket], text_frame(json.dumps("x" * 10_000).encode()))
        client.socket.flush()
        assert max(map(len, client.port.written)) < policy.WRITE_BYTES_MAX + 10_100
        assert len(client.port.messages()) == 20


@pytest.mark.parametrize(("text", "count"), [("x" * 2_000, 600), ("x", 10_100)])
async def test_too_many_answers_unread_are_the_end(text: str, count: int) -> None:
    async with Client() as client:
        await client.stall()
        for _ in range(count):
            client.socket.push(json.dumps(text))
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
