"""PostgreSQL without connections, with a lock that nobody releases, and killed in the middle of a COPY."""

import contextlib
import random
import signal
import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

import psycopg

from tests.chaos.faults.base import Fault
from tests.chaos.faults.processes import send
from tests.chaos.rig import Rig

LOCK = "LOCK TABLE orders_trade, ledger_entry IN ACCESS EXCLUSIVE MODE"


@dataclass(slots=True)
class LockHeld(Fault):
    """A table that settlement writes is locked by somebody else; trading goes on, settlement waits and catches up."""

    name: ClassVar[str] = "postgres-lock"
    hold_s: tuple[float, float] = (2.0, 4.0)
    connection: psycopg.Connection[Any] | None = field(default=None, repr=False)

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.connection = rig.postgres(autocommit=False)
        self.connection.execute("SET idle_in_transaction_session_timeout = 0")
        self.connection.execute(LOCK)
        return 0

    def heal(self, rig: Rig) -> None:
        assert self.connection is not None
        # The server may have died meanwhile, by another fault.
        with contextlib.suppress(psycopg.OperationalError):
            self.connection.rollback()
        self.connection.close()


@dataclass(slots=True)
class NoConnections(Fault):
    """Somebody else has every connection that is left, and everybody who had one loses it."""

    name: ClassVar[str] = "postgres-connections"
    hold_s: tuple[float, float] = (2.0, 4.0)
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    taken: list[psycopg.Connection[Any]] = field(default_factory=list, repr=False)

    def inject(self, rig: Rig, draw: random.Random) -> int:
        with rig.postgres() as own:
            own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        rig.until(lambda: self._take_all(rig) > 0, "connection to take")
        return 0

    def _take_all(self, rig: Rig) -> int:
        """How many are taken now; none while the server is still starting."""
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                self.taken.append(psycopg.connect(rig.stack.dsn, autocommit=True, connect_timeout=2))
        return len(self.taken)

    def heal(self, rig: Rig) -> None:
        for connection in self.taken:
            connection.close()


@dataclass(slots=True)
class KilledInCopy(Fault):
    """A lock holds settlement's COPY in the middle of its transaction; then the whole server is killed."""

    name: ClassVar[str] = "postgres-killed-in-copy"

    def inject(self, rig: Rig, draw: random.Random) -> int:
        with rig.postgres(autocommit=False) as blocker, rig.postgres() as watcher:
            blocker.execute("LOCK TABLE orders_trade IN ACCESS EXCLUSIVE MODE")
            rig.until(lambda: self._copies(watcher), "settlement in the middle of its transaction")
            killed = int(send(rig, "postgres", signal.SIGKILL))
            blocker.close()
            watcher.close()
            return killed

    @staticmethod
    def _copies(watcher: psycopg.Connection[Any]) -> bool:
        row = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE query LIKE 'COPY \"orders_trade\"%' AND wait_event_type = 'Lock'"
        ).fetchone()
        return row is not None and row[0] > 0
