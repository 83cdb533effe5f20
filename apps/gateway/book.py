"""Public data of every market in memory: started from marketdata's snapshots, moved by its stream on redis-edge.

Invariants
    A market's state is exactly its snapshot plus every record of later stream entries (`position`), each taken once.
    Depth ids never go back. A gap in depth or trade ids means lost records: the market is loaded again, and listeners
    are told so that they close the clients whose chain broke.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from sortedcontainers import SortedDict

from apps.streams.kinds import MarketState

Record = dict[str, Any]
Position = tuple[int, int]

RECENT_MAX: Final = 1_000
BARS_KEPT: Final = 3
AVERAGE_MS: Final = 5 * 60_000


class Gap(Exception):
    """Records are missing; the market must be loaded from its snapshot."""


@dataclass(slots=True)
class PublicMarket:
    """One market; prices in ticks, quantities in lots, money in units.

    `known_until`: the stream's end when the snapshot was loaded, (0, 0) for none.
    """

    market_id: int
    u: int = 0
    us: int = 0
    position: Position = (0, 0)
    known_until: Position = (0, 0)
    bids: Any = field(default_factory=SortedDict)
    asks: Any = field(default_factory=SortedDict)
    trades: deque[Record] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    aggs: deque[Record] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    # {interval: {open_ms: kline}}, the newest BARS_KEPT of each.
    klines: dict[str, dict[int, Record]] = field(default_factory=dict)
    ticker: Record | None = None
    top: Record | None = None
    state: Record | None = None
    # Of the call phase, None outside one; nearest prices that would halt the market, None before the first.
    auction: Record | None = None
    distance: Record | None = None
    # Answers built from this state (prebuilt.py).
    answers: dict[Any, Any] = field(default_factory=dict)
    # Sums by second over the last five minutes: (second, lots, units), oldest first.
    _recent: deque[list[int]] = field(default_factory=deque)

    @classmethod
    def from_snapshot(cls, market_id: int, snapshot: Record) -> "PublicMarket":
        market = cls(
            market_id=market_id,
            u=snapshot["u"],
            us=snapshot["us"],
            position=parse_position(snapshot["after"]),
            bids=SortedDict(dict(snapshot["b"])),
            asks=SortedDict(dict(snapshot["a"])),
            trades=deque(snapshot["trades"], RECENT_MAX),
            aggs=deque(snapshot["aggs"], RECENT_MAX),
            klines={interval: {bar["o"]: bar} for interval, bar in snapshot["klines"].items()},
            ticker=snapshot["ticker"],
            state=snapshot["state"],
            auction=snapshot.get("auction"),
            distance=snapshot.get("distance"),
        )
        for trade in market.trades:
            market._count(trade)
        return market

    def apply(self, record: Record) -> bool:
        """Take one record; False where it is known already. Raises Gap."""
        self.answers.clear()
        match record["t"]:
            case "depth":
                return self._depth(record)
            case "depth1s":
                if record["u"] <= self.us:
                    return False
                if record["U"] > self.us + 1:
                    raise Gap
                self.us = record["u"]
            case "trade":
                return self._trade(record)
            case "agg":
                if self.aggs and record["a"] <= self.aggs[-1]["a"]:
                    return False
                self.aggs.append(record)
            case "kline":
                self._kline(record)
            case "top":
                self.top = record
            case "ticker":
                self.ticker = record
            case "state":
                self.state = record
                if record["state"] != MarketState.AUCTION:
                    self.auction = None
            case "auction":
                self.auction = record
            case "distance":
                self.distance = record
        return True

    def _depth(self, record: Record) -> bool:
        if record["u"] <= self.u:
            return False
        if record["U"] > self.u + 1:
            raise Gap
        for levels, changes in ((self.bids, record["b"]), (self.asks, record["a"])):
            for price, lots in changes:
                if lots:
                    levels[price] = lots
                else:
                    levels.pop(price, None)
        self.u = record["u"]
        return True

    def _trade(self, record: Record) -> bool:
        if self.trades:
            last = self.trades[-1]["id"]
            if record["id"] <= last:
                return False
            if record["id"] > last + 1:
                raise Gap
        self.trades.append(record)
        self._count(record)
        return True

    def _kline(self, record: Record) -> None:
        bars = self.klines.setdefault(record["i"], {})
        bars[record["o"]] = record
        while len(bars) > BARS_KEPT:
            del bars[min(bars)]

    def _count(self, trade: Record) -> None:
        second = trade["T"] // 1000
        if not self._recent or self._recent[-1][0] != second:
            self._recent.append([second, 0, 0])
            while self._recent[0][0] < second - AVERAGE_MS // 1000:
                self._recent.popleft()
        self._recent[-1][1] += trade["q"]
        # Ticks times lots: the caller knows the unit factor.
        self._recent[-1][2] += trade["p"] * trade["q"]

    def average_price_ticks(self, now_ms: int) -> tuple[int, int] | None:
        """(ticks x lots, lots) of the last five minutes; of the last trade where none is so young; None before any."""
        since = (now_ms - AVERAGE_MS) // 1000
        value = lots = 0
        for second, second_lots, second_value in self._recent:
            if second >= since:
                lots, value = lots + second_lots, value + second_value
        if lots:
            return value, lots
        return (self.trades[-1]["p"], 1) if self.trades else None

    def best(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Best bid and ask as (ticks, lots), (0, 0) for an empty side: the newest of `top` and the book."""
        if self.top is not None and self.top["u"] >= self.u:
            return (self.top["bp"], self.top["bq"]), (self.top["ap"], self.top["aq"])
        return next(self.best_bids(1), (0, 0)), next(self.best_asks(1), (0, 0))

    def best_bids(self, limit: int) -> Iterator[tuple[int, int]]:
        """(ticks, lots), best price first."""
        return ((price, self.bids[price]) for price in islice(reversed(self.bids), limit))

    def best_asks(self, limit: int) -> Iterator[tuple[int, int]]:
        return islice(self.asks.items(), limit)


def parse_position(text: str) -> Position:
    ms, _, n = text.partition("-")
    return int(ms), int(n or 0)
