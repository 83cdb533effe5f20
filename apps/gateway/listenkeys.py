"""Listen keys: rows in PostgreSQL, so that every gateway knows them and a restart forgets none.

The end of one arrives by LISTEN or the 500 ms poll, like the revocation of an API key. Without PostgreSQL nothing about
them can be asked or changed (503), and streams that run go on.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.accounts.errors import SecretUnreadable
from apps.accounts.listenkeys import (
    ADD_SQL,
    END_SQL,
    ENDS_SQL,
    FIND_SQL,
    FORGET_SQL,
    FORGOTTEN_MAX,
    KEPT_S,
    LATEST_END_SQL,
    LIFETIME_S,
    LOCK_SQL,
    PROLONG_OWN_SQL,
    PROLONG_SQL,
    new_listen_key,
)
from apps.accounts.secrets import decrypt_secret, encrypt_secret
from apps.accounts.tokens import hash_token
from apps.gateway import errors
from apps.gateway.keys import Credential
from apps.gateway.policy import UNKNOWN_KEY_S, UNKNOWN_KEYS_MAX

log = structlog.get_logger("nebannpet.gateway.listenkeys")


@dataclass(frozen=True, slots=True)
class Listening:
    """A valid listen key: whose user data it shows, by which API key, and for how long at least."""

    id: int
    account_id: int
    api_key: str
    left_s: float


class ListenKeys:
    """Followed by database.Follower."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._followers: dict[int, set[Callable[[], None]]] = {}
        self._version = -1
        # Texts that were no valid key, and when that was asked. None of them ever becomes one.
        self._unknown: OrderedDict[str, float] = OrderedDict()

    # -- following ----------------------------------------------------------------------------------------------------
    async def start(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """First read on a connection. After an outage the ends since the last version are caught up instead."""
        if self._version < 0:
            row = await (await connection.execute(LATEST_END_SQL)).fetchone()
            assert row is not None, "the query always returns one row"
            self._version = row[0]
        await self.refresh(connection)

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> None:
        for row_id, version in await (await connection.execute(ENDS_SQL, (self._version,))).fetchall():
            for on_end in tuple(self._followers.get(row_id, ())):
                on_end()
            self._version = version

    def follow(self, listening: Listening, on_end: Callable[[], None]) -> None:
        """Call `on_end` once its owner has ended it. Look it up again (`find`) behind this: an end in between the first
        look and this is nobody's news any more.
        """
        self._followers.setdefault(listening.id, set()).add(on_end)

    def unfollow(self, listening: Listening, on_end: Callable[[], None]) -> None:
        followers = self._followers.get(listening.id, set())
        followers.discard(on_end)
        if not followers:
            self._followers.pop(listening.id, None)

    # -- use ----------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, PoolTimeout) as error:
            raise errors.not_executed() from error

    async def issue(self, credential: Credential) -> str:
        """The API key's listen key: prolonged if it has a valid one, else new. 503 without PostgreSQL."""
        assert credential.api_key is not None, "a listen key belongs to an API key"
        async with self._connection() as connection, connection.transaction():
            await connection.execute(LOCK_SQL, (credential.id,))
            row = await (await connection.execute(PROLONG_OWN_SQL, (LIFETIME_S, credential.id))).fetchone()
            if row is not None:
                return _opened(credential, row[0])
            await connection.execute(FORGET_SQL, (credential.id, KEPT_S, FORGOTTEN_MAX))
            listen_key = new_listen_key()
            box = encrypt_secret(credential.api_key, listen_key.encode("ascii"))
            await connection.execute(
                ADD_SQL, (hash_token(listen_key), box, credential.account_id, credential.id, LIFETIME_S)
            )
            return listen_key

    async def prolong(self, listen_key: str, account_id: int) -> None:
        """-1125 unless it is a valid one of the account."""
        await self._changed(PROLONG_SQL, (LIFETIME_S, hash_token(listen_key), account_id))

    async def end(self, listen_key: str, account_id: int) -> None:
        """-1125 unless it is a valid one of the account."""
        await self._changed(END_SQL, (hash_token(listen_key), account_id))

    async def _changed(self, query: str, parameters: tuple[Any, ...]) -> None:
        async with self._connection() as connection:
            row = await (await connection.execute(query, parameters)).fetchone()
        if row is None:
            raise errors.listen_key_unknown()

    async def find(self, listen_key: str) -> Listening | None:
        """None unless it is valid. One that is not is remembered for a while: asked again it costs no query."""
        seen_s = self._unknown.get(listen_key)
        if seen_s is not None and time.monotonic() - seen_s < UNKNOWN_KEY_S:
            return None
        async with self._connection() as connection:
            row = await (await connection.execute(FIND_SQL, (hash_token(listen_key),))).fetchone()
        if row is not None:
            return Listening(*row)
        self._unknown[listen_key] = time.monotonic()
        self._unknown.move_to_end(listen_key)
        if len(self._unknown) > UNKNOWN_KEYS_MAX:
            self._unknown.popitem(last=False)
        return None


def _opened(credential: Credential, box: bytes) -> str:
    assert credential.api_key is not None, "a listen key belongs to an API key"
    try:
        return decrypt_secret(credential.api_key, box).decode("ascii")
    except SecretUnreadable as error:
        log.error("a listen key cannot be read", key_id=credential.id, error=error.message)
        raise errors.key_refused() from error
