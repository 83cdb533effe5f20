"""History of an account and of a market over ten million orders and trades, against the same over 200,000.

Every list is one index range scan, so the ratio says how much of the past is paid for: the depth of the indexes, and
pages that are not in memory. Asked are the gateway's own readers, one request at a time, all statements of a request
counted: CPU milliseconds of reader and PostgreSQL together, and how long it took. Filling takes several minutes.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any, Final

from tests.benchmarks.bench_settlement import migrated
from tests.benchmarks.registry import Row, Series, benchmark

FEW: Final = 200_000
MANY: Final = int(os.environ.get("BENCH_HISTORY_ROWS", "10000000"))
REQUESTS: Final = 300
LIMIT: Final = 500

Ask = Callable[[Random], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request: mean CPU milliseconds, and the 99th percentile of how long it took."""

    cpu_ms: float
    p99_ms: float


@benchmark("history", "lists by time, id and limit over 10 million orders and trades", apart=True)
def history() -> Iterator[Row]:
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    with running_servers(data_dir) as servers:
        yield from _rows(migrated(servers.postgres.dsn(), data_dir))


def _rows(dsn: str) -> Iterator[Row]:
    import psycopg

    from tests.gateway.filled import fill, fill_fast

    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, FEW)
        few = asyncio.run(_measure(dsn, FEW))
        began_s = time.monotonic()
        fill_fast(connection, MANY, low=FEW + 1)
        filled_s = time.monotonic() - began_s
        many = asyncio.run(_measure(dsn, MANY))
    for name, here in many.items():
        there, note = few[name], f"{MANY:,} orders and trades, filled in {filled_s:.0f} s"
        for figure, one, other in (("CPU", here.cpu_ms, there.cpu_ms), ("p99", here.p99_ms, there.p99_ms)):
            yield Row(
                figure=f"{name}: {figure}", unit="ms", series=Series([one], lower_is_better=True),
                ratio=Series([one / other], lower_is_better=True), ratio_to="200,000 rows", note=note,
            )  # fmt: skip


async def _measure(dsn: str, size: int) -> dict[str, Cost]:
    import psutil

    from apps.gateway.database import make_pool
    from tests.gateway.filled import readers

    found = {}
    async with make_pool(dsn, "") as pool:
        async with pool.connection() as connection:
            # One request at a time needs one connection only.
            server = psutil.Process(connection.info.backend_pid)
        for name, ask in _requests(readers(pool), size).items():
            rng, took_ms = Random(1), []
            await ask(rng)
            before = time.process_time() + sum(server.cpu_times()[:2])
            for _ in range(REQUESTS):
                began_s = time.perf_counter()
                await ask(rng)
                took_ms.append((time.perf_counter() - began_s) * 1000)
            used_s = time.process_time() + sum(server.cpu_times()[:2]) - before
            found[name] = Cost(used_s * 1000 / REQUESTS, quantiles(took_ms, n=100)[98])
    return found


def _requests(past: Any, size: int) -> dict[str, Ask]:
    from tests.gateway.filled import BUSY, MARKET, time_ms

    own: dict[str, Any] = {"order_id": None, "from_id": None, "start_ms": None, "end_ms": None, "limit": LIMIT}
    orders: dict[str, Any] = {"from_id": None, "start_ms": None, "end_ms": None, "limit": LIMIT}
    public: dict[str, Any] = {"from_id": None, "start_ms": None, "end_ms": None, "limit": LIMIT}

    def some(rng: Random) -> int:
        return rng.randrange(1, size - 1000)

    def when(rng: Random) -> int:
        return time_ms(some(rng))

    return {
        "allOrders, newest": lambda _: past.reads.all_orders(BUSY, MARKET, **orders),
        "allOrders by startTime": lambda rng: past.reads.all_orders(BUSY, MARKET, **{**orders, "start_ms": when(rng)}),
        "allOrders by orderId": lambda rng: past.reads.all_orders(BUSY, MARKET, **{**orders, "from_id": some(rng)}),
        "myTrades, newest": lambda _: past.own.trades(BUSY, MARKET, **own),
        "myTrades by startTime": lambda rng: past.own.trades(BUSY, MARKET, **{**own, "start_ms": when(rng)}),
        "myTrades by orderId": lambda rng: past.own.trades(
            BUSY, MARKET, **{**own, "order_id": some(rng) // 20 * 20 + 2}
        ),
        "historicalTrades by fromId": lambda rng: past.public.trades(MARKET, some(rng) * 9 // 10, LIMIT),
        "aggTrades by startTime": lambda rng: past.public.aggregates(MARKET, **{**public, "start_ms": when(rng)}),
        "aggTrades by endTime": lambda rng: past.public.aggregates(MARKET, **{**public, "end_ms": when(rng)}),
        "klines by startTime": lambda rng: past.bars.klines(
            MARKET, "1m", start_ms=when(rng), end_ms=None, limit=LIMIT, now_ms=time_ms(size)
        ),
        "allOrderList by startTime": lambda rng: past.reads.all_lists(BUSY + 2, **{**orders, "start_ms": when(rng)}),
    }
