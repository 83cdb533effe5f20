"""The current bar of every interval of one market, as the live feed shows it.

Bars close by the wall clock, a little late so that prints still on their way count; a print that comes later still is
added to the bar before and that bar is told again. PostgreSQL's candles (candlewriter.py) do not depend on this.
"""

from collections.abc import Mapping
from typing import Final

from apps.markets.liveintervals import LIVE, live_close_ms, live_open_ms
from apps.markets.marketdata import wire
from apps.markets.marketdata.bars import Bar, flat_bar

CLOSE_GRACE_MS: Final = 200


class LiveBars:
    """`current` and `previous` bar by interval; prints of the running second wait in `_second`."""

    def __init__(self, market_id: int, current: Mapping[str, Bar] | None = None) -> None:
        self.market_id = market_id
        self.current: dict[str, Bar] = dict(current or {})
        self.previous: dict[str, Bar] = {}
        self._second: Bar | None = None
        self._changed: set[str] = set()

    def add(self, print_bar: Bar) -> list[wire.Record]:
        """Take the one-second bar of a print; the news are bars that it closes."""
        if self._second is None:
            self._second = print_bar
        elif self._second.open_ms == print_bar.open_ms:
            self._second.merge(print_bar)
        else:
            closed = self._fold()
            self._second = print_bar
            return closed
        return []

    def tick(self, now_ms: int) -> list[wire.Record]:
        """Called about once a second: bars that changed, bars that ended (`x`), and the empty ones that follow."""
        news = self._fold()
        for interval, bar in self.current.items():
            if live_close_ms(interval, bar.open_ms) + CLOSE_GRACE_MS < now_ms:
                news.append(self._record(interval, bar, closed=True))
                self.previous[interval] = bar
                self.current[interval] = flat_bar(live_open_ms(interval, now_ms - CLOSE_GRACE_MS), bar.close)
                self._changed.add(interval)
        news += [self._record(interval, self.current[interval], closed=False) for interval in sorted(self._changed)]
        self._changed.clear()
        return news

    def records(self) -> dict[str, wire.Record]:
        """{interval: kline map} for a snapshot."""
        return {interval: self._record(interval, bar, closed=False) for interval, bar in self.current.items()}

    def _fold(self) -> list[wire.Record]:
        second, self._second = self._second, None
        if second is None:
            return []
        closed: list[wire.Record] = []
        for interval in LIVE:
            open_ms = live_open_ms(interval, second.open_ms)
            bar, before = self.current.get(interval), self.previous.get(interval)
            if bar is None or open_ms > bar.open_ms:
                if bar is not None:
                    closed.append(self._record(interval, bar, closed=True))
                    self.previous[interval] = bar
                self.current[interval] = second.starting_at(open_ms)
                self._changed.add(interval)
            elif open_ms == bar.open_ms:
                if bar.trades == 0 and not bar.simulated:
                    self.current[interval] = second.starting_at(open_ms)
                else:
                    bar.merge(second)
                self._changed.add(interval)
            elif before is not None and open_ms == before.open_ms:
                closed.append(self._join_late(interval, before, bar, second))
        return closed

    def _join_late(self, interval: str, before: Bar, bar: Bar, second: Bar) -> wire.Record:
        if before.trades == 0 and not before.simulated:
            before = self.previous[interval] = second.starting_at(before.open_ms)
        else:
            before.merge(second)
        if bar.trades == 0 and not bar.simulated:
            self.current[interval] = flat_bar(bar.open_ms, before.close)
            self._changed.add(interval)
        return self._record(interval, before, closed=True)

    def _record(self, interval: str, bar: Bar, *, closed: bool) -> wire.Record:
        return wire.kline(self.market_id, interval, bar, closed=closed, close_ms=live_close_ms(interval, bar.open_ms))
