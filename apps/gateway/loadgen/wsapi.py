"""Load over the WebSocket API: several requests at a time on each connection, answers matched by their ids."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import ClassVar, Final

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from apps.gateway.loadgen.plan import Plan, PlanError, tls_of
from apps.gateway.loadgen.rest import RECV_WINDOW_MS
from apps.gateway.loadgen.signing import Signer
from apps.gateway.loadgen.traffic import Request
from apps.gateway.loadgen.transport import (
    CONNECT_TIMEOUT_S,
    UNANSWERED,
    Link,
    Pool,
    Waiting,
)

PATH: Final = "/ws-api/v3?returnRateLimits=false"
# The exchange takes 64 at a time of one connection.
IN_FLIGHT_MAX: Final = 48
LOGON_ID: Final = 0
encode: Final = msgspec.json.Encoder().encode


class _Answer(msgspec.Struct):
    """What must be known of each answer; the result is looked at by whoever asked."""

    id: int | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Frame(msgspec.Struct):
    id: int
    method: str
    params: dict[str, str]


_decode: Final = msgspec.json.Decoder(_Answer).decode


class WsLink(Link, asyncio.Protocol):
    room: ClassVar[int] = IN_FLIGHT_MAX

    def __init__(self, pool: "WsPool") -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pool = pool
        self._protocol = ClientProtocol(parse_uri(pool.address), max_size=None)
        self._ids = itertools.count(1)
        self._waiting: dict[int, Waiting] = {}
        self._logon: asyncio.Future[_Answer] | None = None
        self._transport: asyncio.Transport | None = None
        # Given up, and perhaps answered later: until then they take room.
        self._late: set[int] = set()
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._give_up()
        lost = ConnectionResetError("the connection was closed")
        for future in (self.opened, self._logon):
            if future is not None and not future.done():
                future.set_exception(lost)
        self._pool.lost(self)

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._on_handshake()
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    parts, self._parts = self._parts, []
                    self._on_answer(b"".join(parts))
        self._flush()
        if self._protocol.state is State.CLOSED and self._transport is not None:
            self._transport.close()

    def _on_handshake(self) -> None:
        if self.opened.done():
            return
        error = self._protocol.handshake_exc
        if error is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(PlanError(f"The exchange takes no WebSocket at {self._pool.address}: {error}"))

    def _on_answer(self, text: bytes) -> None:
        try:
            answer = _decode(text)
        except msgspec.MsgspecError:
            self.close()
            return
        if answer.id == LOGON_ID and self._logon is not None:
            self._logon.set_result(answer)
            return
        if answer.id is None:
            return
        waiting = self._waiting.pop(answer.id, None)
        if waiting is not None:
            waiting.done(answer.status, bytes(answer.result if answer.status == 200 else answer.error))
        elif answer.id not in self._late:
            return
        self._late.discard(answer.id)
        self._pool.free(self)

    async def log_on(self, signer: Signer) -> None:
        """A session by Ed25519 key: requests after it need no signature."""
        self._logon = asyncio.get_running_loop().create_future()
        self._write(LOGON_ID, "session.logon", signer.params({"timestamp": str(time.time_ns() // 1_000_000)}))
        answer = await self._logon
        if answer.status != 200:
            raise PlanError(f"API key {signer.key[:8]}... cannot log on: {bytes(answer.error).decode()[:200]}")

    def send(self, waiting: Waiting) -> None:
        number = next(self._ids)
        self._waiting[number] = waiting
        request = waiting.request
        self._write(number, request.ws, self._pool.params(request))

    def _write(self, number: int, method: str, params: dict[str, str]) -> None:
        self._protocol.send_text(encode(_Frame(number, method, params)))
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport is None:
                return
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def expire(self, now_ns: int) -> None:
        for number in [number for number, waiting in self._waiting.items() if waiting.deadline_ns <= now_ns]:
            self._late.add(number)
            self._waiting.pop(number).done(UNANSWERED, b"")

    def close(self) -> None:
        self._give_up()
        if self._transport is not None:
            self._transport.abort()

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.done(UNANSWERED, b"")


class WsPool(Pool):
    """With `signer`, each connection logs on first; without, requests that need it are signed each by itself."""

    def __init__(self, plan: Plan, size: int, signers: list[Signer], signer: Signer | None) -> None:
        super().__init__(plan, size)
        self._signers = signers
        self._signer = signer
        self._tls = tls_of(plan)
        self.address = f"{'wss' if plan.is_tls else 'ws'}://{plan.host_header}{PATH}"

    async def connect(self) -> Link:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: WsLink(self), self.plan.host, self.plan.port, ssl=self._tls
            )
            try:
                await link.opened
                if self._signer is not None:
                    await link.log_on(self._signer)
            except BaseException:
                link.close()
                raise
        return link

    def params(self, request: Request) -> dict[str, str]:
        if request.account is None or self._signer is not None:
            return request.params
        now_ms = time.time_ns() // 1_000_000
        sent = {**request.params, "recvWindow": str(RECV_WINDOW_MS), "timestamp": str(now_ms)}
        return self._signers[request.account].params(sent)


class WsPools:
    """A pool for each key that may log on, since a session is one account's, and one for everything else."""

    def __init__(self, plan: Plan, signers: list[Signer]) -> None:
        own = [number for number, signer in enumerate(signers) if signer.may_log_on]
        has_others = plan.reads_per_s > 0 or len(own) < len(signers)
        size = max(plan.sockets // (len(own) + has_others), 1)
        self._of_account = {number: WsPool(plan, size, signers, signers[number]) for number in own}
        self._others = WsPool(plan, size, signers, None) if has_others else None
        self._pools = [*self._of_account.values(), *([self._others] if self._others is not None else [])]

    async def open(self) -> None:
        for pool in self._pools:
            await pool.open()

    def send(self, request: Request, done: Callable[[int, bytes], None], due_ns: int) -> None:
        pool = self._others if request.account is None else self._of_account.get(request.account, self._others)
        assert pool is not None, "there is a pool for whatever the plan sends"
        pool.send(request, done, due_ns)

    async def close(self) -> None:
        for pool in self._pools:
            await pool.close()

    @property
    def reconnects(self) -> int:
        return sum(pool.reconnects for pool in self._pools)
