"""A rolling window of one market, in buckets of a minute: the running minute and so many before it.

The 24 hours of tickers have 1439 before it; the windows of streams begin up to a minute early instead.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from apps.markets.intervals import DAY_MS, MINUTE_MS
from apps.markets.marketdata import wire
from apps.markets.marketdata.bars import Bar, flat_bar

CLOSED_MINUTES: Final = DAY_MS // MINUTE_MS - 1
# Windows of the streams <symbol>@ticker_1h and so on, with their closed minutes.
WINDOWS: Final = {"1h": 60, "4h": 4 * 60, "1d": 24 * 60}


def window_start_ms(now_ms: int, closed_minutes: int = CLOSED_MINUTES) -> int:
    return now_ms - now_ms % MINUTE_MS - closed_minutes * MINUTE_MS


class Ticker:
    """Buckets with trades, oldest first. The sum of all but the newest is kept until a bucket comes or goes."""

    def __init__(
        self, minutes: Iterable[Bar] = (), last_before: int = 0, *, closed_minutes: int = CLOSED_MINUTES
    ) -> None:
        self._closed_minutes = closed_minutes
        self._minutes: deque[Bar] = deque(minutes)
        self._last_before = last_before
        self._older: Bar | None = None
        self._stale = True
        self.last_lots = 0

    def add(self, second: Bar) -> None:
        """Take the one-second bar of a print. A late one joins the newest bucket and may count some seconds longer."""
        self.last_lots = second.volume_lots
        open_ms = second.open_ms - second.open_ms % MINUTE_MS
        if self._minutes and open_ms <= self._minutes[-1].open_ms:
            self._minutes[-1].merge(second)
        else:
            self._minutes.append(second.starting_at(open_ms))
            self._stale = True

    def window(self, now_ms: int) -> Bar:
        """Everything in the window as one bar, open_ms its start; flat at the last price where nothing traded."""
        start_ms = window_start_ms(now_ms, self._closed_minutes)
        while self._minutes and self._minutes[0].open_ms < start_ms:
            self._last_before = self._minutes.popleft().close
            self._stale = True
        if self._stale:
            self._older = _sum(islice(self._minutes, max(len(self._minutes) - 1, 0)))
            self._stale = False
        if not self._minutes:
            return flat_bar(start_ms, self._last_before)
        total = replace(self._older or self._minutes[-1], open_ms=start_ms)
        if self._older is not None:
            total.merge(self._minutes[-1])
        return total

    def record(self, market_id: int, now_ms: int, *, bid: tuple[int, int], ask: tuple[int, int]) -> wire.Record:
        sums = self._sums(now_ms)
        return {
            "t": "ticker", "m": market_id, **sums, "Q": self.last_lots, "x": self._last_before or sums["o"],
            "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1],
        }  # fmt: skip

    def window_record(self, market_id: int, window: str, now_ms: int) -> wire.Record:
        return {"t": "window", "m": market_id, "w": window, **self._sums(now_ms)}

    def _sums(self, now_ms: int) -> wire.Record:
        bar = self.window(now_ms)
        return {
            "o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "v": bar.volume_lots, "q": bar.quote_units,
            "n": bar.trades, "F": bar.first_trade_id, "L": bar.last_trade_id, "O": bar.open_ms, "C": now_ms,
        }  # fmt: skip


def _sum(bars: Iterable[Bar]) -> Bar | None:
    total: Bar | None = None
    for bar in bars:
        if total is None:
            total = replace(bar)
        else:
            total.merge(bar)
    return total
