"""Candles into PostgreSQL, exactly once: a reader of the event log of its own, with its watermark in PostgreSQL.

About once a second it reads the trades after the watermark, adds their bars and moves the watermark in one transaction.
Nothing is queued: while PostgreSQL is away the watermark stands still, and the trades are read again from the stream.
Events that were trimmed before they became candles are read from the settled trades instead; settlement is never behind
a trim.
"""

import threading
from collections.abc import Iterable
from typing import Any, Final

import psycopg
import structlog
from prometheus_client import Counter, Gauge

from apps.ledger.policy import record_id
from apps.markets.marketdata import database
from apps.markets.marketdata.bars import Bar, fold, trade_bar
from apps.markets.marketdata.events import TRADES, wanted_events
from apps.streams.bus.base import Bus
from apps.streams.bus.errors import BusError
from apps.streams.kinds import TradeFlag

log = structlog.get_logger(__name__)

ENTRIES_MAX: Final = 512
SETTLED_EVENTS_MAX: Final = 100_000
PERIOD_S: Final = 1.0
RETRY_S_MAX: Final = 10.0

candles_seq = Gauge("nebannpet_marketdata_candles_seq", "Event seq up to which candles are written")
candle_prints = Counter("nebannpet_marketdata_candle_prints_total", "Trades added to candles")
candle_failures = Counter("nebannpet_marketdata_candle_failures_total", "Failed attempts to write candles")


class SettlementBehind(RuntimeError):
    """Events were trimmed that settlement has not written: never expected, nothing is guessed."""


class SecondBars:
    """Collects prints, in order, into bars of every interval and market."""

    def __init__(self) -> None:
        self._bars: dict[int, dict[tuple[str, int], Bar]] = {}
        self._seconds: dict[int, Bar] = {}
        self.prints = 0

    def add(self, market_id: int, bar: Bar) -> None:
        self.prints += 1
        second = self._seconds.get(market_id)
        if second is not None and second.open_ms == bar.open_ms:
            second.merge(bar)
            return
        if second is not None:
            fold(second, self._bars.setdefault(market_id, {}))
        self._seconds[market_id] = bar

    def rows(self) -> Iterable[tuple[int, str, Bar]]:
        """(market_id, interval, bar) of everything collected."""
        for market_id, second in self._seconds.items():
            fold(second, self._bars.setdefault(market_id, {}))
        self._seconds.clear()
        for market_id, bars in self._bars.items():
            for (interval, _), bar in bars.items():
                yield market_id, interval, bar


class CandleWriter:
    """`step` moves the candles forward; `run` does so until `stop` is set, over failures of PostgreSQL and Redis."""

    def __init__(self, events: Bus, shard: str, dsn: str | None = None) -> None:
        self._events = events
        self._shard = shard
        self._dsn = dsn
        self._connection: database.Connection | None = None
        self._factors: dict[int, int] = {}
        self.seq = 0
        self.failing = False
        self.broken: BaseException | None = None

    def open(self) -> None:
        """Connect and read the watermark. Raises psycopg.Error."""
        self.close()
        self._connection = database.connect(self._dsn)
        self.seq = database.watermark(self._connection, self._shard)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def step(self) -> bool:
        """Write the next events' candles; whether there may be more at once. Raises psycopg.Error and BusError."""
        if self._connection is None:
            self.open()
        assert self._connection is not None, "open() connects or raises"
        head_seq = self._events.head().seq
        entries = self._events.read_events(self.seq, count=ENTRIES_MAX, block_ms=0)
        kept_from = entries[0].first_seq if entries else head_seq + 1
        if kept_from > self.seq + 1:
            self._from_settled(self._connection, min(kept_from - 1, self.seq + SETTLED_EVENTS_MAX))
            return True
        if not entries:
            return False
        collected = SecondBars()
        for entry in entries:
            for event in wanted_events(entry.body, TRADES, after_seq=self.seq):
                collected.add(event.market_id, self._bar(self._connection, event))
        self._add(self._connection, collected, entries[-1].last_seq)
        return len(entries) == ENTRIES_MAX

    def run(self, stop: threading.Event) -> None:
        """Thread body. Failures are logged once until it works again, and tried again with growing pauses.

        What it does not know how to survive ends the process: it sets `stop`, and `broken` says why.
        """
        try:
            self._run(stop)
        except BaseException as error:
            self.broken = error
            raise
        finally:
            stop.set()
            self.close()

    def _run(self, stop: threading.Event) -> None:
        pause_s = PERIOD_S
        while not stop.wait(pause_s):
            try:
                while self.step() and not stop.is_set():
                    pass
            except (
                psycopg.Error,
                BusError,
                OSError,
                LookupError,
                database.WatermarkMoved,
                SettlementBehind,
            ) as error:
                candle_failures.inc()
                if not self.failing:
                    log.warning("candles wait", error=str(error), seq=self.seq)
                self.failing = True
                self.close()
                pause_s = min(pause_s * 2, RETRY_S_MAX)
            else:
                if self.failing:
                    log.info("candles are written again", seq=self.seq)
                self.failing = False
                pause_s = PERIOD_S

    def _from_settled(self, connection: database.Connection, to_seq: int) -> None:
        """Add what was trimmed, (seq, to_seq], from the settled trades."""
        settled = database.settled_seq(connection, self._shard)
        if settled < to_seq:
            raise SettlementBehind(f"events up to {to_seq} are trimmed, settlement is at {settled}")
        collected = SecondBars()
        rows = connection.execute(
            database.TRADES_BETWEEN, (record_id(self._shard, self.seq), record_id(self._shard, to_seq))
        )
        for market_id, trade_id, price_ticks, lots, quote_units, time_ms, taker_is_buyer in rows:
            bar = trade_bar(
                trade_id=trade_id,
                price_ticks=price_ticks,
                lots=lots,
                quote_units=quote_units,
                time_ms=time_ms,
                taker_is_buyer=taker_is_buyer,
            )
            collected.add(market_id, bar)
        log.info("candles of trimmed events come from settled trades", prints=collected.prints, to_seq=to_seq)
        self._add(connection, collected, to_seq)

    def _add(self, connection: database.Connection, collected: SecondBars, to_seq: int) -> None:
        database.add_bars(connection, self._shard, from_seq=self.seq, to_seq=to_seq, bars=collected.rows())
        self.seq = to_seq
        candles_seq.set(to_seq)
        candle_prints.inc(collected.prints)

    def _bar(self, connection: database.Connection, event: Any) -> Bar:
        factor = self._factors.get(event.market_id)
        if factor is None:
            factor = self._factors[event.market_id] = database.unit_factor(connection, event.market_id)
        return trade_bar(
            trade_id=event.trade_id,
            price_ticks=event.price_ticks,
            lots=event.quantity_lots,
            quote_units=event.price_ticks * event.quantity_lots * factor,
            time_ms=event.cmd_ms,
            taker_is_buyer=bool(event.flags & TradeFlag.TAKER_IS_BUYER),
        )
