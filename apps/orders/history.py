"""Orders and trades of several accounts of one user, the newest first, for pages and files (requirement A8).

What is asked for are ranges of ids: ids are dense and rise with time, so a date and the end of the page before are
found by bisection, within one statement. Of each account and market the newest few are read from their index and then
merged: a page costs the same however long the history is. Filters by side and state look at the rows of that range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from django.conf import settings
from django.db import connection

from apps.orders.models import OPEN_STATUSES, Order, Trade
from apps.streams.kinds import OrderStatus, Side
from apps.streams.shards import last_order_id, order_ids_after

Row = TypeVar("Row")

# Names of pages and files for the states that an order can be in.
STATES: Final = {
    "open": [int(status) for status in OPEN_STATUSES],
    "filled": [int(OrderStatus.FILLED)],
    "canceled": [int(OrderStatus.CANCELED)],
    "expired": [int(OrderStatus.EXPIRED), int(OrderStatus.EXPIRED_IN_MATCH)],
    "rejected": [int(OrderStatus.REJECTED)],
}

_FIRST_ORDER: Final = """
WITH RECURSIVE bisection(low, high) AS (
  SELECT %(first)s::bigint, COALESCE((SELECT max(id) FROM orders_order WHERE id BETWEEN %(first)s AND %(last)s) + 1,
                                     %(first)s)
   UNION ALL
  SELECT CASE WHEN o.created_ms >= %(time_ms)s THEN b.low ELSE o.id + 1 END,
         CASE WHEN o.created_ms >= %(time_ms)s THEN (b.low + b.high) / 2 ELSE b.high END
    FROM bisection b, LATERAL (SELECT id, created_ms FROM orders_order WHERE id >= (b.low + b.high) / 2
                                ORDER BY id LIMIT 1) o
   WHERE b.low < b.high
)
SELECT low FROM bisection WHERE low >= high
"""
# Rows are compared whole and sorted by all of them, so that no index but that of accounts and markets will do: in that
# of ids, a market in which nobody traded would be looked for in all orders there are.
_ORDERS: Final = """
SELECT found.*
  FROM unnest(%(accounts)s::bigint[]) AS of_account(account), unnest(%(markets)s::integer[]) AS in_market(market),
       LATERAL (SELECT * FROM orders_order
                 WHERE (account_id, market_id, id) >= (account, market, %(low)s)
                   AND (account_id, market_id, id) < (account, market, %(high)s)
                   AND (%(side)s::smallint IS NULL OR side = %(side)s)
                   AND (%(statuses)s::smallint[] IS NULL OR status = ANY(%(statuses)s))
                 ORDER BY account_id DESC, market_id DESC, id DESC LIMIT %(limit)s) AS found
 ORDER BY found.id DESC LIMIT %(limit)s
"""
# By column, the first trade id of each market with a value that is not lower.
_FIRST_TRADES: Final = """
WITH RECURSIVE bisection(market, low, high) AS (
  SELECT market, 1::bigint, COALESCE((SELECT max(trade_id) FROM orders_trade WHERE market_id = market), 0) + 1
    FROM unnest(%(markets)s::integer[]) AS in_market(market)
   UNION ALL
  SELECT b.market, CASE WHEN t.value >= %(value)s THEN b.low ELSE t.trade_id + 1 END,
         CASE WHEN t.value >= %(value)s THEN (b.low + b.high) / 2 ELSE b.high END
    FROM bisection b, LATERAL (SELECT trade_id, {column} AS value FROM orders_trade
                                WHERE market_id = b.market AND trade_id >= (b.low + b.high) / 2
                                ORDER BY trade_id LIMIT 1) t
   WHERE b.low < b.high
)
SELECT market, low FROM bisection WHERE low >= high
"""
_FIRST_TRADES_BY: Final = {column: _FIRST_TRADES.format(column=column) for column in ("id", "time_ms")}
_PARTY: Final = """
(SELECT found.*
   FROM unnest(%(accounts)s::bigint[]) AS of_account(account),
        unnest(%(markets)s::integer[], %(lows)s::bigint[], %(highs)s::bigint[]) AS in_market(market, low, high),
        LATERAL (SELECT *, {is_maker} AS is_maker FROM orders_trade
                  WHERE ({party}_account_id, market_id, trade_id) >= (account, market, low)
                    AND ({party}_account_id, market_id, trade_id) < (account, market, high)
                    AND (taker_is_buyer <> {is_maker}) = ANY(%(buys)s)
                  ORDER BY {party}_account_id DESC, market_id DESC, trade_id DESC LIMIT %(limit)s) AS found
  ORDER BY found.id DESC LIMIT %(limit)s)
