"""PostgreSQL as the gateway uses it: a small pool for reads and one connection that follows changes.

Following is LISTEN plus a poll every 500 ms on an own autocommit connection, so a lost notification costs half a second
and a lost connection is noticed at once.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from apps.gateway.policy import FOLLOW_POLL_S, POOL_TIMEOUT_S, QUERY_TIMEOUT_S

log = structlog.get_logger("nebannpet.gateway.database")

RECONNECT_S: Final = 0.5
# Every statement is made for an index that it reads in the order of its answer. Another way looks cheaper where the
# planner's statistics are old, or an account's past is unlike the average one, and then takes seconds.
INDEX_ORDER: Final = "".join(
    f" -c {name}=off"
    for name in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "jit")
)
POOL_MAX: Final = 8


class Followed(Protocol):
    """Cached rows with a version."""

    async def start(self, connection: psycopg.AsyncConnection[Any]) -> None: ...

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> None: ...


def make_pool(dsn: str, role: str) -> AsyncConnectionPool[Any]:
    """Not opened yet; works with the rights of `role` unless it is empty.

    Statements are cut off after QUERY_TIMEOUT_S; a pool without a connection is reported after POOL_TIMEOUT_S.
    """
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=POOL_MAX,
        timeout=POOL_TIMEOUT_S,
        open=False,
        kwargs={
            "autocommit": True,
            "connect_timeout": 2,
            "options": _options(role, int(QUERY_TIMEOUT_S * 1000)) + INDEX_ORDER,
        },
        reconnect_timeout=float("inf"),
    )


def _options(role: str, statement_timeout_ms: int) -> str:
    return f"-c statement_timeout={statement_timeout_ms}" + (f" -c role={role}" if role else "")


class Follower:
    """Keeps every `Followed` fresh; `run()` reconnects for ever."""

    def __init__(
        self, dsn: str, role: str, channels: Sequence[str], followed: Sequence[Followed], pool: AsyncConnectionPool[Any]
    ) -> None:
        """`pool` is that of the reads: nothing counts as started before it has a connection."""
        self._dsn = dsn
        self._pool = pool
        self._role = role
        self._channels = channels
        self._followed = followed
        self.started = asyncio.Event()
        self.refreshed_s = float("-inf")

    async def run(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=2, options=_options(self._role, 5000)
                ) as connection:
                    await self._follow(connection)
            except psycopg.ProgrammingError as error:
                log.error("PostgreSQL lacks what this release reads: run manage.py set_up", error=str(error).strip())
            except (psycopg.Error, OSError) as error:
                log.warning("PostgreSQL is away; what is cached stays in use for a while", error=str(error).strip())
            await asyncio.sleep(RECONNECT_S)

    async def _follow(self, connection: psycopg.AsyncConnection[Any]) -> None:
        for channel in self._channels:
            await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
        for rows in self._followed:
            await rows.start(connection)
        # A request that came before the pool's first connection would be refused after POOL_TIMEOUT_S.
        async with self._pool.connection():
            pass
        self.refreshed_s = time.monotonic()
        self.started.set()
        while True:
            async for _ in connection.notifies(timeout=FOLLOW_POLL_S, stop_after=1):
                pass
            for rows in self._followed:
                await rows.refresh(connection)
            self.refreshed_s = time.monotonic()
