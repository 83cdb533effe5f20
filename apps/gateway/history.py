"""Candles and windows of time from PostgreSQL. Memory adds what is newer than the tables."""

from typing import Any, Final

from psycopg import AsyncConnection

from apps.gateway.book import Record
from apps.gateway.markets import Market
from apps.gateway.publicfeed import PublicFeed
from apps.gateway.reads import Reads
from apps.markets import zonedklines
from apps.markets.klines import BARS, COLUMNS, FIRST_OPEN, bar_of_row, bars_parameters, fill, plan
from apps.markets.marketdata import wire

TRADES: Final = COLUMNS.index("trades")
# After every bar.
FAR_MS: Final = 2**62
# Stored minutes of a window; those that memory has too are left to it.
_WINDOW: Final = (
    "SELECT (array_agg(open_ticks ORDER BY open_ms))[1], max(high_ticks), min(low_ticks),"
    " (array_agg(close_ticks ORDER BY open_ms DESC))[1], sum(volume_lots)::bigint, sum(quote_units)::bigint,"
    " sum(trades)::bigint, min(first_trade_id), max(last_trade_id) FROM markets_candle"
    " WHERE market_id = %s AND interval = '1m' AND open_ms >= %s AND open_ms < %s AND trades > 0"
)


class History:
    def __init__(self, reads: Reads, public: PublicFeed) -> None:
        self._reads = reads
        self._public = public

    # -- candles ------------------------------------------------------------------------------------------------------
    async def klines(
        self, market: Market, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int,
        offset_ms: int = 0,
    ) -> list[Record]:  # fmt: skip
        """Bars as markets.klines plans them, with what memory knows of the newest ones.

        `offset_ms`: how far ahead of UTC the clock is by which they begin.
        """
        source = zonedklines.source(interval, offset_ms)
        if source != interval:
            return await self._zoned_klines(
                market, interval, source, offset_ms, start_ms=start_ms, end_ms=end_ms, limit=limit, now_ms=now_ms
            )
        live = self._live(market, interval)
        async with self._reads.connection() as connection:
            opens = plan(
                interval, first_open_ms=await _first_open(connection, market, interval, live), now_ms=now_ms,
                start_ms=start_ms, end_ms=end_ms, limit=limit,
            )  # fmt: skip
            if not opens:
                return []
            cursor = await connection.execute(BARS, bars_parameters(market.id, interval, opens))
            rows = {row[0]: row for row in await cursor.fetchall()}
        for row in live:
            # Memory is newer for the running bar and for one that was just closed.
            stored = rows.get(row[0])
            if opens[0] <= row[0] <= opens[-1] and (stored is None or row[TRADES] >= stored[TRADES]):
                rows[row[0]] = row
        bars = fill(opens, [rows[open_ms] for open_ms in sorted(rows)])
        return [wire.kline(market.id, interval, bar, closed=False) for bar in bars]

    async def _zoned_klines(
        self, market: Market, interval: str, source: str, offset_ms: int, *, start_ms: int | None, end_ms: int | None,
        limit: int, now_ms: int,
    ) -> list[Record]:  # fmt: skip
        live = sorted(self._live(market, source))
        async with self._reads.connection() as connection:
            opens = zonedklines.plan_opens(
                interval, offset_ms, first_open_ms=await _first_open(connection, market, source, live), now_ms=now_ms,
                start_ms=start_ms, end_ms=end_ms, limit=limit,
            )  # fmt: skip
            if not opens:
                return []
            until_ms = zonedklines.close_ms(interval, offset_ms, opens[-1]) + 1
            live = [row for row in live if row[0] < until_ms]
            stored_until_ms = live[0][0] if live else until_ms
            cursor = await connection.execute(
                zonedklines.SUMS, (opens, market.id, source, opens[0], stored_until_ms)
            )  # fmt: skip
            sums = await cursor.fetchall()
            cursor = await connection.execute(zonedklines.CLOSE_BEFORE, (market.id, source, opens[0]))
            before = await cursor.fetchone()
        bars = zonedklines.join(opens, sums, map(bar_of_row, live), before[0] if before is not None else None)
        return [
            {**wire.kline(market.id, interval, bar, closed=False),
             "c": zonedklines.close_ms(interval, offset_ms, bar.open_ms)}
            for bar in bars
        ]  # fmt: skip

    def _live(self, market: Market, interval: str) -> list[tuple[Any, ...]]:
        """The newest bars in memory, as rows of klines.COLUMNS."""
        state = self._public.known(market)
        bars = [] if state is None else state.klines.get(interval, {}).values()
        return [
            (bar["o"], *bar["p"], bar["v"], bar["q"], bar["n"], bar["bv"], bar["bq"], bar["f"], bar["l"], False)
            for bar in bars
        ]

    # -- windows ------------------------------------------------------------------------------------------------------
    async def window(self, market: Market, open_ms: int) -> Record | None:
        """All that traded from `open_ms`, the start of a minute, until now; None where nothing did.

        o, h, l, c (ticks), v (lots), q (units), n, F and L (first and last trade id), as in a ticker.
        """
        state = self._public.known(market)
        live = [] if state is None else sorted(state.klines.get("1m", {}).values(), key=lambda bar: bar["o"])
        live = [bar for bar in live if bar["o"] >= open_ms]
        until_ms = live[0]["o"] if live else FAR_MS
        async with self._reads.connection() as connection:
            row = await (await connection.execute(_WINDOW, (market.id, open_ms, until_ms))).fetchone()
        parts = [row] if row is not None and row[0] is not None else []
        parts += [(*bar["p"], bar["v"], bar["q"], bar["n"], bar["f"], bar["l"]) for bar in live if bar["n"]]
        if not parts:
            return None
        return {
            "o": parts[0][0],
            "h": max(part[1] for part in parts),
            "l": min(part[2] for part in parts),
            "c": parts[-1][3],
            "v": sum(part[4] for part in parts),
            "q": sum(part[5] for part in parts),
            "n": sum(part[6] for part in parts),
            "F": min(part[7] for part in parts),
            "L": max(part[8] for part in parts),
        }


async def _first_open(
    connection: AsyncConnection[Any], market: Market, interval: str, live: list[tuple[Any, ...]]
) -> int | None:
    """Where the market's first bar with trades begins; None before any."""
    row = await (await connection.execute(FIRST_OPEN, (market.id, interval))).fetchone()
    found = [open_ms for open_ms in row or () if open_ms is not None]
    return min(found + [bar[0] for bar in live if bar[TRADES]], default=None)