"""
_MAKERS, _TAKERS = _PARTY.format(party="maker", is_maker="TRUE"), _PARTY.format(party="taker", is_maker="FALSE")
_TRADES: Final = f"{_MAKERS} UNION ALL {_TAKERS} ORDER BY id DESC, is_maker LIMIT %(limit)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Whose, and which. `accounts` and `markets` (of this shard) are not empty; `side` and `state` None: all of them.

    Times are milliseconds since the epoch, `from_ms` included, `to_ms` not.
    """

    accounts: Sequence[int]
    markets: Sequence[int]
    side: Side | None = None
    state: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """A trade from the side of one of the accounts. `fee_units` below zero is a rebate."""

    trade: Trade
    is_maker: bool

    @property
    def is_buyer(self) -> bool:
        return self.trade.taker_is_buyer != self.is_maker

    @property
    def account_id(self) -> int:
        return self.trade.maker_account_id if self.is_maker else self.trade.taker_account_id

    @property
    def order_id(self) -> int:
        return self.trade.maker_order_id if self.is_maker else self.trade.taker_order_id

    @property
    def fee_units(self) -> int:
        return self.trade.maker_fee_units if self.is_maker else self.trade.taker_fee_units

    @property
    def fee_is_base(self) -> bool:
        """The buyer pays in base, the seller in quote; a rebate comes in what the taker received."""
        return self.trade.taker_is_buyer if self.fee_units < 0 else self.is_buyer


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The newest first. `before` is the cursor of the next page, None on the last."""

    rows: list[Row]
    before: int | None


def orders_page(chosen: Filter, *, limit: int, before: int | None = None) -> Page[Order]:
    """Orders with ids below `before`. At most three statements."""
    return _orders(chosen, _order_range(chosen), limit, before)


def all_orders(chosen: Filter, *, chunk: int) -> Iterator[list[Order]]:
    """The same, all of them, `chunk` at a time: what is in memory at once."""
    ids = _order_range(chosen)
    yield from _all(lambda before: _orders(chosen, ids, chunk, before))


def trades_page(chosen: Filter, *, limit: int, before: int | None = None) -> Page[OwnTrade]:
    """Trades with ids (of the record, not of a market) below `before`. At most four statements."""
    return _trades(chosen, _trade_ranges(chosen), limit, before)


def all_trades(chosen: Filter, *, chunk: int) -> Iterator[list[OwnTrade]]:
    ranges = _trade_ranges(chosen)
    yield from _all(lambda before: _trades(chosen, ranges, chunk, before))


def _all(page_of: Any) -> Iterator[Any]:
    before = None
    while True:
        page = page_of(before)
        yield page.rows
        before = page.before
        if before is None:
            return


def _orders(chosen: Filter, ids: tuple[int, int], limit: int, before: int | None) -> Page[Order]:
    low, high = ids
    found = list(
        Order.objects.raw(
            _ORDERS,
            {
                "accounts": list(chosen.accounts), "markets": list(chosen.markets), "low": low,
                "high": high if before is None else min(before, high),
                "side": chosen.side, "statuses": STATES[chosen.state] if chosen.state else None,
                "limit": limit + 1,
            },
        )
    )  # fmt: skip
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def _order_range(chosen: Filter) -> tuple[int, int]:
    """[first, last) of the order ids of this shard within the times."""
    first, last = order_ids_after(settings.SHARD) + 1, last_order_id(settings.SHARD)
    low = first if chosen.from_ms is None else _first_order(first, last, chosen.from_ms)
    return low, last + 1 if chosen.to_ms is None else _first_order(first, last, chosen.to_ms)


def _first_order(first: int, last: int, time_ms: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_ORDER, {"first": first, "last": last, "time_ms": time_ms})
        return int(cursor.fetchone()[0])


# By market, [first, last) of the trade ids that are asked for.
Ranges = dict[int, tuple[int, int]]
_LAST: Final = 2**62


def trade_ranges(markets: Sequence[int], from_ms: int | None, to_ms: int | None) -> Ranges:
    """Of the trades of each market from one time on, before another one."""
    low = {} if from_ms is None else _first_trades(markets, "time_ms", from_ms)
    high = {} if to_ms is None else _first_trades(markets, "time_ms", to_ms)
    return {market: (low.get(market, 1), high.get(market, _LAST)) for market in markets}


def _trade_ranges(chosen: Filter) -> Ranges:
    return trade_ranges(chosen.markets, chosen.from_ms, chosen.to_ms)


def _first_trades(markets: Sequence[int], column: str, value: int) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_TRADES_BY[column], {"markets": list(markets), "value": value})
        return dict(cursor.fetchall())


def _trades(chosen: Filter, ranges: Ranges, limit: int, before: int | None) -> Page[OwnTrade]:
    ends = {} if before is None else _first_trades(list(ranges), "id", before)
    buys = [True, False] if chosen.side is None else [chosen.side is Side.BUY]
    found = list(
        Trade.objects.raw(
            _TRADES,
            {
                "accounts": list(chosen.accounts), "markets": list(ranges), "buys": buys,
                "lows": [low for low, _ in ranges.values()],
                "highs": [min(high, ends.get(market, _LAST)) for market, (_, high) in ranges.items()],
                # Both sides of the last one of a page may be the user's.
                "limit": limit + 2,
            },
        )
    )  # fmt: skip
    shown = [OwnTrade(trade, vars(trade)["is_maker"]) for trade in found]
    cut = limit + 1 if len(shown) > limit and shown[limit].trade.id == shown[limit - 1].trade.id else limit
    return Page(shown[:cut], shown[cut - 1].trade.id if len(shown) > cut else None)
