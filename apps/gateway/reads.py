"""Private reads from PostgreSQL by plain SQL, each after settlement has passed what was durable on arrival.

Lists are oldest first. Times become id bounds by bisection over dense, time-ordered ids, so every list is one index
range scan however old its start.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from msgspec.structs import replace
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.gateway import errors
from apps.gateway.idbounds import first_order_at
from apps.gateway.labelled import NO_LABEL, Label, Labelled
from apps.gateway.listreplies import ListView
from apps.gateway.markets import Market, Markets
from apps.gateway.replies import Fill, OrderView, fee_asset
from apps.gateway.settled import Settled
from apps.streams.kinds import ListKind, ListStatus, OrderStatus, Side
from apps.streams.shards import last_order_id, order_ids_after

OPEN: Final = [int(OrderStatus.NEW), int(OrderStatus.PARTIALLY_FILLED), int(OrderStatus.PENDING_NEW)]

# Neither entered to wait for its trigger, nor to work. Not by EXISTS: for a long page PostgreSQL would read all lists
# into a hash table.
_IS_PENDING: Final = (
    "o.order_list_id NOT IN (0, o.id) AND NOT o.is_waiting AND o.working_ms = 0 AND COALESCE"  # noqa: S608  # constants of ours
    f"((SELECT l.kind <> {int(ListKind.OCO)} FROM orders_orderlist l WHERE l.id = o.order_list_id), FALSE)"
)
_MET: Final = "SELECT max(p.prevented_id) FROM orders_preventedmatch p WHERE p.{}_order_id = o.id"
_ENDED_BY_STP: Final = int(OrderStatus.EXPIRED_IN_MATCH)
_PREVENTED_ID: Final = (
    f"CASE WHEN o.prevented_lots > 0 OR o.status = {_ENDED_BY_STP}"
    f" THEN greatest(({_MET.format('taker')}), ({_MET.format('maker')})) ELSE 0 END"
)
_ORDER: Final = (
    "o.id, o.client_order_id, o.side, o.kind, o.time_in_force, o.stp_mode, o.price_ticks, o.quantity_lots, "
    "o.budget_units, o.filled_lots, o.filled_quote_units, o.status, o.created_ms, o.updated_ms, o.display_lots, "
    "o.expires_ms, o.prevented_lots, o.reason, o.stop_price_ticks, o.trailing_bips, o.is_waiting, o.working_ms, "
    f"o.order_list_id, {_IS_PENDING}, {_PREVENTED_ID}, o.strategy_id, o.strategy_type, o.market_id"
)
_BY_ID: Final = f"SELECT {_ORDER} FROM orders_order o WHERE o.id = %s AND o.account_id = %s"  # noqa: S608  # constants of ours
_OF_SHARD: Final = "o.id BETWEEN %s AND %s"
_BY_CLIENT_ID: Final = (
    f"SELECT {_ORDER} FROM orders_order o WHERE o.account_id = %s AND o.client_order_id = %s AND {_OF_SHARD}"  # noqa: S608  # constants of ours
    " ORDER BY o.id DESC LIMIT 1"
)
_ANY_OPEN: Final = f"o.status IN ({', '.join(map(str, OPEN))}) AND {_OF_SHARD}"
_OPEN: Final = f"o.account_id = %s AND {_ANY_OPEN}"
_LABELS: Final = (
    "SELECT o.id, o.strategy_id, o.strategy_type, o.display_lots FROM orders_order o"
    " WHERE o.account_id = %s AND o.id = ANY(%s)"
)
_LABELLED: Final = (
    f"SELECT DISTINCT o.account_id FROM orders_order o WHERE {_ANY_OPEN}"  # noqa: S608  # constants of ours
    " AND (o.strategy_id IS NOT NULL OR o.strategy_type IS NOT NULL OR o.display_lots <> 0)"
)
_OPEN_OF_ACCOUNT: Final = f"SELECT {_ORDER} FROM orders_order o WHERE {_OPEN}"  # noqa: S608  # constants of ours
_LIST: Final = (
    "SELECT l.id, l.client_order_id, l.kind, l.status, l.updated_ms, l.market_id,"
    " l.order_id_1, (SELECT o.client_order_id FROM orders_order o WHERE o.id = l.order_id_1),"
    " l.order_id_2, (SELECT o.client_order_id FROM orders_order o WHERE o.id = l.order_id_2),"
    " l.order_id_3, (SELECT o.client_order_id FROM orders_order o WHERE o.id = l.order_id_3)"
    " FROM orders_orderlist l WHERE l.account_id = %s"
)
# As the condition of the index says it.
_LIST_OPEN: Final = f"NOT l.status = {int(ListStatus.ALL_DONE)}"
# Columns of a print; fee_asset_of reads the seventh to the ninth.
TRADE: Final = (
    "t.trade_id, t.maker_order_id, t.taker_order_id, t.price_ticks, t.quantity_lots, t.quote_units, t.taker_is_buyer,"
    " t.taker_fee_units, t.maker_fee_units, t.time_ms"
)
_ANY_SHARES: Final = (
    "SELECT s.order_id, s.account_id, s.final_lots, s.allocated_lots FROM orders_ordershare s"
    " JOIN orders_order o ON o.id = s.order_id"
)
_SHARES: Final = (
    f"{_ANY_SHARES} WHERE s.order_id = %s AND s.market_id = %s AND (o.account_id = %s OR s.account_id = %s)"
    " ORDER BY s.id"
)
_OPEN_SHARES: Final = f"{_ANY_SHARES} WHERE {_OPEN} AND o.market_id = %s ORDER BY s.id"
_SHARED_FILLS: Final = (
    "SELECT f.order_id, f.account_id, f.trade_id, f.price_ticks, f.quantity_lots, f.fee_units, f.is_buyer, f.is_taker"
    " FROM orders_allocatedfill f WHERE f.account_id = ANY(%s) AND f.market_id = %s AND f.order_id = ANY(%s)"
    " ORDER BY f.trade_id"
)
_BALANCES: Final = (
    "SELECT asset_id, available_units, held_units FROM ledger_balance WHERE shard = %s AND account_id = %s"
)


@dataclass(frozen=True, slots=True)
class Share:
    """A sub-account's part of a block order and what it got of each trade, oldest first."""

    order_id: int
    account_id: int
    final_lots: int
    allocated_lots: int
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """An account's open orders as of event `seq`."""

    seq: int
    orders: tuple[tuple[OrderView, int], ...]


