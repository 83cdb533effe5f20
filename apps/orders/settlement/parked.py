"""Rows of the orders that a batch parked for review, by COPY."""

from typing import Any, Final

import psycopg

from apps.ledger import pgbinary
from apps.ledger.pgbinary import BIGINT, INTEGER, SMALLINT
from apps.orders.settlement.columns import Events

_COLUMNS: Final = (
    ("id", BIGINT, "order_id"), ("market_id", INTEGER, "market_id"), ("account_id", BIGINT, "account_id"),
    ("side", SMALLINT, "side"), ("price_ticks", BIGINT, "price_ticks"),
    ("reference_price_ticks", BIGINT, "reference_price_ticks"), ("parked_ms", BIGINT, "cmd_ms"),
    ("until_ms", BIGINT, "until_ms"), ("seq", BIGINT, "seq"),
)  # fmt: skip


def write(cursor: psycopg.Cursor[Any], parked: Events) -> None:
    """One row for each ORDER_PARKED event; an order is parked once."""
    if len(parked):
        data = pgbinary.rows([(code, parked[field]) for _, code, field in _COLUMNS], len(parked))
        pgbinary.copy(cursor, "orders_parkedorder", [name for name, _, _ in _COLUMNS], data)
