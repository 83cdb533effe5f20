"""Trade rows of a batch, by COPY."""

from typing import Any, Final

import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import Column, column
from apps.ledger.pgbinary import BIGINT, BOOLEAN, INTEGER
from apps.ledger.policy import record_id
from apps.orders.settlement.columns import Events
from apps.streams.kinds import TradeFlag

_SAME_NAME: Final = (
    "trade_id", "agg_id", "maker_order_id", "taker_order_id", "maker_account_id", "price_ticks", "quantity_lots",
    "taker_fee_units", "maker_fee_units", "seq",
)  # fmt: skip


def write(cursor: psycopg.Cursor[Any], shard: str, trades: Events, quote_units: Column) -> None:
    """One permanent row for each TRADE event; a repeated id or trade_id breaks a constraint and the transaction."""
    if not len(trades):
        return
    taker_is_buyer = (trades["flags"] & TradeFlag.TAKER_IS_BUYER) != 0
    named: list[tuple[str, str, Any]] = [(name, BIGINT, trades[name]) for name in _SAME_NAME]
    named += [
        ("id", BIGINT, record_id(shard, 0) + column(trades["seq"])),
        ("market_id", INTEGER, trades["market_id"]),
        ("taker_account_id", BIGINT, trades["account_id"]),
        ("quote_units", BIGINT, quote_units),
        ("taker_is_buyer", BOOLEAN, taker_is_buyer),
        ("time_ms", BIGINT, trades["cmd_ms"]),
    ]
    data = pgbinary.rows([(code, values) for _, code, values in named], len(trades))
    pgbinary.copy(cursor, "orders_trade", [name for name, _, _ in named], data)
