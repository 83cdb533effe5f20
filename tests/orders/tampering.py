"""Changes behind the platform's back, put back afterwards, so that one history serves many of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection, transaction

# The one table that a statement changes is named first in it.
TABLE: Final = re.compile(r"(?:UPDATE|DELETE FROM|INSERT INTO) (\w+)")
# Triggers of append-only tables and foreign keys do not hold the owner of the database up.
WITHOUT_TRIGGERS: Final = "SET LOCAL session_replication_role = replica"


def tamper(statement: str) -> None:
    """Run it with the triggers off; it must change something."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(WITHOUT_TRIGGERS)
        cursor.execute(statement)
        assert cursor.rowcount >= 1, statement


@contextmanager
def tampered(statement: str) -> Iterator[None]:
    """The same for the length of the block, then the table has the rows from before."""
    found = TABLE.match(statement)
    assert found is not None, statement
    table = found[1]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE rows_before AS TABLE {table}")
        try:
            tamper(statement)
            yield
        finally:
            with transaction.atomic():
                cursor.execute(WITHOUT_TRIGGERS)
                cursor.execute(f"DELETE FROM {table}")
                cursor.execute(f"INSERT INTO {table} SELECT * FROM rows_before")
            cursor.execute("DROP TABLE rows_before")
