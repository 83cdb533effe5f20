"""The market data process: events in, records and snapshots on redis-edge out, candles beside it.

Order of work in one step: read events (at most 100 ms) -> apply -> flush what is due -> one stream entry with all news
-> once a second snapshots and the cursor. Losing redis-core, redis-edge or PostgreSQL never ends the process:
    redis-core away   nothing is new; the state is kept and read on from
    redis-edge away   the state moves on; when it is back, readers are brought from what it says they know to now
    PostgreSQL away   candles wait (candlewriter.py); only a start has to wait for it
"""

import threading
import time
from pathlib import Path
from typing import Final

import psycopg
import structlog
from prometheus_client import Counter, Gauge

from apps.common.clock import now_ms
from apps.markets.marketdata import database, wire
from apps.markets.marketdata.candlewriter import CandleWriter, SettlementBehind
from apps.markets.marketdata.edge import Edge
from apps.markets.marketdata.loading import load_shard
from apps.markets.marketdata.publisher import Publisher
from apps.markets.marketdata.record import Record
from apps.markets.marketdata.shardfeed import EventGap, ShardFeed
from apps.markets.policy import DEPTH_FLUSH_MS, SECOND_FLUSH_MS
from apps.streams.bus.base import Bus, EventEntry
from apps.streams.bus.errors import BusError
from nebannpet.health import Health

log = structlog.get_logger(__name__)

READER: Final = "marketdata"
ENTRIES_MAX: Final = 256
# While events keep coming: what each turn costs, here and in every gateway that reads its news, is hardly more for ten
# orders than for one.
TURN_EVERY_S: Final = 0.01
RETRY_MS: Final = 500
RETRY_MS_MAX: Final = 5_000
# The loop turns at least every 100 ms; longer than this and it hangs.
ALIVE_S: Final = 5.0

seq_gauge = Gauge("nebannpet_marketdata_seq", "Last event applied")
lag_gauge = Gauge("nebannpet_marketdata_lag_events", "Events between the durable head and the last one applied")
loads_total = Counter("nebannpet_marketdata_loads_total", "Times the state was loaded from a snapshot")


class MarketData:
    """`run` until `stop` is set. `step` is one turn of the loop after `load`."""

    def __init__(self, *, bus: Bus, edge: Edge, snapshot_dir: Path, dsn: str | None = None) -> None:
        self._bus = bus
        self.publisher = Publisher(edge)
        self._snapshot_dir = snapshot_dir
        self._dsn = dsn
        self.stop = threading.Event()
        self.candles = CandleWriter(bus.another(), bus.shard, dsn)
        self._record = Record(bus.shard, dsn, self.stop)
        self._writer: threading.Thread | None = None
        self.shard: ShardFeed | None = None
        self.core_ok = False
        self._depth_slot = -1
        self._second_slot = -1
        self._turned_at_s = float("-inf")

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
            self.publisher.close()
            self._bus.close()
        if self.candles.broken is not None:
            raise RuntimeError("the candle writer failed") from self.candles.broken

    def load(self) -> None:
        """Bring candles up to date, load the state at the head, and forget how readers stand."""
        if self._writer is None:
            self.candles.open()
            while self.candles.step():
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
        self.publisher.start_again()
        self.core_ok = True

    def step(self) -> None:
        """One turn: at most 100 ms of waiting. Raises EventGap where the log does not go on from here."""
        assert self.shard is not None, "load() comes first"
        shard = self.shard
        rest_s = self._turned_at_s + TURN_EVERY_S - time.monotonic()
        if rest_s > 0:
            self.stop.wait(rest_s)
        news: list[wire.Record] = []
        for entry in self._entries(shard.seq):
            news += shard.take(entry)
        time_ms = now_ms()
        self._turned_at_s = time.monotonic()
        # Slots of the wall clock, compared for being another one: a clock that is set back stops nothing.
        second = time_ms // SECOND_FLUSH_MS != self._second_slot
        if second or time_ms // DEPTH_FLUSH_MS != self._depth_slot:
            self._depth_slot = time_ms // DEPTH_FLUSH_MS
            news += shard.depth_news("depth", time_ms)
        if second:
            self._second_slot = time_ms // SECOND_FLUSH_MS
            news += shard.depth_news("depth1s", time_ms)
            news += shard.second_news(time_ms)
            news.append(wire.alive(seq=shard.seq, time_ms=time_ms))
        self.publisher.tell(shard, news, with_snapshots=second)
        if second:
            self._report(shard, time_ms)

    def _entries(self, after_seq: int) -> list[EventEntry]:
        """The next entries, waiting for them until the next flush; none while redis-core is away."""
        wait_ms = DEPTH_FLUSH_MS - now_ms() % DEPTH_FLUSH_MS
        try:
            entries = self._bus.read_events(after_seq, count=ENTRIES_MAX, block_ms=wait_ms)
        except BusError as error:
            self._core_is_away(error)
            self.stop.wait(wait_ms / 1000)
            return []
        self.core_ok = True
        return entries

    def _core_is_away(self, error: BusError) -> None:
        if self.core_ok:
            log.warning("redis-core is away; market data stands still", error=str(error))
        self.core_ok = False

    def health(self) -> Health:
        """ok: the loop turns, redis-core is read and redis-edge takes what is published."""
        turns = time.monotonic() - self._turned_at_s < ALIVE_S
        return Health(
            ok=turns and self.core_ok and self.publisher.ok,
            details={
                "seq": self.shard.seq if self.shard else 0,
                "redis_core": "ok" if self.core_ok else "away",
                "redis_edge": "ok" if self.publisher.ok else "away",
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
            self._core_is_away(error)
