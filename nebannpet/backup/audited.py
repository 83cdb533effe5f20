"""What an operator does to a whole installation, in the audit log of that installation's own database."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from apps.audit.actors import acting
from apps.audit.services import INSERT, row
from nebannpet.backup.installation import Installation


@contextmanager
def noted(here: Installation, action: str, after: Mapping[str, str | int]) -> Iterator[None]:
    """An entry if what happens within succeeds, by whoever runs the command; before that, an error where the database
    does not take one. A database without tables has no log, and gets nothing. Raises psycopg.Error.
    """
    with psycopg.connect(here.dsn) as connection:
        found = connection.execute("SELECT to_regclass('audit_record')").fetchone()
        if found is not None and found[0] is not None:
            values = row(
                actor=acting(), action=action, object=f"shard:{here.shard}", before=None, after=dict(after), reason="",
                request_id="",
            )  # fmt: skip
            connection.execute(INSERT, values)
        yield
