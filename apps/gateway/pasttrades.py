"""Public trades and aggregate trades from PostgreSQL, each page one index range scan in the order of trade ids.

Memory adds what is newer than the tables. Trades are never changed, so an answer by ids or past times stays the same
whatever trades follow.
"""

from typing import Any, Final

from psycopg import AsyncConnection

from apps.gateway.book import Record
from apps.gateway.idbounds import first_trade_at, first_trade_of_aggregate
from apps.gateway.markets import Market
from apps.gateway.publicfeed import PublicFeed
from apps.gateway.reads import Reads

_PRINTS: Final = (
    "SELECT trade_id, agg_id, price_ticks, quantity_lots, time_ms, taker_is_buyer FROM orders_trade"
    " WHERE market_id = %s AND trade_id >= %s AND trade_id < %s ORDER BY trade_id"
)
# After every trade.
FAR_ID: Final = 2**62
# Prints read at once for aggregates: several times what a page of them mostly has.
PRINTS_AT_ONCE: Final = 2_000


class PastTrades:
    def __init__(self, reads: Reads, public: PublicFeed) -> None:
        self._reads = reads
        self._public = public

    async def recent_trades(self, market: Market, limit: int) -> list[Record]:
        """The last trades, oldest first: from memory, and from the tables where it has fewer of the market's."""
        known = list(self._public.state(market).trades)[-limit:]
        first = known[0]["id"] if known else FAR_ID
        if len(known) == limit or first == 1:
            return known
        async with self._reads.connection() as connection:
            cursor = await connection.execute(f"{_PRINTS} DESC LIMIT %s", (market.id, 1, first, limit - len(known)))
            return [_trade(row) for row in reversed(await cursor.fetchall())] + known

    async def trades(self, market: Market, from_id: int, limit: int) -> list[Record]:
        """Trades from an id upward; oldest first."""
        async with self._reads.connection() as connection:
            cursor = await connection.execute(f"{_PRINTS} LIMIT %s", (market.id, from_id, FAR_ID, limit))
            found = [_trade(row) for row in await cursor.fetchall()]
        state = self._public.known(market)
        if state is not None:
            # Memory has what is not settled yet.
            next_id = found[-1]["id"] + 1 if found else max(from_id, 1)
            newer = [record for record in state.trades if record["id"] >= next_id]
            if newer and newer[0]["id"] == next_id:
                found += newer
        return found[:limit]

    async def recent_aggregates(self, market: Market, limit: int) -> list[Record]:
        """The last aggregates, oldest first: from memory, and from the tables where it has fewer of the market's."""
        known = list(self._public.state(market).aggs)[-limit:]
        if len(known) == limit or (known and known[0]["f"] == 1):
            return known
        async with self._reads.connection() as connection:
            stop = known[0]["f"] if known else FAR_ID
            return await self._last_aggregates(connection, market, stop, limit - len(known)) + known

    async def aggregates(
        self, market: Market, *, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Record]:
        """Aggregates from an id or time upward, or the last ones up to `end_ms`; oldest first."""
        async with self._reads.connection() as connection:
            stop = FAR_ID if end_ms is None else await first_trade_at(connection, market.id, end_ms + 1)
            newer = self._unsettled(market, start_ms, end_ms)
            if from_id is None and start_ms is None:
                found = _joined(await self._last_aggregates(connection, market, stop, limit), newer)
                return found[-limit:]
            if from_id is not None:
                low = await first_trade_of_aggregate(connection, market.id, from_id)
                newer = [record for record in newer if record["a"] >= from_id]
            else:
                assert start_ms is not None, "one of the two is given"
                low = await first_trade_at(connection, market.id, start_ms)
            found = await self._aggregates_from(connection, market, low, stop, limit)
        return found if len(found) == limit else _joined(found, newer)[:limit]

    def _unsettled(self, market: Market, start_ms: int | None, end_ms: int | None) -> list[Record]:
        """What memory has between two times; its newest ones may not be in the tables yet."""
        state = self._public.known(market)
        return [] if state is None else [
            record for record in state.aggs
            if (start_ms is None or record["T"] >= start_ms) and (end_ms is None or record["T"] <= end_ms)
        ]  # fmt: skip

    async def _aggregates_from(
        self, connection: AsyncConnection[Any], market: Market, low: int, stop: int, limit: int
    ) -> list[Record]:
        """The first `limit` from print `low` on: one more is begun before the last one is known to be whole."""
        found: list[Record] = []
        while len(found) <= limit:
            cursor = await connection.execute(f"{_PRINTS} LIMIT %s", (market.id, low, stop, PRINTS_AT_ONCE))
            rows = await cursor.fetchall()
            for row in rows:
                if found and found[-1]["a"] == row[1]:
                    _add(found[-1], row)
                else:
                    found.append(_aggregate(row))
            if len(rows) < PRINTS_AT_ONCE:
                break
            low = rows[-1][0] + 1
        return found[:limit]

    async def _last_aggregates(
        self, connection: AsyncConnection[Any], market: Market, stop: int, limit: int
    ) -> list[Record]:
        """The newest `limit` before print `stop`, which begins an aggregate: the same, looking back."""
        found: list[Record] = []
        while len(found) <= limit:
            cursor = await connection.execute(f"{_PRINTS} DESC LIMIT %s", (market.id, 1, stop, PRINTS_AT_ONCE))
            rows = await cursor.fetchall()
            for row in rows:
                if found and found[-1]["a"] == row[1]:
                    _add(found[-1], row)
                else:
                    found.append(_aggregate(row))
            if len(rows) < PRINTS_AT_ONCE:
                break
            stop = rows[-1][0]
        return found[:limit][::-1]


def _trade(row: Any) -> Record:
    trade_id, _, price, lots, time_ms, taker_is_buyer = row
    return {"id": trade_id, "p": price, "q": lots, "T": time_ms, "bm": not taker_is_buyer}


def _aggregate(row: Any) -> Record:
    """All prints of one taker order at one price are one aggregate; this is its first one, or its last one."""
    trade_id, agg_id, price, lots, time_ms, taker_is_buyer = row
    return {"a": agg_id, "p": price, "q": lots, "f": trade_id, "l": trade_id, "T": time_ms, "bm": not taker_is_buyer}


def _add(aggregate: Record, row: Any) -> None:
    """Its next print, in either direction."""
    aggregate["q"] += row[3]
    aggregate["f"], aggregate["l"] = min(aggregate["f"], row[0]), max(aggregate["l"], row[0])


def _joined(settled: list[Record], newer: list[Record]) -> list[Record]:
    """Both, once each; memory's come after those of the tables, where nothing is missing between them."""
    if not settled:
        return newer
    later = [record for record in newer if record["a"] > settled[-1]["a"]]
    return settled + later if later and later[0]["f"] == settled[-1]["l"] + 1 else settled