class Reads:
    def __init__(
        self, pool: AsyncConnectionPool[Any], settled: Settled, markets: Markets, shard: str, labelled: Labelled
    ) -> None:
        self._pool = pool
        self._settled = settled
        self._markets = markets
        self._shard = shard
        self._labelled = labelled
        self._order_ids = order_ids_after(shard), last_order_id(shard)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A pooled connection; 503 when PostgreSQL is away or too slow, never a half answer."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise errors.not_executed() from error

    @asynccontextmanager
    async def settled_connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection that sees everything that was durable before it was asked for."""
        await self._settled.wait()
        async with self.connection() as connection:
            yield connection

    async def _settled_rows(self, query: str, parameters: Sequence[Any]) -> list[Any]:
        await self._settled.wait()
        return await self._rows(query, parameters)

    async def _rows(self, query: str, parameters: Sequence[Any]) -> list[Any]:
        async with self.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def reload_markets(self) -> None:
        """Load the markets' settings again, once everything durable now is settled."""
        await self._settled.wait()
        async with self.connection() as connection:
            await self._markets.reload(connection)

    # -- orders -------------------------------------------------------------------------------------------------------
    async def order(self, account_id: int, market: Market, order_id: int | None, client_id: str | None) -> OrderView:
        """-2013 unless the account has such an order in this market; both ids must name the same one."""
        if order_id is not None:
            rows = await self._settled_rows(_BY_ID, (order_id, account_id))
        else:
            rows = await self._settled_rows(_BY_CLIENT_ID, (account_id, client_id, *self._order_ids))
        if not rows or rows[0][-1] != market.id or (client_id is not None and rows[0][1] != client_id):
            raise errors.order_unknown()
        return _view(rows[0])

    async def order_with_fills(self, account_id: int, order_id: int) -> tuple[OrderView, Market] | None:
        """The order and its market, with its fills as a taker (those that its first answer showed)."""
        rows = await self._settled_rows(_BY_ID, (order_id, account_id))
        if not rows:
            return None
        view, market = _view(rows[0]), self._markets.by_id[rows[0][-1]]
        trades = await self._rows(
            f"SELECT {TRADE} FROM orders_trade t WHERE t.taker_order_id = %s AND t.time_ms = %s"  # noqa: S608  # constants of ours
            " ORDER BY t.trade_id",
            (order_id, view.created_ms),
        )
        fills = tuple(Fill(row[0], row[3], row[4], row[7], fee_asset_of(market, row, is_taker=True)) for row in trades)
        return _view(rows[0], fills), market

    async def closed_orders(self, account_id: int, order_ids: Sequence[int]) -> dict[int, OrderView]:
        """Orders that have ended, as far as they can be read: what asks has happened, and is answered without them."""
        try:
            rows = await self._settled_rows(
                f"SELECT {_ORDER} FROM orders_order o WHERE o.account_id = %s AND o.id = ANY(%s)",  # noqa: S608  # constants of ours
                (account_id, list(order_ids)),
            )
        except errors.ApiError:
            return {}
        return {row[0]: _view(row) for row in rows}

    async def labels(self, account_id: int, order_ids: Sequence[int]) -> dict[int, Label]:
        """{order id: label} of those of the account's orders that have any, as far as it can be read. They stand in a
        row from its first settlement on, so that only the newest orders are waited for.
        """
        if not order_ids or not self._labelled.may_be(account_id):
            return {}
        parameters = (account_id, list(order_ids))
        try:
            rows = await self._rows(_LABELS, parameters)
            if len(rows) < len(order_ids):
                rows = await self._settled_rows(_LABELS, parameters)
        except errors.ApiError:
            return {}
        labels = {order_id: Label(*label) for order_id, *label in rows}
        return {order_id: label for order_id, label in labels.items() if label != NO_LABEL}

    async def labelled_accounts(self) -> tuple[int, list[int]]:
        """(an event that is no older than what was read, accounts with an order with a label open). 503 when it
        cannot be read.
        """
        rows = await self._settled_rows(_LABELLED, self._order_ids)
        return await self._settled.wait(), [account_id for (account_id,) in rows]

    async def open_orders(self, account_id: int, market: Market | None) -> list[tuple[OrderView, Market]]:
        query, parameters = _OPEN_OF_ACCOUNT, [account_id, *self._order_ids]
        if market is not None:
            query, parameters = query + " AND o.market_id = %s", [*parameters, market.id]
        rows = await self._settled_rows(query + " ORDER BY o.id", parameters)
        return [(_view(row), self._markets.by_id[row[-1]]) for row in rows]

    async def open_orders_at(self, account_id: int, timeout_s: float) -> OpenOrders:
        """Open orders and the exact event they are as of; one statement, so one snapshot."""
        await self._settled.wait(timeout_s)
        rows = await self._rows(
            f"SELECT {_ORDER}, w.seq FROM matching_watermark w LEFT JOIN orders_order o ON {_OPEN}"  # noqa: S608  # constants of ours
            " WHERE w.shard = %s AND w.reader = 'settlement'",
            (account_id, *self._order_ids, self._shard),
        )
        if not rows:
            return OpenOrders(0, ())
        return OpenOrders(rows[0][-1], tuple((_view(row[:-1]), row[-2]) for row in rows if row[0] is not None))

    async def orders_by_id(self, account_id: int, order_ids: Sequence[int]) -> list[tuple[OrderView, int]]:
        """Orders as they are now, with their markets' ids."""
        if not order_ids:
            return []
        rows = await self._rows(
            f"SELECT {_ORDER} FROM orders_order o WHERE o.account_id = %s AND o.id = ANY(%s)",  # noqa: S608  # constants of ours
            (account_id, list(order_ids)),
        )
        return [(_view(row), row[-1]) for row in rows]

    async def list_members(self, account_id: int, list_ids: Sequence[int]) -> dict[int, dict[int, str]]:
        """Client ids of the orders of each list, by order id."""
        rows = await self._rows(
            "SELECT l.id, o.id, o.client_order_id FROM orders_orderlist l"
            " JOIN orders_order o ON o.id IN (l.id, l.order_id_2, l.order_id_3)"
            " WHERE l.account_id = %s AND l.id = ANY(%s) ORDER BY o.id",
            (account_id, list(list_ids)),
        )
        members: dict[int, dict[int, str]] = {}
        for list_id, order_id, client_id in rows:
            members.setdefault(list_id, {})[order_id] = client_id
        return members

    async def all_orders(
        self, account_id: int, market: Market, *, from_id: int | None, start_ms: int | None, end_ms: int | None,
        limit: int,
    ) -> list[OrderView]:  # fmt: skip
        """From an id or time upward; the most recent when neither is given."""
        await self._settled.wait()
        async with self.connection() as connection:
            low, high = from_id, None
            if start_ms is not None:
                low = max(low or 0, await first_order_at(connection, self._shard, start_ms))
            if end_ms is not None:
                high = await first_order_at(connection, self._shard, end_ms + 1)
            where = "o.account_id = %s AND o.market_id = %s"
            rows = await _range(connection, f"SELECT {_ORDER} FROM orders_order o WHERE {where}", "o.id",  # noqa: S608  # constants of ours
                                [account_id, market.id], low, high, limit)  # fmt: skip
        return [_view(row) for row in rows]

    # -- order lists --------------------------------------------------------------------------------------------------
    async def order_list(
        self, account_id: int, list_id: int | None, client_id: str | None
    ) -> tuple[ListView, Market]:  # fmt: skip
        """-2018 unless the account has such a list; by client id the newest, both ids must name the same one."""
        where, parameters = "", [account_id]
        if list_id is not None:
            where, parameters = where + " AND l.id = %s", [*parameters, list_id]
        if client_id is not None:
            where += " AND l.client_order_id = %s"
            parameters.append(client_id)  # type: ignore[arg-type]
        rows = await self._settled_rows(f"{_LIST}{where} ORDER BY l.id DESC LIMIT 1", parameters)
        if not rows:
            raise errors.list_unknown()
        return self._list_view(rows[0])

    async def orders_of_list(self, account_id: int, view: ListView) -> list[OrderView]:
        """Its orders in the list's order."""
        rows = await self._settled_rows(
            f"SELECT {_ORDER} FROM orders_order o WHERE o.account_id = %s AND o.id = ANY(%s) ORDER BY o.id",  # noqa: S608  # constants of ours
            (account_id, [order_id for order_id, _ in view.orders]),
        )
        return [_view(row) for row in rows]

    async def open_lists(self, account_id: int) -> list[tuple[ListView, Market]]:
        rows = await self._settled_rows(f"{_LIST} AND {_LIST_OPEN} ORDER BY l.id", (account_id,))
        return [self._list_view(row) for row in rows]

    async def all_lists(
        self, account_id: int, *, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[tuple[ListView, Market]]:
        """From an id or time upward, oldest first; the most recent when neither is given."""
        await self._settled.wait()
        async with self.connection() as connection:
            low, high = from_id, None
            if start_ms is not None:
                low = max(low or 0, await first_order_at(connection, self._shard, start_ms))
            if end_ms is not None:
                high = await first_order_at(connection, self._shard, end_ms + 1)
            rows = await _range(connection, _LIST, "l.id", [account_id], low, high, limit)
        return [self._list_view(row) for row in rows]

    def _list_view(self, row: Sequence[Any]) -> tuple[ListView, Market]:
        list_id, client_id, kind, status, updated_ms, market_id = row[:6]
        orders = tuple((order_id, own_id) for order_id, own_id in zip(row[6::2], row[7::2], strict=True) if order_id)
        view = ListView(list_id, client_id, kind, status == ListStatus.ALL_DONE, updated_ms, orders)
        return view, self._markets.by_id[market_id]

    async def shares(self, account_id: int, market: Market, order_id: int) -> list[Share]:
        """Shares of a block order, in the order of its rule: all for its owner, else the account's own."""
        return await self._shares(market, _SHARES, (order_id, market.id, account_id, account_id))

    async def open_shares(self, account_id: int, market: Market) -> list[Share]:
        """Shares of all block orders that the account has open in the market, oldest order first."""
        return await self._shares(market, _OPEN_SHARES, (account_id, *self._order_ids, market.id))

    async def _shares(self, market: Market, query: str, parameters: Sequence[Any]) -> list[Share]:
        rows = await self._settled_rows(query, parameters)
        if not rows:
            return []
        got: dict[tuple[int, int], list[Fill]] = {(order, account): [] for order, account, *_ in rows}
        orders, accounts = zip(*got, strict=True)
        for row in await self._rows(_SHARED_FILLS, (list(set(accounts)), market.id, list(set(orders)))):
            order, account, trade_id, price, lots, fee_units, is_buyer, is_taker = row
            taker_side = Side.BUY if is_buyer == is_taker else Side.SELL
            asset = fee_asset(market, taker_side=taker_side, is_taker=is_taker, fee_units=fee_units)
            got[order, account].append(Fill(trade_id, price, lots, fee_units, asset))
        return [
            Share(order, account, final, allocated, tuple(got[order, account]))
            for order, account, final, allocated in rows
        ]

    async def fee_tier(self, account_id: int) -> int:
        """The account's tier in this shard's engine, as settled; 0 where none was set."""
        query = "SELECT fee_tier FROM accounts_accountsettings WHERE shard = %s AND account_id = %s"
        rows = await self._rows(query, (self._shard, account_id))
        return int(rows[0][0]) if rows else 0

    async def fees(self, account_id: int, market: Market) -> tuple[int, int]:
        """(maker ppm, taker ppm) of the account's tier in one market."""
        tier = await self.fee_tier(account_id)
        return market.fees[min(tier, len(market.fees) - 1)]

    async def key_created_ms(self, key_id: int) -> int:
        """When an API key was made."""
        [(created_at,)] = await self._rows("SELECT created_at FROM accounts_apikey WHERE id = %s", (key_id,))
        return int(created_at.timestamp() * 1000)

    # -- balances -----------------------------------------------------------------------------------------------------
    async def balances(self, account_id: int) -> dict[int, tuple[int, int]]:
        """{asset id: (available units, held units)}, every asset named, zeros included."""
        rows = await self._settled_rows(_BALANCES, (self._shard, account_id))
        found = dict.fromkeys(self._markets.assets, (0, 0))
        found.update({asset_id: (available, held) for asset_id, available, held in rows})
        return found


def bounded(
    query: str, column: str, parameters: list[Any], low: int | None, high: int | None, limit: int, *, upward: bool
) -> tuple[str, list[Any]]:
    """`query` for rows of low <= column < high: the first `limit` of them upward, else the last ones, newest first."""
    if low is not None:
        query, parameters = f"{query} AND {column} >= %s", [*parameters, low]
    if high is not None:
        query, parameters = f"{query} AND {column} < %s", [*parameters, high]
    return f"{query} ORDER BY {column} {'ASC' if upward else 'DESC'} LIMIT %s", [*parameters, limit]


async def _range(
    connection: psycopg.AsyncConnection[Any], query: str, column: str, parameters: list[Any], low: int | None,
    high: int | None, limit: int,
) -> list[Any]:  # fmt: skip
    """Rows of low <= column < high, oldest first: the first `limit` from `low`, or the last ones where it is None."""
    upward = low is not None
    text, values = bounded(query, column, parameters, low, high, limit, upward=upward)
    rows = await (await connection.execute(text, values)).fetchall()
    return rows if upward else rows[::-1]


def _view(row: Sequence[Any], fills: tuple[Fill, ...] = ()) -> OrderView:
    return replace(OrderView(*row[:-1]), fills=fills)


def fee_asset_of(market: Market, row: Sequence[Any], *, is_taker: bool) -> str:
    taker_side = Side.BUY if row[6] else Side.SELL
    return fee_asset(market, taker_side=taker_side, is_taker=is_taker, fee_units=row[7] if is_taker else row[8])
