"""More requests of one WebSocket API connection than may be under way at once: they wait for room, in their order.

The connection and its protocol by themselves; verdicts on requests come when the test says so.
"""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from apps.gateway.limits.counting import Usage
from apps.gateway.limits.tiers import STANDARD, tiers
from apps.gateway.policy import WSAPI_IN_FLIGHT_MAX
from apps.gateway.registry import load
from apps.gateway.socket import Socket
from apps.gateway.wsapi.connection import WsApiConnection
from apps.gateway.wsprotocol import PORT, GatewayWebSocketProtocol
from tests.gateway.conftest import PATIENCE_S
from tests.gateway.test_client_frames import opened
from tests.gateway.test_core import eventually

STANDARD_TIER = tiers(1)[STANDARD]


class Limits:
    """In the place of admission: each request waits for `admit_all` or is admitted at the next turn of the loop."""

    def __init__(self) -> None:
        self.stands_still = False
        self.waiting: list[asyncio.Future[Usage]] = []
        self.most = 0

    def tier(self, credential: Any) -> Any:
        return STANDARD_TIER

    def admit(self, *_: Any, **__: Any) -> asyncio.Future[Usage]:
        self.waiting.append(asyncio.get_running_loop().create_future())
        self.most = max(self.most, len(self.waiting))
        if not self.stands_still:
            asyncio.get_running_loop().call_soon(self.admit_all)
        return self.waiting[-1]

    def admit_all(self) -> None:
        for verdict in self.waiting:
            verdict.set_result(Usage(0, 0, 1, 1, 0, 0))
        self.waiting.clear()


class Connected:
    """A WebSocket API connection on a network that takes everything."""

    async def __aenter__(self) -> "Connected":
        self.limits = Limits()
        self.protocol, self.transport = await opened(GatewayWebSocketProtocol)
        # The application that it was opened for has ended at once; this one is in its place.
        await eventually(lambda: self.transport.closing)
        self.transport.closing = False
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})
        started = asyncio.Event()
        started.set()
        gateway: Any = SimpleNamespace(
            registry=load(), follower=SimpleNamespace(started=started), limits=self.limits, tail=SimpleNamespace(seq=0)
        )

        async def accepted(message: dict[str, Any]) -> None: ...

        self.socket = Socket({"extensions": {PORT: self.protocol}}, incoming.get, accepted)
        self.connection = WsApiConnection(gateway, self.socket, address="1.2.3.4", own_origin=True)
        self.running = asyncio.create_task(self.socket.run(on_text=self.connection.on_text))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.connection.leave()
        self.limits.admit_all()
        self.protocol.connection_lost(None)
        await asyncio.wait_for(self.running, PATIENCE_S)

    def send(self, numbers: range) -> None:
        """In one piece."""
        texts = (json.dumps({"id": number, "method": "ping", "params": {}}) for number in numbers)
        self.protocol.data_received(b"".join(Frame(Opcode.TEXT, text.encode()).serialize(mask=True) for text in texts))

    def answers(self) -> list[tuple[int, int]]:
        """(id, status) of all so far."""
        written, found = self.transport.written, []
        while written:
            length, head = written[1], 2
            if length == 126:
                length, head = int.from_bytes(written[2:4]), 4
            answer = json.loads(written[head : head + length])
            found.append((answer["id"], answer["status"]))
            written = written[head + length :]
        return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def be(wait_s: float) -> None:
        monkeypatch.setattr("apps.gateway.wsapi.connection.WSAPI_ROOM_WAIT_S", wait_s)

    return be


async def test_a_burst_in_one_piece_is_answered(patient: Callable[[float], None]) -> None:
    patient(PATIENCE_S)
    async with Connected() as there:
        there.send(range(300))
        await eventually(lambda: len(there.answers()) == 300)
        assert there.answers() == [(number, 200) for number in range(300)]
        assert there.limits.most <= WSAPI_IN_FLIGHT_MAX
        assert there.transport.reads


async def test_where_none_ends_the_next_are_refused_until_one_does(patient: Callable[[float], None]) -> None:
    patient(0.01)
    async with Connected() as there:
        there.limits.stands_still = True
        most = WSAPI_IN_FLIGHT_MAX
        there.send(range(most + 3))
        await eventually(lambda: len(there.answers()) == 3)
        assert there.answers() == [(most + number, 429) for number in range(3)]
        assert there.transport.reads
        there.send(range(most + 3, most + 4))
        await eventually(lambda: len(there.answers()) == 4)
        patient(PATIENCE_S)
        there.limits.stands_still = False
        there.limits.admit_all()
        await eventually(lambda: len(there.answers()) == most + 4)
        there.send(range(most * 2))
        await eventually(lambda: len(there.answers()) == most * 3 + 4)
        assert there.answers()[4:] == [(number, 200) for number in (*range(most), *range(most * 2))]


async def test_what_waits_for_room_is_forgotten_with_its_connection(patient: Callable[[float], None]) -> None:
    patient(PATIENCE_S)
    async with Connected() as there:
        there.limits.stands_still = True
        there.send(range(WSAPI_IN_FLIGHT_MAX + 2))
        await eventually(lambda: len(there.limits.waiting) == WSAPI_IN_FLIGHT_MAX)
        assert not there.transport.reads
        there.socket.close(1008, "")
        there.limits.admit_all()
        await eventually(lambda: not there.connection._tasks)
        assert there.limits.waiting == []
        assert there.connection._next is None


async def test_a_client_that_is_behind_as_well_waits_for_both(patient: Callable[[float], None]) -> None:
    patient(PATIENCE_S)
    async with Connected() as there:
        there.limits.stands_still = True
        there.send(range(WSAPI_IN_FLIGHT_MAX + 2))
        await eventually(lambda: len(there.limits.waiting) == WSAPI_IN_FLIGHT_MAX)
        there.protocol.pause_writing()
        there.socket.push(json.dumps("x" * 100_000))
        there.socket.flush()
        there.socket.push(json.dumps("y"))
        there.limits.admit_all()
        # Only the one that waited for room began.
        await eventually(lambda: len(there.limits.waiting) == 1)
        assert not there.transport.reads
        there.protocol.resume_writing()
        await eventually(lambda: len(there.limits.waiting) == 2)
        assert there.transport.reads
