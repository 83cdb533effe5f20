"""The market data process: events in, records and snapshots on redis-edge out, candles beside it.

Order of work in one step: read events (at most 100 ms) -> apply -> flush what is due -> one stream entry with all news
-> once a second snapshots and the cursor. Losing redis-core, redis-edge or PostgreSQL never ends the process:
    redis-core away   nothing is new; the state is kept and read on from
    redis-edge away   the state moves on; when it is back, readers are brought from what it says they know to now
    PostgreSQL away   candles wait (candlewriter.py); only a start has to wait for it
"""

import threading
from pathlib import Path
from typing import Final

import psycopg
import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from apps.common.clock import now_ms
from apps.markets.marketdata import database, wire
from apps.markets.marketdata.candlewriter import CandleWriter, SettlementBehind
from apps.markets.marketdata.edge import Edge
from apps.markets.marketdata.loading import load_shard
from apps.markets.marketdata.record import Record
from apps.markets.marketdata.shardfeed import EventGap, ShardFeed
from apps.markets.policy import DEPTH_FLUSH_MS, SECOND_FLUSH_MS
from apps.streams.bus.base import Bus
from apps.streams.bus.errors import BusError
from nebannpet.health import Health

log = structlog.get_logger(__name__)

READER: Final = "marketdata"
ENTRIES_MAX: Final = 256
RETRY_MS: Final = 500
RETRY_MS_MAX: Final = 5_000
# The loop turns at least every 100 ms; longer than this and it hangs.
ALIVE_MS: Final = 5_000

seq_gauge = Gauge("nebannpet_marketdata_seq", "Last event applied")
lag_gauge = Gauge("nebannpet_marketdata_lag_events", "Events between the durable head and the last one applied")
edge_up = Gauge("nebannpet_marketdata_edge_up", "1 while redis-edge takes what is published")
records_total = Counter("nebannpet_marketdata_records_total", "Records published", ["kind"])
edge_failures = Counter("nebannpet_marketdata_edge_failures_total", "Publications that failed")
loads_total = Counter("nebannpet_marketdata_loads_total", "Times the state was loaded from a snapshot")


