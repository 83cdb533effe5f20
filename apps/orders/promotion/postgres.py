"""The PostgreSQL standby of a second site: what it is, what it has received, and its promotion."""

import time
from typing import Any, Final

import psycopg
from django.conf import settings
from psycopg import pq

from apps.orders.promotion.errors import PromotionRefused

CONNECT_TIMEOUT_S: Final = 5
PROMOTE_TIMEOUT_S: Final = 60
REPLAY_TIMEOUT_S: Final = 300.0
# What was received is replayed without a pause; this long without progress means that all of it was.
QUIET_S: Final = 1.0
POLL_S: Final = 0.1
PING_TIMEOUT_S: Final = 2

REPLAYED: Final = (
    "SELECT pg_last_wal_replay_lsn()::text,"
    " pg_last_wal_replay_lsn() >= coalesce(%s::pg_lsn, pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
)
RIGHTS: Final = (
    "The user of DATABASE_URL may not do this. As a superuser on the primary: GRANT EXECUTE ON FUNCTION pg_promote,"
    " pg_reload_conf TO it; GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO it; GRANT pg_read_all_settings"
    " TO it. Or run this command with a DATABASE_URL of a superuser."
)


class PostgresSite:
    """This site's PostgreSQL, as its owner. psycopg.OperationalError where it is away."""

    def __init__(self, dsn: str | None = None) -> None:
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            dsn or settings.DATABASE_DSN, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        )

    def close(self) -> None:
        self._connection.close()

    def is_standby(self) -> bool:
        return bool(self._value("SELECT pg_is_in_recovery()"))

    def primary_answers(self) -> bool:
        """Whether the primary that this standby follows accepts connections, or says why it does not."""
        conninfo = str(self._value("SHOW primary_conninfo") or "")
        if not conninfo:
            return False
        answer = pq.PGconn.ping(f"{conninfo} connect_timeout={PING_TIMEOUT_S}".encode())
        return answer in (pq.Ping.OK, pq.Ping.REJECT)

    def wait_until_replayed(self) -> None:
        """Until everything received by now is visible here. PromotionRefused where it never is.

        After a restart without the primary PostgreSQL does not say what it has; then it is done when it moves no more.
        """
        deadline = time.monotonic() + REPLAY_TIMEOUT_S
        received = self._value(
            "SELECT pg_last_wal_receive_lsn()::text FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        )
        seen, since = "", time.monotonic()
        while time.monotonic() < deadline:
            if self._value("SELECT pg_is_wal_replay_paused()"):
                raise PromotionRefused("PostgreSQL's replay is paused here: SELECT pg_wal_replay_resume() first.")
            replayed, reached = self._row(REPLAYED, received)
            if replayed != seen:
                seen, since = replayed, time.monotonic()
            if reached and (received is not None or time.monotonic() - since >= QUIET_S):
                return
            time.sleep(POLL_S)
        raise PromotionRefused(f"PostgreSQL has not replayed what it received within {REPLAY_TIMEOUT_S:g} s.")

    def forget_standbys(self) -> None:
        """Commit without waiting for a standby: the names came with the copy of the primary and nobody answers to them.

        Allowed on a standby, so that the first commit after the promotion does not wait for ever.
        """
        try:
            self._connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            self._connection.execute("SELECT pg_reload_conf()")
        except psycopg.errors.InsufficientPrivilege as error:
            raise PromotionRefused(f"{str(error).strip()}. {RIGHTS}") from error
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while names := self._value("SHOW synchronous_standby_names"):
            if time.monotonic() > deadline:
                raise PromotionRefused(
                    f"synchronous_standby_names stays {names!r}: it is set on PostgreSQL's command line. Take it out,"
                    " restart PostgreSQL here, and run this again."
                )
            time.sleep(POLL_S)

    def promote(self) -> None:
        try:
            done = self._value("SELECT pg_promote(true, %s)", PROMOTE_TIMEOUT_S)
        except psycopg.errors.InsufficientPrivilege as error:
            raise PromotionRefused(f"{str(error).strip()}. {RIGHTS}") from error
        if not done or self.is_standby():
            raise PromotionRefused(
                f"PostgreSQL is still a standby after {PROMOTE_TIMEOUT_S} s; its log says why. Run this again."
            )

    def _value(self, query: str, *values: object) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self._connection.execute(query, values or None).fetchone()
        return row[0] if row is not None else None

    def _row(self, query: str, *values: object) -> tuple[Any, ...]:
        row = self._connection.execute(query, values).fetchone()
        assert row is not None, query
        return tuple(row)
