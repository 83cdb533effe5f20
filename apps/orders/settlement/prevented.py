"""Rows of a batch's prevented matches, by COPY (T8)."""

from typing import Any, Final

import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import column
from apps.ledger.pgbinary import BIGINT, INTEGER, SMALLINT
from apps.ledger.policy import record_id
from apps.orders.settlement.columns import Events

_COLUMNS: Final = (
    ("market_id", INTEGER, "market_id"), ("prevented_id", BIGINT, "prevented_id"),
    ("taker_order_id", BIGINT, "taker_order_id"), ("maker_order_id", BIGINT, "maker_order_id"),
    ("taker_account_id", BIGINT, "account_id"), ("maker_account_id", BIGINT, "maker_account_id"),
    ("price_ticks", BIGINT, "price_ticks"), ("prevented_lots", BIGINT, "prevented_lots"),
    ("stp_mode", SMALLINT, "stp_mode"), ("time_ms", BIGINT, "cmd_ms"), ("seq", BIGINT, "seq"),
)  # fmt: skip


def write(cursor: psycopg.Cursor[Any], shard: str, prevented: Events) -> None:
    """One permanent row for each PREVENTED_MATCH event; a repeated id breaks a constraint and the transaction."""
    if not len(prevented):
        return
    named = [("id", BIGINT, record_id(shard, 0) + column(prevented["seq"]))]
    named += [(name, code, prevented[field]) for name, code, field in _COLUMNS]
    data = pgbinary.rows([(code, values) for _, code, values in named], len(prevented))
    pgbinary.copy(cursor, "orders_preventedmatch", [name for name, _, _ in named], data)
