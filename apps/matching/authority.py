"""PostgreSQL's part in who may write: the epoch by compare-and-set, and how far the record has come."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql

from apps.matching.errors import TakeoverLost
from apps.matching.policy import POSTGRES_CONNECT_TIMEOUT_S

_CREATE_EPOCH: Final = (
    "INSERT INTO matching_engineepoch (shard, epoch, holder) VALUES (%s, 0, '') ON CONFLICT DO NOTHING"
)
_READ_EPOCH: Final = "SELECT epoch FROM matching_engineepoch WHERE shard = %s"
_RAISE_EPOCH: Final = "UPDATE matching_engineepoch SET epoch = %s, holder = %s WHERE shard = %s AND epoch = %s"
_READ_SETTLED: Final = "SELECT seq, chain FROM matching_watermark WHERE shard = %s AND reader = 'settlement'"


class AuthorityAway(Exception):
    """PostgreSQL does not answer; nothing is known and nothing was changed for certain."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The event up to which PostgreSQL has the record, and the chain there; (0, '') before the first."""

    seq: int
    chain: str


class Authority(Protocol):
    def settled(self) -> Settled:
        """AuthorityAway while it cannot be asked."""
        ...

    def raise_epoch(self, *, above: int, holder: str) -> int:
        """The new epoch, max(stored, above) + 1; TakeoverLost when another worker was faster."""
        ...


class PostgresAuthority:
    """A short connection for each call: the worker asks only at takeover and trades on without PostgreSQL."""

    def __init__(self, dsn: str, shard: str, role: str = "") -> None:
        self._dsn = dsn
        self._shard = shard
        self._role = role

    def settled(self) -> Settled:
        try:
            with self._connection() as connection:
                row = connection.execute(_READ_SETTLED, [self._shard]).fetchone()
        except psycopg.OperationalError as error:
            raise AuthorityAway(str(error).strip()) from error
        return Settled(*row) if row is not None else Settled(0, "")

    def raise_epoch(self, *, above: int, holder: str) -> int:
        try:
            with self._connection() as connection:
                connection.execute(_CREATE_EPOCH, [self._shard])
                row = connection.execute(_READ_EPOCH, [self._shard]).fetchone()
                assert row is not None
                epoch = max(row[0], above) + 1
                raised = connection.execute(_RAISE_EPOCH, [epoch, holder, self._shard, row[0]])
                if raised.rowcount != 1:
                    raise TakeoverLost(f"another worker raised the epoch from {row[0]} at the same time")
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
            # Read-only: a standby of a second site that is not promoted yet (docs/two-sites.md).
            raise AuthorityAway(str(error).strip()) from error
        return int(epoch)

    def _connection(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=POSTGRES_CONNECT_TIMEOUT_S,
            options="-c synchronous_commit=on -c statement_timeout=5s -c lock_timeout=2s",
        )
        if self._role:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self._role)))
        return connection
