"""An account's trades, prevented matches and amendments from PostgreSQL, as far as all that was durable is settled.

Every list is an index range scan in the order of its answer: no sort, however long the account's history is; of one
order only its own prints are read. One statement reads both sides, so that no print of the one comes in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.gateway.idbounds import first_trade_at
from apps.gateway.markets import Market
from apps.gateway.reads import TRADE, Reads, bounded, fee_asset_of

_OF_SIDE: Final = {
    side: f"SELECT {TRADE}, (SELECT o.order_list_id FROM orders_order o WHERE o.id = t.{side}_order_id),"  # noqa: S608  # constants of ours
    f" {str(side == 'maker').upper()} FROM orders_trade t WHERE"
    for side in ("taker", "maker")
}
_FILLED_BEFORE: Final = " UNION ALL ".join(
    "SELECT COALESCE(sum(t.quantity_lots), 0)::bigint, COALESCE(sum(t.quote_units), 0)::bigint"  # noqa: S608  # constants of ours
    f" FROM orders_trade t WHERE t.{side}_order_id = %s AND t.seq < %s"
    for side in ("taker", "maker")
)
_IS_OWN: Final = "SELECT 1 FROM orders_order WHERE id = %s AND account_id = %s AND market_id = %s"
# What an order lost beyond what DECREMENT took off it is all that it had left when it was ended.
_PREVENTED: Final = (
    "SELECT p.prevented_id, p.taker_order_id, p.maker_order_id, p.price_ticks, p.prevented_lots, p.stp_mode, p.time_ms,"
    " (SELECT greatest(o.quantity_lots - o.filled_lots - o.prevented_lots, 0) FROM orders_order o"
    " WHERE o.id = p.taker_order_id),"
    " (SELECT greatest(o.quantity_lots - o.filled_lots - o.prevented_lots, 0) FROM orders_order o"
    " WHERE o.id = p.maker_order_id)"
    " FROM orders_preventedmatch p"
    " WHERE p.market_id = %s AND (p.taker_account_id = %s OR p.maker_account_id = %s)"
)
_AMENDMENTS: Final = (
    "SELECT a.seq, a.old_quantity_lots, a.quantity_lots, a.time_ms FROM orders_amendment a"
    " WHERE a.order_id = %s AND a.seq >= %s ORDER BY a.seq LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """A print from one account's side."""

    trade_id: int
    order_id: int
    price_ticks: int
    quantity_lots: int
    quote_units: int
    is_buyer: bool
    is_maker: bool
    fee_units: int
    fee_asset: str
    time_ms: int
    list_id: int


@dataclass(frozen=True, slots=True)
class OwnPreventedMatch:
    """Two orders of one family that would have traded; `*_rest_lots` is what was left of them when one was ended."""

    prevented_id: int
    taker_order_id: int
    maker_order_id: int
    price_ticks: int
    prevented_lots: int
    stp_mode: int
    time_ms: int
    taker_rest_lots: int
    maker_rest_lots: int


@dataclass(frozen=True, slots=True)
class Amended:
    """An order's quantity before and after; `seq` is the event's."""

    seq: int
    old_lots: int
    new_lots: int
    time_ms: int


class OwnHistory:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def trades(
        self, account_id: int, market: Market, *, order_id: int | None, from_id: int | None, start_ms: int | None,
        end_ms: int | None, limit: int,
    ) -> list[OwnTrade]:  # fmt: skip
        """The account's prints in one market, oldest first: from an id or time upward, else the most recent."""
        async with self._reads.settled_connection() as connection:
            low, high = from_id, None
            if start_ms is not None:
                low = max(low or 0, await first_trade_at(connection, market.id, start_ms))
            if end_ms is not None:
                high = await first_trade_at(connection, market.id, end_ms + 1)
            upward = low is not None
            if order_id is not None:
                cursor = await connection.execute(_IS_OWN, (order_id, account_id, market.id))
                if await cursor.fetchone() is None:
                    return []
            parts, parameters = [], []
            for side, query in _OF_SIDE.items():
                if order_id is not None:
                    # An order is of one account and market; naming them too would invite another index.
                    where, own = f"{query} t.{side}_order_id = %s", [order_id]
                else:
                    where, own = f"{query} t.{side}_account_id = %s AND t.market_id = %s", [account_id, market.id]
                part, own = bounded(where, "t.trade_id", own, low, high, limit, upward=upward)
                parts.append(f"({part})")
                parameters += own
            rows = await (await connection.execute(" UNION ALL ".join(parts), parameters)).fetchall()
        found = sorted((_own_trade(market, row) for row in rows), key=lambda trade: trade.trade_id)
        return found[:limit] if upward else found[-limit:]

    async def filled_before(self, order_id: int, seq: int) -> tuple[int, int]:
        """(lots, quote units) that an order had filled before event `seq`."""
        async with self._reads.settled_connection() as connection:
            rows = await (await connection.execute(_FILLED_BEFORE, (order_id, seq) * 2)).fetchall()
        return sum(row[0] for row in rows), sum(row[1] for row in rows)

    async def prevented_match(self, account_id: int, market: Market, prevented_id: int) -> list[OwnPreventedMatch]:
        """One prevented match of the account; nothing where there is no such."""
        async with self._reads.settled_connection() as connection:
            cursor = await connection.execute(
                f"{_PREVENTED} AND p.prevented_id = %s", (market.id, account_id, account_id, prevented_id)
            )
            return [OwnPreventedMatch(*row) for row in await cursor.fetchall()]

    async def prevented_matches_of(
        self, account_id: int, market: Market, order_id: int, *, from_id: int, limit: int
    ) -> list[OwnPreventedMatch]:
        """Those of one order, oldest first. None of them is the order's with itself."""
        query = " UNION ALL ".join(
            f"({_PREVENTED} AND p.{side}_order_id = %s AND p.prevented_id >= %s ORDER BY p.prevented_id LIMIT %s)"
            for side in ("taker", "maker")
        )
        own = (market.id, account_id, account_id, order_id, from_id, limit)
        async with self._reads.settled_connection() as connection:
            rows = await (await connection.execute(query, own * 2)).fetchall()
        return sorted((OwnPreventedMatch(*row) for row in rows), key=lambda each: each.prevented_id)[:limit]

    async def amendments(self, order_id: int, from_seq: int | None, limit: int) -> list[Amended]:
        """Of one order, oldest first."""
        async with self._reads.settled_connection() as connection:
            rows = await (await connection.execute(_AMENDMENTS, (order_id, from_seq or 0, limit))).fetchall()
        return [Amended(*row) for row in rows]


def _own_trade(market: Market, row: Sequence[Any]) -> OwnTrade:
    trade_id, maker_order, taker_order, price, lots, quote_units, taker_is_buyer = row[:7]
    taker_fee, maker_fee, time_ms, list_id, is_maker = row[7:]
    return OwnTrade(
        trade_id=trade_id,
        order_id=maker_order if is_maker else taker_order,
        price_ticks=price,
        quantity_lots=lots,
        quote_units=quote_units,
        is_buyer=taker_is_buyer != is_maker,
        is_maker=is_maker,
        fee_units=maker_fee if is_maker else taker_fee,
        fee_asset=fee_asset_of(market, row, is_taker=not is_maker),
        time_ms=time_ms,
        list_id=list_id,
    )
