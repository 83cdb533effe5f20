"""The last price of each market, from the trade record."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

_LAST: Final = """
SELECT market, newest.price_ticks
  FROM unnest(%s::integer[]) AS in_market(market),
       LATERAL (SELECT price_ticks FROM orders_trade
                 WHERE market_id = market AND time_ms < %s ORDER BY trade_id DESC LIMIT 1) AS newest
"""
_EVER: Final = 2**62


def last_prices(market_ids: Sequence[int], before_ms: int = _EVER) -> dict[int, int]:
    """Ticks by market, of the last trade before that time, in one query; without those that had none."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST, [list(market_ids), before_ms])
        return dict(cursor.fetchall())
