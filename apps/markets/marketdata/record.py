"""What the permanent record in PostgreSQL says of a market: its history, and what a tick and a lot are worth."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import psycopg
import structlog

from apps.common.clock import now_ms
from apps.markets.marketdata import database
from apps.markets.marketdata.livebars import LiveBars
from apps.markets.marketdata.marketfeed import MarketFeed
from apps.markets.marketdata.ticker import WINDOWS, Ticker, window_start_ms
from apps.markets.policy import RECENT_TRADES_MAX

log = structlog.get_logger(__name__)

RETRY_S: Final = 0.5
Answer = TypeVar("Answer")


def load_history(connection: database.Connection, feed: MarketFeed, *, candles_seq: int, time_ms: int) -> None:
    """Bars, window and last prints of a market, which count every print up to `candles_seq`."""
    market_id = feed.market_id
    feed.bars_seq = candles_seq
    feed.bars = LiveBars(
        market_id,
        database.newest_bars(connection, market_id) | database.zoned_bars(connection, market_id, time_ms),
    )
    feed.ticker = Ticker(*database.minutes_since(connection, market_id, window_start_ms(time_ms)))
    for window, closed_minutes in WINDOWS.items():
        start_ms = window_start_ms(time_ms, closed_minutes)
        feed.windows[window] = Ticker(
            *database.minutes_since(connection, market_id, start_ms), closed_minutes=closed_minutes
        )
    feed.tape.load(database.recent_trades(connection, market_id, RECENT_TRADES_MAX))
    if feed.tape.trades:
        feed.ticker.last_lots = feed.tape.trades[-1]["q"]


class Record:
    """For markets that the event log names while the process runs. It waits for PostgreSQL: a market is listed from
    there, so it was there a moment ago."""

    def __init__(self, shard: str, dsn: str | None, stop: threading.Event) -> None:
        self._shard = shard
        self._dsn = dsn
        self._stop = stop
        self._factors: dict[int, int] = {}

    def unit_factor(self, market_id: int) -> int:
        """Quote units of one tick times one lot; asked at the first print, when it can no longer change."""
        if market_id not in self._factors:
            self._factors[market_id] = self._ask(lambda connection: database.unit_factor(connection, market_id))
        return self._factors[market_id]

    def listed(self, market_id: int, seq: int) -> MarketFeed:
        """The feed of a market that has no orders yet, as of event `seq`; candles may be older than the market."""
        feed = MarketFeed(market_id, self.unit_factor, seq)

        def load(connection: database.Connection) -> None:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                candles_seq = database.watermark(connection, self._shard)
                load_history(connection, feed, candles_seq=candles_seq, time_ms=now_ms())

        self._ask(load)
        return feed

    def _ask(self, question: Callable[[database.Connection], Answer]) -> Answer:
        while True:
            try:
                with database.connect(self._dsn) as connection:
                    return question(connection)
            except psycopg.Error as error:
                log.warning("a new market waits for PostgreSQL", error=str(error))
                if self._stop.wait(RETRY_S):
                    raise
