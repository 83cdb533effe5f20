"""The log as lines that can be verified without this program (docs/audit.md, "Export")."""

import json
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from apps.audit.entries import COLUMN_LIST, leaf

FETCH_ROWS: Final = 5_000
_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ENTRIES: Final = f"""
SELECT e.index, e.chain, {COLUMN_LIST}
  FROM audit_entry AS e JOIN audit_record AS r ON r.id = e.record_id ORDER BY e.index
"""  # noqa: S608  # names of our own columns
_NEWEST: Final = "SELECT key, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"


def export_lines(connection: psycopg.Connection[Any]) -> Iterator[dict[str, Any]]:
    """{"index", "chain", "entry"} of each entry, then {"key", "checkpoint"} of the newest checkpoint, if any.

    What is exported is what is stored, damaged or not: the verifier judges it. The connection must be in no
    transaction.
    """
    with connection.transaction():
        connection.execute(_SNAPSHOT)
        with connection.cursor(name="audit_export") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(_ENTRIES)
            for index, chain, *columns in cursor:
                yield {"index": index, "chain": bytes(chain).hex(), "entry": json.loads(leaf(columns))}
        newest = connection.execute(_NEWEST).fetchone()
        if newest is not None:
            yield {"key": newest[0], "checkpoint": newest[1]}
