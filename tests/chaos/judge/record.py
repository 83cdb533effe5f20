"""What PostgreSQL keeps, by SQL of the checker's own."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

SCALE = 10**8
OPEN, CANCELED = frozenset({1, 2, 8}), 4


@dataclass(frozen=True)
class Record:
    """Rows as named tuples; `orders` of all accounts by (account, client id), each a list that should have one."""

    orders: dict[tuple[int, str], list[Any]]
    trades: list[Any]
    balances: dict[tuple[int, int], tuple[int, int]]
    house: dict[tuple[int, int], int]
    markets: dict[int, Any]
    assets: dict[str, int]
    watermark: tuple[int, str, int]
    unbalanced: list[Any]
    unposted: list[Any]
    outbox_waiting: int

    @cached_property
    def by_id(self) -> dict[int, Any]:
        return {row.id: row for rows in self.orders.values() for row in rows}


def read(dsn: str, shard: str = "spot") -> Record:
    with psycopg.connect(dsn, row_factory=namedtuple_row) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

        def rows(text: str, *values: Any) -> list[Any]:
            return connection.execute(text, values).fetchall()

        orders: dict[tuple[int, str], list[Any]] = {}
        for row in rows("SELECT * FROM orders_order ORDER BY id"):
            orders.setdefault((row.account_id, row.client_order_id), []).append(row)
        watermark = rows(
            "SELECT seq, chain, epoch FROM matching_watermark WHERE shard = %s AND reader = 'settlement'", shard
        )[0]
        return Record(
            orders=orders,
            trades=rows("SELECT * FROM orders_trade ORDER BY seq"),
            balances={
                (row.account_id, row.asset_id): (row.available_units, row.held_units)
                for row in rows("SELECT * FROM ledger_balance WHERE shard = %s", shard)
            },
            house={
                (row.kind, row.asset_id): row.posted_units
                for row in rows("SELECT * FROM ledger_housetotal WHERE shard = %s", shard)
            },
            markets={row.market_id: row for row in rows("SELECT * FROM orders_marketunits WHERE shard = %s", shard)},
            assets={row.code: row.id for row in rows("SELECT id, code FROM markets_asset")},
            watermark=tuple(watermark),
            unbalanced=rows(
                "SELECT seq, asset_id, sum(amount_units) AS sum FROM ledger_entry WHERE shard = %s"
                " GROUP BY seq, asset_id HAVING sum(amount_units) <> 0 LIMIT 5",
                shard,
            ),
            unposted=rows(
                "SELECT b.account_id, b.asset_id, b.posted_units, COALESCE(e.sum, 0) AS entries FROM ledger_balance b"
                " LEFT JOIN (SELECT owner_id, asset_id, sum(amount_units) AS sum FROM ledger_entry WHERE kind = 1"
                " GROUP BY 1, 2) e ON e.owner_id = b.account_id AND e.asset_id = b.asset_id"
                " WHERE b.posted_units <> COALESCE(e.sum, 0)"
            ),
            outbox_waiting=rows("SELECT count(*) AS n FROM outbox_outboxrow WHERE state = 'waiting'")[0].n,
        )
