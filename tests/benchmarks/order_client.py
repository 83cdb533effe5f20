"""Open-loop load of signed orders, in a process of its own: a plan as JSON on stdin, what happened as JSON on stdout.

Every order has a moment at which it is due. Its latency counts from that moment, whether or not the client, a free
connection or the exchange was late, so a stall is seen by every order that it delayed (no coordinated omission).
The client waits with select(), whose time-out is exact to microseconds; epoll would round up to milliseconds.
"""

import asyncio
import gc
import hashlib
import hmac
import json
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

CONNECTIONS = 64
DRAIN_S = 15.0
Answered = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class Order:
    """`due_s` after the start. `cancel_after_s`: 0 keeps it."""

    due_s: float
    account: int
    side: str
    price: str
    quantity: str
    cancel_after_s: float = 0.0


@dataclass(slots=True)
class Outcome:
    """Milliseconds from due to answered; `late_ms` is how late the client itself sent. Counts of status and error."""

    orders_ms: list[float] = field(default_factory=list)
    cancels_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    filled: int = 0
    unanswered: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def error(self, text: str) -> None:
        self.errors[text] = self.errors.get(text, 0) + 1


class Connection(asyncio.Protocol):
    """One persistent HTTP/1.1 connection, one request at a time. `free` and `lost` are told what became of it."""

    def __init__(self, free: "Callable[[Connection], None]", lost: Callable[[], None]) -> None:
        self._free = free
        self._lost = lost
        self._buffer = b""
        self._answered: Answered | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def request(self, message: bytes, answered: Answered) -> None:
        assert self._transport is not None, "a connection is used once it is made"
        assert self._answered is None, "one request at a time"
        self._answered = answered
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lines = head.split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line[:15].lower() == b"content-length:")
        if len(rest) < length:
            return
        assert self._answered is not None, "no answer without a request"
        assert len(rest) == length, "one answer for one request"
        answered, self._answered, self._buffer = self._answered, None, b""
        answered(int(lines[0].split(b" ")[1]), rest)
        self._free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None:
            self._lost()


class Load:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.outcome = Outcome()
        self._host, self._port = plan["host"], int(plan["port"])
        self._accounts: list[tuple[str, bytes]] = [(key, secret.encode()) for key, secret in plan["accounts"]]
        self._symbol = plan["symbol"]
        self._orders = [Order(**order) for order in plan["orders"]]
        self._start_s = float(plan["start_s"])
        self._idle: deque[Connection] = deque()
        self._queue: deque[tuple[bytes, Answered]] = deque()
        self._under_way = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(self._connection, self._host, self._port)
            self._idle.append(connection)
        gc.collect()
        gc.freeze()
        # The loop's clock is time.monotonic(), which all processes of a machine share.
        for order in self._orders:
            loop.call_at(self._start_s + order.due_s, self._place, order, self._start_s + order.due_s)
        await asyncio.sleep(self._start_s + self._orders[-1].due_s - loop.time())
        deadline = loop.time() + DRAIN_S
        while loop.time() < deadline:
            await asyncio.sleep(0.1)
            if not self._under_way and not self._queue:
                break
        self.outcome.unanswered += self._under_way

    def _connection(self) -> Connection:
        return Connection(self._free, self._lost)

    def _free(self, connection: Connection) -> None:
        if self._queue:
            connection.request(*self._queue.popleft())
        else:
            self._idle.append(connection)

    def _lost(self) -> None:
        self._under_way -= 1
        self.outcome.unanswered += 1

    def _send(self, method: str, account: int, answered: Answered, **params: str) -> None:
        key, secret = self._accounts[account]
        query = urlencode({"symbol": self._symbol, **params, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        message = (
            f"{method} /api/v3/order?{query}&signature={signature} HTTP/1.1\r\n"
            f"Host: {self._host}:{self._port}\r\nX-MBX-APIKEY: {key}\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        self._under_way += 1
        if self._idle:
            self._idle.popleft().request(message, answered)
        else:
            self._queue.append((message, answered))

    def _place(self, order: Order, due_s: float) -> None:
        self.outcome.late_ms.append((time.monotonic() - due_s) * 1000)

        def answered(status: int, body: bytes) -> None:
            self._under_way -= 1
            self.outcome.orders_ms.append((time.monotonic() - due_s) * 1000)
            if status != 200:
                self.outcome.error(f"POST {status} {body.decode()[:80]}")
                return
            answer = json.loads(body)
            self.outcome.filled += answer["status"] == "FILLED"
            if order.cancel_after_s:
                loop = asyncio.get_running_loop()
                # Counted as under way from now on, so that the end waits for it.
                self._under_way += 1
                loop.call_later(order.cancel_after_s, self._cancel, order.account, str(answer["orderId"]))

        self._send(
            "POST", order.account, answered, side=order.side, type="LIMIT", timeInForce="GTC", price=order.price,
            quantity=order.quantity,
        )  # fmt: skip

    def _cancel(self, account: int, order_id: str) -> None:
        self._under_way -= 1
        due_s = time.monotonic()

        def answered(status: int, body: bytes) -> None:
            self._under_way -= 1
            self.outcome.cancels_ms.append((time.monotonic() - due_s) * 1000)
            if status != 200:
                self.outcome.error(f"DELETE {status} {body.decode()[:80]}")

        self._send("DELETE", account, answered, orderId=order_id)


def main() -> None:
    load = Load(json.load(sys.stdin))
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(load.run())
    json.dump(asdict(load.outcome), sys.stdout)


if __name__ == "__main__":
    main()
