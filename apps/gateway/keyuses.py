"""When and from where each API key was used last, for its owner (requirement A5).

A request costs one entry of a dictionary. What has gathered is written once in WRITE_USES_EVERY_S, so each key at most
once a minute; what is not written yet is lost with the process, but for an orderly stop.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.accounts.credentials import LAST_USES_SQL
from apps.accounts.policy import ADDRESS_LENGTH_MAX
from apps.gateway.policy import WRITE_USES_EVERY_S, WRITE_USES_MAX

log = structlog.get_logger("nebannpet.gateway.keyuses")


class LastUses:
    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        # By key: microseconds since 1970, and the address.
        self._used: dict[int, tuple[int, str]] = {}

    def note(self, key_id: int, at_us: int, address: str) -> None:
        self._used[key_id] = (at_us, address)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_USES_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """All that has gathered. What cannot be written now waits for the next time."""
        taken, self._used = self._used, {}
        left = dict(taken)
        try:
            for some in _batches(taken):
                for key_id in await self._write(some):
                    left.pop(key_id, None)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("last uses of API keys are not written yet", keys=len(left), error=str(error).strip())
        for key_id, use in left.items():
            self._used.setdefault(key_id, use)

    async def _write(self, uses: list[tuple[int, tuple[int, str]]]) -> list[int]:
        ids = [key_id for key_id, _ in uses]
        times = [at_us for _, (at_us, _) in uses]
        addresses = [address[:ADDRESS_LENGTH_MAX] for _, (_, address) in uses]
        async with self._pool.connection() as connection:
            cursor = await connection.execute(LAST_USES_SQL, (ids, times, addresses))
            return [key_id for (key_id,) in await cursor.fetchall()]


def _batches(uses: dict[int, tuple[int, str]]) -> Iterator[list[tuple[int, tuple[int, str]]]]:
    """In the order of ids, no more than WRITE_USES_MAX in each."""
    rest = iter(sorted(uses.items()))
    while some := list(islice(rest, WRITE_USES_MAX)):
        yield some
