"""Order lists of a batch: one row each, in its last state."""

from typing import Any, Final

import numpy as np
import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import column
from apps.ledger.pgbinary import BIGINT, INTEGER, SMALLINT
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.columns import Batch
from apps.streams.kinds import EventKind, ListStatus

_COLUMNS: Final = (
    "id", "market_id", "account_id", "kind", "order_id_1", "order_id_2", "order_id_3", "status", "created_ms",
    "updated_ms", "seq", "client_order_id",
)  # fmt: skip
_UPDATE: Final = """
UPDATE orders_orderlist AS l SET status = v.status, updated_ms = v.ms, seq = v.seq
  FROM unnest(%(id)s, %(status)s, %(ms)s, %(seq)s) AS v(id, status, ms, seq)
 WHERE l.id = v.id AND l.seq < v.seq AND l.status < v.status
"""


def write(cursor: psycopg.Cursor[Any], batch: Batch) -> None:
    """Insert the lists that began, update the others; SettlementStopped where one is missing or goes back."""
    events = batch.of(EventKind.LIST_CHANGED)
    if not len(events):
        return
    ids, last = np.unique(column(events["list_id"])[::-1], return_index=True)
    newest = events[::-1][last]  # ascending by id
    begun = events[events["status"] == ListStatus.EXEC_STARTED]
    begun = begun[np.argsort(begun["list_id"], kind="stable")]
    is_new = np.isin(ids, column(begun["list_id"]))
    if len(begun):
        state = newest[is_new]
        data = pgbinary.rows_with_text(
            [
                (BIGINT, begun["list_id"]),
                (INTEGER, begun["market_id"]),
                (BIGINT, begun["account_id"]),
                (SMALLINT, begun["list_kind"]),
                (BIGINT, begun["order_id_1"]),
                (BIGINT, begun["order_id_2"]),
                (BIGINT, begun["order_id_3"]),
                (SMALLINT, state["status"]),
                (BIGINT, begun["cmd_ms"]),
                (BIGINT, state["cmd_ms"]),
                (BIGINT, state["seq"]),
            ],
            begun["list_client_id"],
        )
        pgbinary.copy(cursor, "orders_orderlist", _COLUMNS, data)
    known = newest[~is_new]
    if not len(known):
        return
    values = {
        "id": column(known["list_id"]), "status": column(known["status"]), "ms": column(known["cmd_ms"]),
        "seq": column(known["seq"]),
    }  # fmt: skip
    cursor.execute(_UPDATE, values)
    if cursor.rowcount != len(known):
        raise SettlementStopped(
            f"{len(known)} order lists of events {batch.from_seq + 1}-{batch.to_seq} were to be updated, "
            f"{cursor.rowcount} have a row that goes on with them"
        )
