"""Reads."""

from django.db import connection

from apps.common.clock import now_ms
from apps.markets.intervals import INTERVALS
from apps.markets.klines import BARS, FIRST_OPEN, bars_parameters, fill, plan
from apps.markets.marketdata.bars import Bar
from apps.markets.policy import KLINES_LIMIT_MAX


def klines(
    market_id: int, interval: str, start_ms: int | None = None, end_ms: int | None = None, limit: int = 500
) -> list[Bar]:
    """Bars oldest first, empty ones filled, as klines.plan says. ValueError for an unknown interval or limit."""
    if interval not in INTERVALS:
        raise ValueError(f"There is no interval {interval!r}.")
    if not 1 <= limit <= KLINES_LIMIT_MAX:
        raise ValueError(f"limit must be between 1 and {KLINES_LIMIT_MAX}.")
    with connection.cursor() as cursor:
        cursor.execute(FIRST_OPEN, (market_id, interval))
        (first_open_ms,) = cursor.fetchone()
        opens = plan(
            interval, first_open_ms=first_open_ms, now_ms=now_ms(), start_ms=start_ms, end_ms=end_ms, limit=limit
        )
        if not opens:
            return []
        cursor.execute(BARS, bars_parameters(market_id, interval, opens))
        return fill(opens, cursor.fetchall())
