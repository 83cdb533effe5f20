"""Rows of a batch's amendments, by COPY."""

from typing import Any, Final

import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import column
from apps.ledger.pgbinary import BIGINT, INTEGER
from apps.ledger.policy import record_id
from apps.orders.settlement.columns import Events

_COLUMNS: Final = (
    ("market_id", INTEGER, "market_id"), ("order_id", BIGINT, "order_id"), ("account_id", BIGINT, "account_id"),
    ("old_quantity_lots", BIGINT, "old_quantity_lots"), ("quantity_lots", BIGINT, "quantity_lots"),
    ("time_ms", BIGINT, "cmd_ms"), ("seq", BIGINT, "seq"),
)  # fmt: skip


def write(cursor: psycopg.Cursor[Any], shard: str, amended: Events) -> None:
    """One permanent row for each ORDER_AMENDED event; a repeated id breaks a constraint and the transaction."""
    if not len(amended):
        return
    named = [("id", BIGINT, record_id(shard, 0) + column(amended["seq"]))]
    named += [(name, code, amended[field]) for name, code, field in _COLUMNS]
    data = pgbinary.rows([(code, values) for _, code, values in named], len(amended))
    pgbinary.copy(cursor, "orders_amendment", [name for name, _, _ in named], data)
