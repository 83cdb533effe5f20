"""Bars of another time zone, put together from stored bars that are short enough (klines with `timeZone`); pure.

Stored bars begin at multiples of their length in UTC. A bar of a zone that is `offset_ms` ahead of UTC begins so much
earlier: all planning happens in local time (UTC + offset), where it is the planning of klines.py.

The reader gives the stored bars to `join`, added up by SUMS as far as they are in PostgreSQL. SQL parameters are
psycopg's `%s`; opens are UTC milliseconds.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from apps.markets.intervals import DAY_MS, FIXED_MS, WEEK_MS, bar_close_ms, bar_open_ms
from apps.markets.klines import bar_of_row, plan, without_gaps
from apps.markets.marketdata.bars import Bar

# (place of the bar among the opens, from 1; then klines.COLUMNS from open_ticks on), one row a bar that has anything.
# Parameters: opens, market, interval, first open, end.
SUMS: Final = (
    "SELECT width_bucket(open_ms, %s::bigint[]) AS place, (array_agg(open_ticks ORDER BY open_ms))[1], max(high_ticks),"
    " min(low_ticks), (array_agg(close_ticks ORDER BY open_ms DESC))[1], sum(volume_lots)::bigint,"
    " sum(quote_units)::bigint, sum(trades)::bigint, sum(taker_base_lots)::bigint, sum(taker_quote_units)::bigint,"
    " COALESCE(min(first_trade_id) FILTER (WHERE first_trade_id >= 0), -1), max(last_trade_id), bool_or(simulated)"
    " FROM markets_candle WHERE market_id = %s AND interval = %s AND open_ms >= %s AND open_ms < %s"
    " GROUP BY place ORDER BY place"
)
# The close before a bar at the start that has no trades. Parameters: market, interval, first open.
CLOSE_BEFORE: Final = (
    "SELECT close_ticks FROM markets_candle WHERE market_id = %s AND interval = %s AND open_ms < %s"
    " ORDER BY open_ms DESC LIMIT 1"
)


def source(interval: str, offset_ms: int) -> str:
    """The longest stored interval that bars of `interval` can be made of; `interval` itself where they are the same."""
    length = {"1w": WEEK_MS, "1M": DAY_MS}.get(interval) or FIXED_MS[interval]
    if offset_ms % length == 0 and (interval in FIXED_MS or offset_ms == 0):
        return interval
    return max(
        (name for name, part in FIXED_MS.items() if length % part == 0 and offset_ms % part == 0),
        key=lambda name: FIXED_MS[name],
    )


def plan_opens(
    interval: str, offset_ms: int, *, first_open_ms: int | None, now_ms: int, start_ms: int | None, end_ms: int | None,
    limit: int,
) -> list[int]:  # fmt: skip
    """As klines.plan, with opens of the zone's bars. `first_open_ms` is that of the first stored source bar."""
    if first_open_ms is None:
        return []
    opens = plan(
        interval, first_open_ms=bar_open_ms(interval, first_open_ms + offset_ms), now_ms=now_ms + offset_ms,
        start_ms=None if start_ms is None else start_ms + offset_ms,
        end_ms=None if end_ms is None else end_ms + offset_ms, limit=limit,
    )  # fmt: skip
    return [open_ms - offset_ms for open_ms in opens]


def close_ms(interval: str, offset_ms: int, open_ms: int) -> int:
    """Last millisecond of the zone's bar that starts at `open_ms`."""
    return bar_close_ms(interval, open_ms + offset_ms) - offset_ms


def join(opens: Sequence[int], sums: Iterable[Sequence[Any]], live: Iterable[Bar], close: int | None) -> list[Bar]:
    """One bar for each of `opens`, empty ones flat.

    `sums`: rows of SUMS. `live`: source bars that follow all of those, oldest first. `close`: that of the last source
    bar before the first of `opens`, None where there is none; bars that nothing comes before are left out.
    """
    found = {opens[row[0] - 1]: bar_of_row((opens[row[0] - 1], *row[1:])) for row in sums}
    for part in live:
        place = bisect_right(opens, part.open_ms) - 1
        if place < 0:
            close = part.close
            continue
        open_ms = opens[place]
        if open_ms in found:
            found[open_ms].merge(part)
        else:
            found[open_ms] = replace(part, open_ms=open_ms)
    return without_gaps(opens, found, close)
