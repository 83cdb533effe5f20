"""Advisory locks until the end of a transaction, by words."""

from django.db import connection


def lock_until_commit(what: str, which: str) -> None:
    """Nobody else has the same pair meanwhile. Whoever takes several takes network, address, user, in this order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [what, which])
