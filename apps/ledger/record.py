"""Writing the record: the only code that writes entries and balances in PostgreSQL.

Everything happens inside settlement's transaction, on its cursor; nobody else has the right to write these rows, and
the watermark row, locked first, keeps a second settlement out, so no order of locks can deadlock. A broken invariant
(a transaction that does not balance, a negative balance, a balance that its entries do not explain) is refused by the
database itself and takes the whole transaction with it.
"""

from typing import Any, Final

import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import Balances, Entries, summed
from apps.ledger.models import OwnerKind
from apps.ledger.pgbinary import BIGINT, INTEGER, SMALLINT
from apps.ledger.policy import ENTRY_BITS, record_id

_ENTRY_COLUMNS: Final = ("id", "shard", "seq", "n", "asset_id", "kind", "owner_id", "amount_units")

_UPDATE_BALANCES: Final = """
UPDATE ledger_balance AS b
   SET available_units = v.available, held_units = v.held, posted_units = b.posted_units + v.posted, seq = v.seq
  FROM unnest(%(account)s, %(asset)s, %(available)s, %(held)s, %(posted)s, %(seq)s)
       AS v(account, asset, available, held, posted, seq)
 WHERE b.account_id = v.account AND b.asset_id = v.asset AND b.shard = %(shard)s::text
"""
_INSERT_BALANCES: Final = """
INSERT INTO ledger_balance (shard, account_id, asset_id, available_units, held_units, posted_units, seq)
SELECT %(shard)s::text, v.account, v.asset, v.available, v.held, v.posted, v.seq
  FROM unnest(%(account)s, %(asset)s, %(available)s, %(held)s, %(posted)s, %(seq)s)
       AS v(account, asset, available, held, posted, seq)
 WHERE NOT EXISTS (
       SELECT 1 FROM ledger_balance b
        WHERE b.account_id = v.account AND b.asset_id = v.asset AND b.shard = %(shard)s::text)
 ORDER BY v.account, v.asset
"""
_UPDATE_TOTALS: Final = """
UPDATE ledger_housetotal AS t SET posted_units = t.posted_units + v.amount, seq = v.seq
  FROM unnest(%(kind)s, %(asset)s, %(amount)s, %(seq)s) AS v(kind, asset, amount, seq)
 WHERE t.shard = %(shard)s::text AND t.kind = v.kind AND t.asset_id = v.asset
"""
_INSERT_TOTALS: Final = """
INSERT INTO ledger_housetotal (shard, kind, asset_id, posted_units, seq)
SELECT %(shard)s::text, v.kind, v.asset, v.amount, v.seq
  FROM unnest(%(kind)s, %(asset)s, %(amount)s, %(seq)s) AS v(kind, asset, amount, seq)
 WHERE NOT EXISTS (
       SELECT 1 FROM ledger_housetotal t WHERE t.shard = %(shard)s::text AND t.kind = v.kind AND t.asset_id = v.asset)
"""


def write_entries(cursor: psycopg.Cursor[Any], shard: str, entries: Entries) -> None:
    """COPY the entries, all in one statement: the zero-sum trigger looks at each statement's rows together."""
    if not len(entries):
        return
    ids = ((record_id(shard, 0) + entries.seq) << ENTRY_BITS) | entries.n
    data = pgbinary.rows(
        [
            (BIGINT, ids),
            ("text", shard.encode("ascii")),
            (BIGINT, entries.seq),
            (SMALLINT, entries.n),
            (INTEGER, entries.asset_id),
            (SMALLINT, entries.kind),
            (BIGINT, entries.owner_id),
            (BIGINT, entries.amount_units),
        ],
        len(entries),
    )
    pgbinary.copy(cursor, "ledger_entry", _ENTRY_COLUMNS, data)


def write_balances(cursor: psycopg.Cursor[Any], shard: str, balances: Balances) -> None:
    """Set each balance to its last state and add what was posted; new ones are inserted."""
    if not len(balances):
        return
    values = {
        "shard": shard,
        "account": balances.account_id,
        "asset": balances.asset_id,
        "available": balances.available_units,
        "held": balances.held_units,
        "posted": balances.posted_units,
        "seq": balances.seq,
    }
    _update_or_insert(cursor, _UPDATE_BALANCES, _INSERT_BALANCES, values, len(balances))


def write_house_totals(cursor: psycopg.Cursor[Any], shard: str, entries: Entries) -> None:
    """Add the batch's entries on FEES, SAFU and EXTERNAL to their running sums."""
    house = entries.kind != OwnerKind.USER
    kind, asset, amount, seq = summed(
        entries.kind[house], entries.asset_id[house], entries.amount_units[house], entries.seq[house]
    )
    if len(kind):
        values = {"shard": shard, "kind": kind, "asset": asset, "amount": amount, "seq": seq}
        _update_or_insert(cursor, _UPDATE_TOTALS, _INSERT_TOTALS, values, len(kind))


def _update_or_insert(
    cursor: psycopg.Cursor[Any], update: str, insert: str, values: dict[str, Any], expected: int
) -> None:
    # Not ON CONFLICT: it tests the CHECK constraints against the added amount alone, before it looks for the old row.
    cursor.execute(update, values)
    touched = cursor.rowcount
    if touched < expected:
        cursor.execute(insert, values)
        touched += cursor.rowcount
    assert touched == expected, f"{expected} rows were to be written, {touched} were"
