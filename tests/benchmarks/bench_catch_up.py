"""Settlement after an outage: one minute at 1,000 orders a second waits in redis-core's log (architecture.md 3).

The settlement process itself works, with its own reads, announcements and cursors, on a PostgreSQL and a redis-core
with fsync; what is timed ends when its watermark is at the head of the log.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.bench_settlement import SHARD, EventLog, migrated
from tests.benchmarks.registry import Row, Series, benchmark

RUNS = 3
# About two thirds of the mix are new orders, the rest cancels: 60,000 orders.
COMMANDS = 90_000
TARGET_S = 30.0
TIMEOUT_S = 300.0


@benchmark("catch-up", "settlement after a minute without PostgreSQL at 1,000 orders/s", apart=True)
def catch_up() -> Iterator[Row]:
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    with running_servers(data_dir, durable=True) as servers:
        template = migrated(servers.postgres.dsn(), data_dir)
        log = EventLog("mix", COMMANDS)
        seconds = [_catch_up_seconds(log, template, servers.core.url) for _ in range(RUNS)]
        yield Row(
            figure=f"{COMMANDS:,} orders and cancels waiting: {log.events:,} events, {log.trades:,} trades",
            unit="s",
            series=Series(seconds, lower_is_better=True),
            below=TARGET_S,
            note="two thirds are new orders",
        )


def _catch_up_seconds(log: EventLog, template: str, core_url: str) -> float:
    import redis
    from django.conf import settings

    from apps.orders.settlement.process import SettlementProcess
    from apps.streams.bus.redis import RedisBus

    settings.DATABASE_DSN = log.fresh_database(template)
    with redis.Redis.from_url(core_url) as client:
        client.flushall()
    bus = RedisBus(core_url, SHARD)
    bus.raise_epoch(1)
    for entry in log.entries:
        bus.append_events(
            epoch=1, first_seq=entry.first_seq, last_seq=entry.last_seq, prev_chain=entry.prev_chain,
            chain=entry.chain, last_cmd=entry.last_cmd, body=entry.body,
            rules_version=entry.rules_version,
        )  # fmt: skip
    head = bus.head().seq
    stop = threading.Event()
    process = SettlementProcess(shard=SHARD, open_bus=bus.another, stop=stop)
    thread = threading.Thread(target=process.run)
    started = time.perf_counter()
    thread.start()
    try:
        while process.seq < head:
            if not thread.is_alive() or time.perf_counter() - started > TIMEOUT_S:
                raise RuntimeError(f"settlement came to {process.seq} of {head}: {process.status} {process.error}")
            time.sleep(0.005)
        return time.perf_counter() - started
    finally:
        stop.set()
        thread.join()
        bus.close()
