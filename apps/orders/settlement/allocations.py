"""Block orders of a batch: the shares of sub-accounts, netted, and the permanent record of what each got of a trade."""

from typing import Any, Final

import numpy as np
import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import Terms, column
from apps.ledger.pgbinary import BIGINT, BOOLEAN, INTEGER
from apps.ledger.policy import record_id
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.columns import Batch, Events
from apps.streams.kinds import AllocatedFlag, AllocationStep, EventKind, Side

_SAME_NAME: Final = (
    "trade_id", "order_id", "account_id", "owner_account_id", "price_ticks", "quantity_lots", "fee_units", "seq",
)  # fmt: skip
# What was allocated before and in this batch must be what the last event says.
_UPDATE: Final = """
UPDATE orders_ordershare AS s SET allocated_lots = v.allocated, seq = v.seq
  FROM unnest(%(order)s, %(account)s, %(lots)s, %(allocated)s, %(seq)s) AS v(order_id, account_id, lots, allocated, seq)
 WHERE s.order_id = v.order_id AND s.account_id = v.account_id AND s.seq < v.seq
   AND s.allocated_lots + v.lots = v.allocated
"""


def fills(batch: Batch) -> Events:
    """ALLOCATED events with money."""
    allocated = batch.of(EventKind.ALLOCATED)
    chosen: Events = allocated[allocated["step"] == AllocationStep.FILLED]
    return chosen


def write(cursor: psycopg.Cursor[Any], shard: str, batch: Batch, terms: Terms) -> None:
    """`terms` belong to fills(batch). SettlementStopped where a share is missing or does not add up."""
    allocated = batch.of(EventKind.ALLOCATED)
    if not len(allocated):
        return
    _insert_shares(cursor, shard, allocated[allocated["step"] == AllocationStep.HELD])
    _update_shares(cursor, batch, allocated[allocated["step"] != AllocationStep.HELD])
    _insert_fills(cursor, shard, fills(batch), terms)


def _insert_shares(cursor: psycopg.Cursor[Any], shard: str, held: Events) -> None:
    if not len(held):
        return
    columns: list[tuple[str, str, Any]] = [
        ("id", BIGINT, record_id(shard, 0) + column(held["seq"])),
        ("market_id", INTEGER, held["market_id"]),
        *((name, BIGINT, held[name]) for name in ("order_id", "account_id", "final_lots", "allocated_lots", "seq")),
    ]
    data = pgbinary.rows([(code, values) for _, code, values in columns], len(held))
    pgbinary.copy(cursor, "orders_ordershare", [name for name, _, _ in columns], data)


def _update_shares(cursor: psycopg.Cursor[Any], batch: Batch, later: Events) -> None:
    """Each share once, in its last state. A release changes nothing of it."""
    if not len(later):
        return
    keys = np.stack([column(later["order_id"]), column(later["account_id"])], axis=1)
    pairs, places = np.unique(keys, axis=0, return_inverse=True)
    places = places.reshape(-1)
    lots, allocated, seq = (np.zeros(len(pairs), dtype=np.int64) for _ in range(3))
    np.add.at(lots, places, np.where(later["step"] == AllocationStep.RELEASED, 0, later["quantity_lots"]))
    allocated[places] = later["allocated_lots"]  # ascending by seq: the last one stays
    seq[places] = column(later["seq"])
    values = {
        "order": np.ascontiguousarray(pairs[:, 0]), "account": np.ascontiguousarray(pairs[:, 1]), "lots": lots,
        "allocated": allocated, "seq": seq,
    }  # fmt: skip
    cursor.execute(_UPDATE, values)
    if cursor.rowcount != len(pairs):
        raise SettlementStopped(
            f"{len(pairs)} shares of block orders in events {batch.from_seq + 1}-{batch.to_seq} were to be updated, "
            f"{cursor.rowcount} have a row that their events add up with"
        )


def _insert_fills(cursor: psycopg.Cursor[Any], shard: str, filled: Events, terms: Terms) -> None:
    if not len(filled):
        return
    columns: list[tuple[str, str, Any]] = [(name, BIGINT, filled[name]) for name in _SAME_NAME]
    columns += [
        ("id", BIGINT, record_id(shard, 0) + column(filled["seq"])),
        ("market_id", INTEGER, filled["market_id"]),
        ("quote_units", BIGINT, filled["price_ticks"] * filled["quantity_lots"] * terms.unit_factor),
        ("is_buyer", BOOLEAN, filled["side"] == Side.BUY),
        ("is_taker", BOOLEAN, (filled["flags"] & AllocatedFlag.TAKER) != 0),
        ("time_ms", BIGINT, filled["cmd_ms"]),
    ]
    data = pgbinary.rows([(code, values) for _, code, values in columns], len(filled))
    pgbinary.copy(cursor, "orders_allocatedfill", [name for name, _, _ in columns], data)
