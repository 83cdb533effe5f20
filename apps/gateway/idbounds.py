"""Times as id bounds: ids are dense and rise with time, so a bisection over point look-ups finds where a time begins.

Every list by time is then one index range scan over ids, and no index over times is needed.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from apps.streams.shards import last_order_id, order_ids_after


async def first_where(
    connection: AsyncConnection[Any], first: int, last: int, probe: str, parameters: Sequence[Any], wanted: int
) -> int:
    """The lowest id in first..last + 1 whose probed column is >= `wanted`, by bisection; ids are dense and ordered.

    `probe` selects (id, column) of the first row with id >= its last parameter; about log2(last - first) look-ups.
    """
    low, high = first, last + 1
    while low < high:
        middle = (low + high) // 2
        row = await (await connection.execute(probe, (*parameters, middle))).fetchone()
        if row is None or row[1] >= wanted:
            high = middle
        else:
            low = row[0] + 1
    return low


async def first_trade_at(connection: AsyncConnection[Any], market_id: int, time_ms: int) -> int:
    """The first trade id of a market at or after `time_ms`."""
    return await _first_trade(connection, market_id, "time_ms", time_ms)


async def first_trade_of_aggregate(connection: AsyncConnection[Any], market_id: int, agg_id: int) -> int:
    return await _first_trade(connection, market_id, "agg_id", agg_id)


async def _first_trade(connection: AsyncConnection[Any], market_id: int, column: str, wanted: int) -> int:
    cursor = await connection.execute("SELECT max(trade_id) FROM orders_trade WHERE market_id = %s", (market_id,))
    row = await cursor.fetchone()
    probe = (
        f"SELECT trade_id, {column} FROM orders_trade WHERE market_id = %s AND trade_id >= %s ORDER BY trade_id LIMIT 1"  # noqa: S608  # constants of ours
    )
    return await first_where(connection, 1, (row[0] if row else 0) or 0, probe, (market_id,), wanted)


async def first_order_at(connection: AsyncConnection[Any], shard: str, time_ms: int) -> int:
    """The first order id of a shard at or after `time_ms`."""
    before, last = order_ids_after(shard), last_order_id(shard)
    cursor = await connection.execute(
        "SELECT COALESCE(max(id), %s) FROM orders_order WHERE id BETWEEN %s AND %s", (before, before, last)
    )
    row = await cursor.fetchone()
    assert row is not None, "an aggregate always returns one row"
    probe = "SELECT id, created_ms FROM orders_order WHERE id <= %s AND id >= %s ORDER BY id LIMIT 1"
    return await first_where(connection, before + 1, row[0], probe, (last,), time_ms)
