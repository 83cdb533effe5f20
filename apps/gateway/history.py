"""Public history from PostgreSQL: candles and older aggregate trades. Memory adds what is newer than the tables."""

from typing import Any

from psycopg import AsyncConnection

from apps.gateway.book import Record
from apps.gateway.markets import Market
from apps.gateway.publicfeed import PublicFeed
from apps.gateway.reads import Reads, first_trade_at, first_trade_of_aggregate
from apps.markets.intervals import bar_close_ms, bar_open_ms, bar_opens, shifted_open_ms

_BARS = (
    "SELECT open_ms, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots, quote_units, trades,"
    " taker_base_lots, taker_quote_units FROM markets_candle WHERE market_id = %s AND interval = %s"
)
# All prints of one taker order at one price are one aggregate; its last trade id bounds the scan.
_AGGREGATES = (
    "SELECT agg_id, min(price_ticks), sum(quantity_lots)::bigint, min(trade_id), max(trade_id), max(time_ms),"
    " bool_or(taker_is_buyer) FROM orders_trade WHERE market_id = %s AND trade_id >= %s AND trade_id < %s"
    " GROUP BY agg_id ORDER BY agg_id LIMIT %s"
)
# Prints looked at for one page of aggregates, before asking for more.
TRADES_PER_STEP = 5_000


class History:
    def __init__(self, reads: Reads, public: PublicFeed) -> None:
        self._reads = reads
        self._public = public

    # -- candles ------------------------------------------------------------------------------------------------------
    async def klines(
        self, market: Market, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
    ) -> list[Record]:
        """Bars oldest first, empty ones filled flat at the close before. From `start_ms` up, else the last `limit`.

        Nothing before the market's first bar and nothing after the running one.
        """
        last = bar_open_ms(interval, now_ms if end_ms is None else min(end_ms, now_ms))
        async with self._reads.connection() as connection:
            earliest = await self._earliest(connection, market, interval)
            if earliest is None:
                return []
            if start_ms is not None:
                first = bar_open_ms(interval, start_ms)
                if first < start_ms:
                    first = shifted_open_ms(interval, start_ms, 1)
                first = max(first, earliest)
                last = min(last, shifted_open_ms(interval, first, limit - 1))
            else:
                first = max(shifted_open_ms(interval, last, 1 - limit), earliest)
            if first > last:
                return []
            stored = await self._stored(connection, market, interval, first, last)
            close = await self._close_before(connection, market, interval, first)
        live = self._live(market, interval)
        for open_ms, bar in live.items():
            # Memory is newer for the running bar and for one that was just closed.
            if open_ms not in stored or bar["n"] >= stored[open_ms]["n"]:
                stored[open_ms] = bar
        bars = []
        for open_ms in bar_opens(interval, first, last):
            if open_ms in stored:
                bars.append(stored[open_ms])
            elif close is not None:
                bars.append(_flat(interval, open_ms, close))
            if bars:
                close = bars[-1]["p"][3]
        return bars

    def _live(self, market: Market, interval: str) -> dict[int, Record]:
        state = self._public.known(market)
        return {} if state is None else state.klines.get(interval, {})

    async def _earliest(self, connection: AsyncConnection[Any], market: Market, interval: str) -> int | None:
        cursor = await connection.execute(
            "SELECT min(open_ms) FROM markets_candle WHERE market_id = %s AND interval = %s", (market.id, interval)
        )
        row = await cursor.fetchone()
        stored = row[0] if row else None
        live = [open_ms for open_ms, bar in self._live(market, interval).items() if bar["n"]]
        return min([*live, *([] if stored is None else [stored])], default=None)

    async def _stored(
        self, connection: AsyncConnection[Any], market: Market, interval: str, first: int, last: int
    ) -> dict[int, Record]:
        cursor = await connection.execute(
            f"{_BARS} AND open_ms BETWEEN %s AND %s ORDER BY open_ms", (market.id, interval, first, last)
        )
        return {row[0]: _bar(interval, row) for row in await cursor.fetchall()}

    async def _close_before(
        self, connection: AsyncConnection[Any], market: Market, interval: str, first: int
    ) -> int | None:
        cursor = await connection.execute(
            f"{_BARS} AND open_ms < %s ORDER BY open_ms DESC LIMIT 1", (market.id, interval, first)
        )
        row = await cursor.fetchone()
        return None if row is None else int(row[4])

    # -- aggregate trades ---------------------------------------------------------------------------------------------
    async def aggregates(
        self, market: Market, *, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Record]:
        """Aggregates from an id or time upward, or the last ones up to `end_ms`; oldest first."""
        async with self._reads.connection() as connection:
            cursor = await connection.execute(
                "SELECT COALESCE(max(trade_id), 0) FROM orders_trade WHERE market_id = %s", (market.id,)
            )
            row = await cursor.fetchone()
            stop = (row[0] if row else 0) + 1
            if end_ms is not None:
                stop = min(stop, await first_trade_at(connection, market.id, end_ms + 1))
            if from_id is not None:
                low = await first_trade_of_aggregate(connection, market.id, from_id)
            elif start_ms is not None:
                low = await first_trade_at(connection, market.id, start_ms)
            else:
                return await self._last_aggregates(connection, market, stop, limit)
            return await self._aggregates_from(connection, market, low, stop, limit)

    async def _aggregates_from(
        self, connection: AsyncConnection[Any], market: Market, low: int, stop: int, limit: int
    ) -> list[Record]:
        found: list[Record] = []
        size = TRADES_PER_STEP
        while low < stop and len(found) < limit:
            step = min(low + size, stop)
            cursor = await connection.execute(_AGGREGATES, (market.id, low, step, limit - len(found) + 1))
            part = [_aggregate(row) for row in await cursor.fetchall()]
            if step < stop:
                if len(part) <= 1:
                    size *= 2
                    continue
                # The last one may go on beyond this step: it is counted again from its first print.
                step = part.pop()["f"]
            found += part
            low = step
        return found[:limit]

    async def _last_aggregates(
        self, connection: AsyncConnection[Any], market: Market, stop: int, limit: int
    ) -> list[Record]:
        """The newest `limit` before trade `stop`: an aggregate has one print or more, so look ever further back."""
        reach = limit
        while True:
            low = max(stop - reach, 1)
            found = await self._aggregates_from(connection, market, low, stop, reach)
            if low == 1:
                return found[-limit:]
            if len(found) > limit:
                # The first one may have begun before `low`; there is one more than needed.
                return found[-limit:]
            reach *= 2


def _bar(interval: str, row: Any) -> Record:
    open_ms, opened, high, low, close, lots, units, trades, taker_lots, taker_units = row
    return {
        "i": interval, "o": open_ms, "c": bar_close_ms(interval, open_ms), "p": [opened, high, low, close], "v": lots,
        "q": units, "n": trades, "bv": taker_lots, "bq": taker_units,
    }  # fmt: skip


def _flat(interval: str, open_ms: int, close: int) -> Record:
    return _bar(interval, (open_ms, close, close, close, close, 0, 0, 0, 0, 0))


def _aggregate(row: Any) -> Record:
    agg_id, price, lots, first, last, time_ms, taker_is_buyer = row
    return {"a": agg_id, "p": price, "q": lots, "f": first, "l": last, "T": time_ms, "bm": not taker_is_buyer}
