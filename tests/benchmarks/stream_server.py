"""The part of a gateway that serves streams, as a process of its own that is told what to publish.

    python -m tests.benchmarks.stream_server

The server, its protocol, sockets, connections and hub are the gateway's; what marketdata would tell comes from here.
One JSON line in is one job, one JSON line out its result; the first line out is the port. Jobs:

    {"do": "ticks", "count": N, "prints": P, "deltas": D, "gap_s": S}   N turns of the loop, each with P trades and best
                                                    prices and D changes of a book in each market; {cpu_s, wall_s, sent}
                                                    (with a gap, the time of a trade is when its turn was due)
    {"do": "bare", "count": N, "burst": B}          N turns with B texts to each client by an ASGI send each; the same
    {"do": "memory"}                                {rss, connections}
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import psutil
import uvicorn
import uvloop

from apps.gateway.asgi import Receive, Scope, Send
from apps.gateway.book import PublicMarket
from apps.gateway.draining import Drain
from apps.gateway.management.commands.run_gateway import COLLECT_EVERY, server_config
from apps.gateway.streams import connection, messages
from apps.gateway.streams.hub import Hub

MARKETS = 5
LEVELS = 20
BARE = "/bare"


class Market:
    """What messages ask of a market."""

    def __init__(self, number: int) -> None:
        self.id, self.symbol = number, f"M{number}USDT"

    @staticmethod
    def price(ticks: int) -> str:
        return f"{ticks // 100}.{ticks % 100:02}000000"

    quantity = price


class Bench:
    def __init__(self) -> None:
        self.markets = [Market(number) for number in range(1, MARKETS + 1)]
        self.states = {market.id: PublicMarket(market.id) for market in self.markets}
        by_id: Any = SimpleNamespace(by_id={market.id: market for market in self.markets})
        self.hub = Hub(by_id, lambda market: self.states[market.id], lambda: None)
        self.gateway: Any = SimpleNamespace(hub=self.hub, drain=Drain(2))
        self.bare: dict[Send, None] = {}
        self.ids = count(1)
        self.pacemaker: asyncio.subprocess.Process | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != BARE:
            await connection.serve(self.gateway, scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        self.bare[send] = None
        with contextlib.suppress(Exception):
            while (await receive())["type"] != "websocket.disconnect":
                pass
        del self.bare[send]

    def subscribers(self) -> int:
        return sum(len(topic) for topic in self.hub._topics.values())

    def tick(self, prints: int, deltas: int, now: int) -> None:
        """What one read of redis-edge brings, as of `now` (µs)."""
        for market in self.markets:
            state: Any = self.states[market.id]
            for _ in range(prints):
                number = next(self.ids)
                # The time of the trade is in microseconds here: clients measure how old it is.
                trade = {"t": "trade", "id": number, "p": 5_000_000 + number % 97, "q": 100, "T": now, "bm": True}
                self.hub.on_record(market, state, trade)  # type: ignore[arg-type]
                top = {"t": "top", "u": number, "bp": 4_999_900, "bq": 5, "ap": 5_000_100, "aq": 7}
                self.hub.on_record(market, state, top)  # type: ignore[arg-type]
            for _ in range(deltas):
                number = next(self.ids)
                levels = [(5_000_000 + 100 * level, number % 50) for level in range(LEVELS)]
                change = {"t": "depth", "U": number, "u": number, "b": levels, "a": levels, "T": now}
                self.hub.on_record(market, state, change)  # type: ignore[arg-type]
        self.hub.on_entry_end()

    async def ticks(self, job: dict[str, Any]) -> dict[str, float]:
        began_s, cpu_s = time.perf_counter(), time.process_time()
        # At fixed moments; or when the network has everything, so that nobody is behind and nothing conflated.
        if job["gap_s"]:
            async for due_us in self.moments(job["count"], job["gap_s"]):
                # A turn that comes late because this process is busy is late for its readers too.
                self.tick(job["prints"], job["deltas"], due_us)
        else:
            for _ in range(job["count"]):
                self.tick(job["prints"], job["deltas"], time.time_ns() // 1000)
                await self.until_taken()
        per_topic = {"trade": job["prints"], "bookTicker": job["prints"], "depth@100ms": job["deltas"]}
        sent = job["count"] * sum(
            len(clients) * per_topic.get(topic.partition("@")[2], 0) for topic, clients in self.hub._topics.items()
        )
        return {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - began_s, "sent": sent}

    async def moments(self, count: int, gap_s: float) -> AsyncIterator[int]:
        """When each turn is due (µs), as it comes from a process of its own; until the last one is over."""
        if self.pacemaker is None:
            self.pacemaker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.benchmarks.pacemaker", stdin=PIPE, stdout=PIPE
            )
        assert self.pacemaker.stdin is not None
        assert self.pacemaker.stdout is not None
        self.pacemaker.stdin.write(b"%d %f\n" % (count, gap_s))
        for _ in range(count):
            yield int(await self.pacemaker.stdout.readline())
        await asyncio.sleep(gap_s)

    async def until_taken(self) -> None:
        await asyncio.sleep(0)
        clients: Any = {client: None for topic in self.hub._topics.values() for client in topic}
        sockets = [client.socket for client in clients]
        while any(socket._queue or not socket._port.is_writable() for socket in sockets):  # noqa: ASYNC110  it asks many
            await asyncio.sleep(0.002)

    async def bare_sends(self, job: dict[str, Any]) -> dict[str, float]:
        """As without the fan-out: each client has its own send of the same text."""
        market: Any = self.markets[0]
        trade = {"id": 1, "p": 5_000_000, "q": 100, "T": time.time_ns() // 1000, "bm": True}
        data = messages.trade(market, trade, time.time_ns() // 1_000_000)
        text = json.dumps({"stream": "m1usdt@trade", "data": data}, separators=(",", ":"))
        began_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(job["count"]):
            for _ in range(job["burst"]):
                for send in tuple(self.bare):
                    await send({"type": "websocket.send", "text": text})
            await asyncio.sleep(0)
        wall_s = time.perf_counter() - began_s
        return {
            "cpu_s": time.process_time() - cpu_s,
            "wall_s": wall_s,
            "sent": job["count"] * job["burst"] * len(self.bare),
        }

    async def do(self, job: dict[str, Any]) -> dict[str, float]:
        match job["do"]:
            case "ticks":
                return await self.ticks(job)
            case "bare":
                return await self.bare_sends(job)
            case _:
                gc.collect()
                return {"rss": psutil.Process().memory_info().rss, "connections": self.gateway.drain.sockets}


async def serve() -> None:
    bench = Bench()
    config = server_config(bench, host="127.0.0.1", port=0)  # type: ignore[arg-type]
    # The readers do not answer pings.
    config.ws_ping_interval = None
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    # As the gateway does.
    gc.freeze()
    gc.set_threshold(*COLLECT_EVERY)
    say({"port": server.servers[0].sockets[0].getsockname()[1]})
    loop, jobs = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(jobs.put_nowait, line)
        loop.call_soon_threadsafe(jobs.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await jobs.get():
        say(await bench.do(json.loads(line)))
    server.should_exit = server.force_exit = True
    await running


def say(answer: dict[str, float]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    django.setup()
    uvloop.run(serve())
