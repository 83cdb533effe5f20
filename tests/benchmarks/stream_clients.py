"""Readers of streams for the benchmarks: many sockets in one process that does as little as possible with what comes.

    python -m tests.benchmarks.stream_clients PORT PATH COUNT [--dead]

Prints {"open": COUNT} when all are open, and on each line of input what came since the line before: {messages, bytes,
ages_ms: [p50, p99, max]}. Only wrapped messages are counted. Ages are those of trades, from the time in them: one for
each client and turn of the server. `--dead`: they never read.
"""

import asyncio
import json
import re
import socket
import sys
import threading
import time

import uvloop

# Stands once in each wrapped message.
WRAPPED = b'{"stream":"'
TRADE_TIME = re.compile(rb'"T":(\d{16}),"m"')


class Reader(asyncio.Protocol):
    def __init__(self, totals: "Totals", request: bytes, opened: asyncio.Semaphore) -> None:
        self.totals, self.request, self.opened = totals, request, opened
        self.is_open = False
        self.rest = b""
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            head, found, data = (self.rest + data).partition(b"\r\n\r\n")
            if not found:
                self.rest = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.is_open, self.rest = True, b""
            self.opened.release()
        self.totals.take(data)
        # The token may be cut in two by the end of a chunk.
        self.totals.messages += (self.tail + data).count(WRAPPED)
        self.tail = (self.tail + data)[1 - len(WRAPPED) :]


class Totals:
    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0
        self.ages_us: list[int] = []

    def take(self, data: bytes) -> None:
        self.bytes += len(data)
        # All trades of a turn have its time. What waited comes in one chunk, and each turn of it counts.
        now = time.time_ns() // 1000
        self.ages_us += [now - int(at) for at in dict.fromkeys(TRADE_TIME.findall(data))]

    def report(self) -> dict[str, object]:
        ages, told = sorted(self.ages_us) or [0], self.bytes
        count, self.messages = self.messages, 0
        self.ages_us, self.bytes = [], 0
        at = [ages[int(share * (len(ages) - 1))] / 1000 for share in (0.5, 0.99, 1.0)]
        return {"messages": count, "bytes": told, "ages_ms": at, "ages": len(ages)}


async def main(port: int, path: str, count: int, *, dead: bool) -> None:
    totals, opened = Totals(), asyncio.Semaphore(0)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    kept = []
    for _ in range(count):
        if dead:
            raw = socket.create_connection(("127.0.0.1", port))
            raw.sendall(request)
            assert raw.recv(4096).startswith(b"HTTP/1.1 101")
            kept.append(raw)
        else:
            await loop.create_connection(lambda: Reader(totals, request, opened), "127.0.0.1", port)
    for _ in range(0 if dead else count):
        await opened.acquire()
    print(json.dumps({"open": count}), flush=True)
    lines = asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while await lines.get():
        print(json.dumps(totals.report()), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), dead="--dead" in sys.argv))
