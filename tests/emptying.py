"""Empties the test database after a test that commits, in a tenth of the time of Django's own way.

Django's TRUNCATE of every table makes new files for some eighty of them and then writes content types and permissions
anew, a quarter of a CPU second for each such test. Here only tables that have rows lose them, and content types and
permissions, which no test changes, stay, and so do roles of staff and the switches that always exist.
"""

from typing import Any, Final

import psycopg
from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations

KEPT: Final = {
    "django_content_type", "auth_permission", "auth_group", "auth_group_permissions", "controls_switch",
}  # fmt: skip
# The switches of the platform always exist (apps/controls/services.py: install): they are put back to off.
SWITCHES: Final = (
    "DELETE FROM controls_switch WHERE scope <> 'platform'",
    "UPDATE controls_switch SET is_on = FALSE, until = NULL, is_emergency = FALSE WHERE is_on",
)
# Deleted rows are still passed over by each search for others; beyond this the files are made anew after all.
GROWN_BYTES: Final = 8 * 2**20
GROWN: Final = (
    "SELECT sum(pg_relation_size(oid)) > %s FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
)


def leave_deleted_rows(dsn: str) -> None:
    """Autovacuum off for this server: the place of a deleted row, filled anew at a moment of autovacuum's choice, would
    now and then change the order of rows that a test reads without ORDER BY."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")


def empty_only_what_has_rows() -> None:
    """For the rest of this process.

    Triggers of append-only tables refuse to let rows go, and foreign keys ask for an order of tables; only these
    statements run without both. Inside a test all of them hold.
    """

    def sql_flush(
        self: DatabaseOperations, style: Any, tables: list[str], *, reset_sequences: bool = False,
        allow_cascade: bool = False,
    ) -> list[str]:  # fmt: skip
        assert not reset_sequences, "a test that needs fresh sequences needs Django's own flush"
        names = [self.quote_name(table) for table in sorted(set(tables) - KEPT)]
        asked = " UNION ALL ".join(
            f"SELECT {number} WHERE EXISTS (SELECT FROM {name})" for number, name in enumerate(names)
        )
        with self.connection.cursor() as cursor:
            cursor.execute(asked)
            filled = [names[number] for (number,) in cursor.fetchall()]
            cursor.execute(GROWN, [GROWN_BYTES, "public"])
            (grown,) = cursor.fetchone()
        removal = [f"TRUNCATE {', '.join(names)}"] if grown else [f"DELETE FROM {name}" for name in filled]
        return ["SET session_replication_role = replica", *removal, *SWITCHES, "SET session_replication_role = DEFAULT"]

    DatabaseOperations.sql_flush = sql_flush
    flush.emit_post_migrate_signal = lambda *arguments, **options: None
