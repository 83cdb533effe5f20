"""Bars as readers see them: `startTime`/`endTime`/`limit` semantics and empty bars (clients.md section 4); pure.

The reader runs two queries and gives their rows to `fill`:

    first_open_ms = <FIRST_OPEN: (market_id, interval)>            None where the market never traded
    opens = plan(interval, first_open_ms=..., now_ms=..., start_ms=..., end_ms=..., limit=...)
    rows = <BARS: (market_id, interval, opens[0], opens[-1], market_id, interval, opens[0])>
    bars = fill(opens, rows)

A bar without trades has the close of the bar before it as open, high, low and close, and volume 0. There are no bars
before the first one. The newest bar is the running one. SQL parameters are psycopg's `%s`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from apps.markets.intervals import bar_open_ms, bar_opens, shifted_open_ms
from apps.markets.marketdata.bars import Bar, flat_bar

COLUMNS: Final = (
    "open_ms", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "quote_units", "trades",
    "taker_base_lots", "taker_quote_units", "first_trade_id", "last_trade_id", "simulated",
)  # fmt: skip
_LIST: Final = ", ".join(COLUMNS)

FIRST_OPEN: Final = "SELECT min(open_ms) FROM markets_candle WHERE market_id = %s AND interval = %s"
# In any order. The last bar before the range is among them: empty bars at the start take its close.
BARS: Final = (
    f"SELECT {_LIST} FROM markets_candle"  # noqa: S608  # column names are constants
    " WHERE market_id = %s AND interval = %s AND open_ms BETWEEN %s AND %s"
    f" UNION ALL (SELECT {_LIST} FROM markets_candle"
    " WHERE market_id = %s AND interval = %s AND open_ms < %s ORDER BY open_ms DESC LIMIT 1)"
)


def bars_parameters(market_id: int, interval: str, opens: Sequence[int]) -> tuple[int | str, ...]:
    """Parameters of BARS for the non-empty `opens` of plan()."""
    return (market_id, interval, opens[0], opens[-1], market_id, interval, opens[0])


def plan(
    interval: str, *, first_open_ms: int | None, now_ms: int, start_ms: int | None, end_ms: int | None, limit: int
) -> list[int]:
    """Starts of the bars to answer, oldest first, at most `limit`.

    With `start_ms` the oldest bars that start at or after it; without, the newest ones. Bars start at or before
    `end_ms` and now.
    """
    if first_open_ms is None or limit < 1:
        return []
    newest = bar_open_ms(interval, now_ms if end_ms is None else min(end_ms, now_ms))
    if start_ms is None:
        oldest = max(first_open_ms, shifted_open_ms(interval, newest, 1 - limit))
        return bar_opens(interval, oldest, newest)
    if start_ms > newest:
        # No bar starts there, and far enough ahead no calendar has a month.
        return []
    oldest = bar_open_ms(interval, start_ms)
    if oldest < start_ms:
        oldest = shifted_open_ms(interval, start_ms, 1)
    oldest = max(oldest, first_open_ms)
    newest = min(newest, shifted_open_ms(interval, oldest, limit - 1))
    return bar_opens(interval, oldest, newest)


def bar_of_row(row: Sequence[Any]) -> Bar:
    """A bar from a row with COLUMNS."""
    return Bar(*row)


def fill(opens: Iterable[int], rows: Iterable[Sequence[Any]]) -> list[Bar]:
    """One bar for each of `opens`, empty ones flat. `rows` as BARS gives them: at most one before the first."""
    found = {row[0]: bar_of_row(row) for row in rows}
    opens = list(opens)
    before = [bar for open_ms, bar in found.items() if opens and open_ms < opens[0]]
    return without_gaps(opens, found, before[-1].close if before else None)


def without_gaps(opens: Iterable[int], found: Mapping[int, Bar], close: int | None) -> list[Bar]:
    """The bar of each of `opens`, flat at the last close where none was found; none before the first close.

    `close`: that of the last bar before all of these, None where there is none.
    """
    bars: list[Bar] = []
    for open_ms in opens:
        bar = found.get(open_ms)
        if bar is None:
            if close is None:
                continue
            bar = flat_bar(open_ms, close)
        close = bar.close
        bars.append(bar)
    return bars
