"""Bars of trades: one second's bar and the sum of consecutive bars; pure integers.

Invariant: a bar of any interval is the merge, in order, of the one-second bars inside it. So trades go into
one-second bars only, and those are folded into the other 15 intervals.
"""

from dataclasses import dataclass, replace

from apps.markets.intervals import INTERVALS, SECOND_MS, bar_open_ms

NO_TRADE = -1


@dataclass(slots=True)
class Bar:
    """Prices in ticks, volumes in lots (base) and units (quote asset); `taker_*` is the part where the buyer took."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume_lots: int = 0
    quote_units: int = 0
    trades: int = 0
    taker_base_lots: int = 0
    taker_quote_units: int = 0
    first_trade_id: int = NO_TRADE
    last_trade_id: int = NO_TRADE
    simulated: bool = False

    def merge(self, later: "Bar") -> None:
        """Add a bar that follows (or continues) this one; keeps the own open_ms."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume_lots += later.volume_lots
        self.quote_units += later.quote_units
        self.trades += later.trades
        self.taker_base_lots += later.taker_base_lots
        self.taker_quote_units += later.taker_quote_units
        if self.first_trade_id == NO_TRADE:
            self.first_trade_id = later.first_trade_id
        if later.last_trade_id != NO_TRADE:
            self.last_trade_id = later.last_trade_id
        self.simulated = self.simulated or later.simulated

    def starting_at(self, open_ms: int) -> "Bar":
        """A copy that is the first part of the bar starting at `open_ms`."""
        return replace(self, open_ms=open_ms)


def flat_bar(open_ms: int, price_ticks: int) -> Bar:
    """A bar without trades: everything at the close of the bar before."""
    return Bar(open_ms, price_ticks, price_ticks, price_ticks, price_ticks)


def trade_bar(
    *, trade_id: int, price_ticks: int, lots: int, quote_units: int, time_ms: int, taker_is_buyer: bool
) -> Bar:
    """The one-second bar of a single trade."""
    return Bar(
        open_ms=time_ms - time_ms % SECOND_MS,
        open=price_ticks,
        high=price_ticks,
        low=price_ticks,
        close=price_ticks,
        volume_lots=lots,
        quote_units=quote_units,
        trades=1,
        taker_base_lots=lots if taker_is_buyer else 0,
        taker_quote_units=quote_units if taker_is_buyer else 0,
        first_trade_id=trade_id,
        last_trade_id=trade_id,
    )


def fold(second: Bar, into: dict[tuple[str, int], Bar]) -> None:
    """Merge a one-second bar into the bars {(interval, open_ms): bar} of all intervals, '1s' included."""
    for interval in INTERVALS:
        open_ms = bar_open_ms(interval, second.open_ms)
        bar = into.get((interval, open_ms))
        if bar is None:
            into[interval, open_ms] = second.starting_at(open_ms)
        else:
            bar.merge(second)
