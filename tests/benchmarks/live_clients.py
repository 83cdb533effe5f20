"""Pages for the benchmark of banners: many sockets at /live/ in one process that does little with what comes.

    python -m tests.benchmarks.live_clients PORT ORIGIN SESSIONS

SESSIONS is a file with one session key a line, each a socket of its own. Prints {"open": COUNT} when all have their
first message. For each line of input, a text: waits until every socket has had a message with it, and prints
{"first_s", "last_s"}, the times (since 1970) at which the first and the last one had it.
"""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

import uvloop

FIRST = b'{"type": "banners"'


class Page(asyncio.Protocol):
    def __init__(self, pages: "Pages", request: bytes) -> None:
        self.pages, self.request = pages, request
        self.last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        # A message is some hundred bytes; it may still come in two pieces.
        joined = self.last + data
        self.last = joined[-600:]
        self.pages.look(self, joined)


class Pages:
    def __init__(self, count: int) -> None:
        self.count = count
        self.places = asyncio.Semaphore(100)
        self.wait_for(FIRST)

    def wait_for(self, text: bytes) -> None:
        self.text = text
        self.had: set[Page] = set()
        self.all_had = asyncio.Event()
        self.first_s = self.last_s = 0.0

    def look(self, page: Page, data: bytes) -> None:
        if page not in self.had and self.text in data:
            self.had.add(page)
            self.last_s = time.time()
            self.places.release()
            self.first_s = self.first_s or self.last_s
            if len(self.had) == self.count:
                self.all_had.set()


async def main(port: int, origin: str, sessions: list[str]) -> None:
    loop, pages = asyncio.get_running_loop(), Pages(len(sessions))
    kept = []
    # The site looks up so many sessions at a time (LIVE_HANDSHAKES_MAX), and refuses more.
    for number, session in enumerate(sessions):
        request = (
            f"GET /live/ HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"X-Forwarded-For: 10.0.{number >> 8}.{number & 255}\r\nCookie: sessionid={session}\r\n\r\n"
        ).encode()
        await pages.places.acquire()
        kept.append(await loop.create_connection(lambda head=request: Page(pages, head), "127.0.0.1", port))  # type: ignore[misc]
    await pages.all_had.wait()
    print(json.dumps({"open": len(kept)}), flush=True)
    lines = asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := (await lines.get()).strip():
        pages.wait_for(line.encode())
        print(json.dumps({"waits": True}), flush=True)
        await pages.all_had.wait()
        print(json.dumps({"first_s": pages.first_s, "last_s": pages.last_s}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text().split()))
