"""Advisory locks until the end of a transaction, by words."""

from django.db import connection

from apps.accounts.credentials import LOCK_CREDENTIALS_SQL


def lock_until_commit(what: str, which: str) -> None:
    """Nobody else has the same pair meanwhile. Whoever takes several takes network, address, user, in this order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [what, which])


def lock_credentials() -> None:
    """Nobody else changes a key or a trading ticket meanwhile, whatever they are; but new tickets are made.

    Locks of users, sessions and trading accounts come before, and none of them after.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_CREDENTIALS_SQL)
