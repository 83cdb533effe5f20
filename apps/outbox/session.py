"""A process's own PostgreSQL connection, for work that must not share Django's: COPY, LISTEN, advisory locks."""

from typing import Any

import psycopg
from django.conf import settings

from apps.outbox.policy import IDLE_IN_TRANSACTION_TIMEOUT, LOCK_TIMEOUT, STATEMENT_TIMEOUT


def connect(*, role: str | None = None, autocommit: bool = True, planner: str = "") -> psycopg.Connection[Any]:
    """A connection with durable commits and bounded waits, working as `role` (default: the process's own role).

    psycopg.OperationalError when PostgreSQL is away; the caller backs off.
    """
    options = (
        f"-c synchronous_commit=on -c lock_timeout={LOCK_TIMEOUT} -c statement_timeout={STATEMENT_TIMEOUT} "
        f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT} {planner}"
    )
    connection = psycopg.connect(settings.DATABASE_DSN, autocommit=autocommit, options=options, connect_timeout=5)
    role = settings.DATABASE_ROLE if role is None else role
    if role:
        connection.execute(psycopg.sql.SQL("SET ROLE {}").format(psycopg.sql.Identifier(role)))
    return connection
