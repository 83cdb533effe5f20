"""The last prints of one market, and their aggregates: one for each taker order and price, told when complete.

Invariant: trade ids on the tape are dense and rise. A print that is already there is not taken twice, so events may be
read again after a restart.
"""

from collections import deque
from collections.abc import Iterable

from apps.markets.marketdata import wire
from apps.markets.policy import RECENT_TRADES_MAX


class Tape:
    """Trade and agg maps, oldest first, the last 1000 of each."""

    __slots__ = ("_open", "aggs", "trades")

    def __init__(self) -> None:
        self.trades: deque[wire.Record] = deque(maxlen=RECENT_TRADES_MAX)
        self.aggs: deque[wire.Record] = deque(maxlen=RECENT_TRADES_MAX)
        self._open: wire.Record | None = None

    @property
    def last_trade_id(self) -> int:
        """0 before the first print."""
        return self.trades[-1]["id"] if self.trades else 0

    def load(self, trades: Iterable[wire.Record]) -> None:
        """Take prints of the past, oldest first."""
        for trade in trades:
            self.add(trade)
        self.complete()
        if len(self.trades) == RECENT_TRADES_MAX and len(self.aggs) > 1:
            # The oldest aggregate may have begun before the oldest print.
            self.aggs.popleft()

    def add(self, trade: wire.Record) -> list[wire.Record]:
        """News of one print: the aggregate it completes, if any, and itself. Empty for one that is known."""
        if trade["id"] <= self.last_trade_id:
            return []
        self.trades.append(trade)
        news = []
        if self._open is not None and self._open["a"] == trade["agg"]:
            self._open["q"] += trade["q"]
            self._open["l"] = trade["id"]
            self._open["T"] = trade["T"]
        else:
            news = self.complete()
            self._open = wire.aggregate(trade)
        news.append(trade)
        return news

    def complete(self) -> list[wire.Record]:
        """The aggregate that the last prints form; nothing can join it once their command has ended."""
        if self._open is None:
            return []
        done, self._open = self._open, None
        self.aggs.append(done)
        return [done]