class MarketData:
    """`run` until `stop` is set. `step` is one turn of the loop after `load`."""

    def __init__(self, *, bus: Bus, edge: Edge, snapshot_dir: Path, dsn: str | None = None) -> None:
        self._bus = bus
        self._edge = edge
        self._snapshot_dir = snapshot_dir
        self._dsn = dsn
        self.stop = threading.Event()
        self.candles = CandleWriter(bus.another(), bus.shard, dsn)
        self._record = Record(bus.shard, dsn, self.stop)
        self._writer: threading.Thread | None = None
        self.shard: ShardFeed | None = None
        self.edge_ok = False
        self._edge_retry_ms = 0
        self._edge_pause_ms = RETRY_MS
        self._after = "0-0"
        self._next_depth_ms = 0
        self._next_second_ms = 0
        self.turned_at_ms = 0
        self.core_ok = False

    def run(self) -> None:
        """Returns when `stop` is set. Unexpected errors end the process; the supervisor starts it again."""
        pause_ms = RETRY_MS
        try:
            while not self.stop.is_set():
                try:
                    self.load()
                    if self._writer is None:
                        self._writer = threading.Thread(target=self.candles.run, args=(self.stop,), name="candles")
                        self._writer.start()
                    pause_ms = RETRY_MS
                    while not self.stop.is_set():
                        self.step()
                except (EventGap, SettlementBehind, BusError, psycopg.Error, LookupError) as error:
                    self.core_ok = False
                    log.warning("market data starts again from a snapshot", error=str(error), in_ms=pause_ms)
                    self.stop.wait(pause_ms / 1000)
                    pause_ms = min(pause_ms * 2, RETRY_MS_MAX)
        finally:
            self.stop.set()
            if self._writer is not None:
                self._writer.join()
            self.candles.close()
            self._edge.close()
            self._bus.close()

    def load(self) -> None:
        """Bring candles up to date, load the state at the head, and forget how readers stand."""
        while self._writer is None and self.candles.step():
            pass
        with database.connect(self._dsn) as connection:
            self.shard = load_shard(
                self._bus,
                connection,
                snapshot_dir=self._snapshot_dir,
                record=self._record,
                now_ms=now_ms(),
            )
        loads_total.inc()
        self.edge_ok = False
        self._edge_retry_ms = 0
        self.core_ok = True

    def step(self) -> None:
        """One turn: at most 100 ms of waiting. Raises EventGap where the log does not go on from here."""
        assert self.shard is not None, "load() comes first"
        shard = self.shard
        wait_ms = max(0, min(self._next_depth_ms - now_ms(), DEPTH_FLUSH_MS))
        news: list[wire.Record] = []
        try:
            entries = self._bus.read_events(shard.seq, count=ENTRIES_MAX, block_ms=wait_ms)
            self.core_ok = True
        except BusError as error:
            if self.core_ok:
                log.warning("redis-core is away; market data stands still", error=str(error))
            self.core_ok = False
            entries = []
            self.stop.wait(DEPTH_FLUSH_MS / 1000)
        for entry in entries:
            news += shard.take(entry)
        time_ms = self.turned_at_ms = now_ms()
        second = time_ms >= self._next_second_ms
        if second or time_ms >= self._next_depth_ms:
            self._next_depth_ms = time_ms - time_ms % DEPTH_FLUSH_MS + DEPTH_FLUSH_MS
            news += shard.depth_news("depth", time_ms)
        if second:
            self._next_second_ms = time_ms - time_ms % SECOND_FLUSH_MS + SECOND_FLUSH_MS
            news += shard.depth_news("depth1s", time_ms)
            news += shard.second_news(time_ms)
        self._tell(shard, news, time_ms, with_snapshots=second)
        if second:
            self._report(shard, time_ms)

    def _tell(self, shard: ShardFeed, news: list[wire.Record], time_ms: int, *, with_snapshots: bool) -> None:
        try:
            if not self.edge_ok:
                if time_ms < self._edge_retry_ms:
                    return
                self._return_to_edge(shard)
            elif news:
                self._publish(news)
            if with_snapshots:
                for market_id in self._edge.missing_snapshots(list(shard.markets)):
                    shard.markets[market_id].snapshot_due = True
                self._edge.write_snapshots(shard.due_snapshots(self._after))
        except RedisError as error:
            edge_failures.inc()
            edge_up.set(0)
            if self.edge_ok or self._edge_retry_ms == 0:
                log.warning("redis-edge is away; market data goes on without it", error=str(error))
            self.edge_ok = False
            self._edge_retry_ms = time_ms + self._edge_pause_ms
            self._edge_pause_ms = min(self._edge_pause_ms * 2, RETRY_MS_MAX)

    def _return_to_edge(self, shard: ShardFeed) -> None:
        """Bring readers from what redis-edge says they know to the state as it is.

        News of this turn is part of that state: depth comes with the next flush, prints are on the tape.
        """
        news = shard.resume(self._edge.told(list(shard.markets)))
        self._after = self._edge.last_entry_id()
        for kind in ("depth", "depth1s"):
            news += shard.depth_news(kind, now_ms())
        if news:
            self._publish(news)
        self._edge.write_snapshots(shard.due_snapshots(self._after))
        self.edge_ok = True
        self._edge_pause_ms = RETRY_MS
        edge_up.set(1)
        log.info("market data is published", seq=shard.seq)

    def _publish(self, news: list[wire.Record]) -> None:
        self._after = self._edge.publish(news)
        for record in news:
            records_total.labels(record["t"]).inc()

    def health(self) -> Health:
        """ok: the loop turns, redis-core is read and redis-edge takes what is published."""
        turns = now_ms() - self.turned_at_ms < ALIVE_MS
        return Health(
            ok=turns and self.core_ok and self.edge_ok,
            details={
                "seq": self.shard.seq if self.shard else 0,
                "redis_core": "ok" if self.core_ok else "away",
                "redis_edge": "ok" if self.edge_ok else "away",
                "candles": "waiting" if self.candles.failing else "ok",
                "candles_seq": self.candles.seq,
            },
        )

    def _report(self, shard: ShardFeed, time_ms: int) -> None:
        """Cursor and heartbeat on redis-core, and the gauges, once a second."""
        seq_gauge.set(shard.seq)
        if not self.core_ok:
            return
        try:
            lag_gauge.set(max(0, self._bus.head().seq - shard.seq))
            position = min(shard.seq, self.candles.seq)
            self._bus.set_cursor(READER, stream="events", position=str(position), now_ms=time_ms)
        except BusError as error:
            self.core_ok = False
            log.warning("redis-core is away; market data stands still", error=str(error))
