"""API keys and trading sessions as this process knows them, followed from PostgreSQL (architecture.md section 2).

A key's first use costs one query; a revocation arrives by LISTEN or the 500 ms poll. While PostgreSQL is away, known
keys work for KEYS_STALE_MAX_S, then only their cancels do, and unknown keys are answered 503 at once.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.accounts.credentials import API_KEY_SQL, CREDENTIAL_CHANGES_SQL, LATEST_VERSION_SQL
from apps.accounts.errors import SecretUnreadable
from apps.accounts.keynetworks import Networks, is_within, networks_of
from apps.accounts.keyproofs import Ed25519Key, HmacKey, Verifier
from apps.accounts.keyproofs import public_key as verifier_of
from apps.accounts.policy import API_KEY_LENGTH
from apps.accounts.secrets import decrypt_secret
from apps.accounts.tickets import ACCOUNT_SQL, CONSUME_TICKET_SQL
from apps.accounts.tokens import hash_token
from apps.common.clock import now_us
from apps.gateway import errors
from apps.gateway.keyends import Ends
from apps.gateway.keyuses import LastUses
from apps.gateway.policy import (
    END_EXPIRED_EVERY_S,
    KEY_CACHE_MAX,
    KEYS_STALE_MAX_S,
    POSTGRES_SILENT_MAX_S,
    UNKNOWN_KEY_S,
    UNKNOWN_KEYS_MAX,
)
from apps.gateway.registry import Endpoint, Security

log = structlog.get_logger("nebannpet.gateway.keys")

REVOKED_KEPT: Final = 10_000
# ApiKey.kind of a key with a secret; the others have a public key.
HMAC: Final = "hmac"


class Revocable:
    """Something that a revocation ends, such as an open socket."""

    # Where it is connected from; None for what no address is looked at.
    address: str | None = None

    def on_revoked(self) -> None:
        raise NotImplementedError


@dataclass(slots=True, weakref_slot=True)
class Credential:
    """Who is calling: an API key, or a trading session opened by a ticket (without `api_key` and `verifier`)."""

    kind: str
    id: int
    account_id: int
    user_id: int
    can_read: bool
    can_trade: bool
    tier: str
    api_key: str | None = None
    verifier: Verifier | None = None
    revoked: bool = False
    # It works from these only; from everywhere where there are none.
    networks: Networks = ()
    # The account's owner froze it: cancels only.
    frozen: bool = False
    can_withdraw: bool = False
    # The key's end, in microseconds since 1970: from then on it is like a revoked one.
    expires_us: int | None = None

    @property
    def is_over(self) -> bool:
        """Revoked, of a user who is switched off, or expired."""
        return self.revoked or (self.expires_us is not None and now_us() >= self.expires_us)

    @property
    def may_log_on(self) -> bool:
        """Whether a WebSocket API session may be opened with it: of keys, by Ed25519 only, as in the dialect."""
        return isinstance(self.verifier, Ed25519Key)

    def works_from(self, address: str | None) -> bool:
        return is_within(address, self.networks)

    def allows(self, security: Security) -> bool:
        if self.is_over:
            return False
        return self.can_trade if security is Security.TRADE else self.can_read

    def check(self, endpoint: Endpoint) -> None:
        """Raise -2015 without the right, and -2010 for a frozen account whose request is no cancel."""
        if not self.allows(endpoint.security):
            raise errors.key_refused()
        if self.frozen and endpoint.security is Security.TRADE and not endpoint.is_cancel:
            raise errors.account_frozen()

    def check_still(self, endpoint: Endpoint, address: str) -> None:
        """Of a request that was allowed before it waited for admission: a revocation may have come meanwhile."""
        if not self.works_from(address):
            raise errors.key_refused()
        self.check(endpoint)


class Credentials:
    """Cache of keys; knows who must be told about a revocation."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._keys: OrderedDict[str, Credential] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        # Revocations seen lately: one may be seen between a look-up and the follow() after it.
        self._revoked: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._followers: dict[tuple[str, int], set[Revocable]] = {}
        # Trading sessions by ticket id, as long as a connection holds them: their account's tier may change.
        self._sessions: WeakValueDictionary[int, Credential] = WeakValueDictionary()
        self._ends = Ends()
        self.last_uses = LastUses(pool)
        self._version = 0
        self._fresh_s = float("-inf")

    # -- following (called by the follower in database.py) ------------------------------------------------------------
    async def start(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """First read on a connection. After an outage the changes since the last version are caught up instead."""
        if self._version == 0:
            cursor = await connection.execute(LATEST_VERSION_SQL)
            row = await cursor.fetchone()
            assert row is not None, "the query always returns one row"
            self._version = row[0]
        await self.refresh(connection)

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Apply what changed since the last version, in order."""
        cursor = await connection.execute(CREDENTIAL_CHANGES_SQL, (self._version, self._version))
        for row in await cursor.fetchall():
            kind, row_id, public_key, account_id, user_id, can_read, can_trade, revoked, version, tier = row[:10]
            self._unknown.pop(public_key, None)
            known = self._keys.get(public_key) if kind == "key" else None
            session = self._sessions.get(row_id) if kind == "ticket" else None
            if session is not None:
                session.tier, session.frozen = tier, row[11]
            if known is not None:
                known.account_id, known.user_id = account_id, user_id
                known.can_read, known.can_trade, known.revoked = can_read, can_trade, revoked
                known.tier, known.networks, known.frozen = tier, networks_of(row[10]), row[11]
                known.can_withdraw = row[12]
            for follower in tuple(self._followers.get((kind, row_id), ())):
                if not is_within(follower.address, networks_of(row[10])):
                    follower.on_revoked()
            if revoked:
                self._revoked[(kind, row_id)] = None
                if len(self._revoked) > REVOKED_KEPT:
                    self._revoked.popitem(last=False)
                for follower in tuple(self._followers.get((kind, row_id), ())):
                    follower.on_revoked()
            else:
                # Of an account that was switched off and is on again.
                self._revoked.pop((kind, row_id), None)
            self._version = version
        self._fresh_s = time.monotonic()

    @property
    def stale_s(self) -> float:
        """Seconds since the last successful look at PostgreSQL."""
        return time.monotonic() - self._fresh_s

    async def end_expired(self) -> None:
        """Background work: what is open by a key ends within END_EXPIRED_EVERY_S of the key's end, by this process's
        clock and with PostgreSQL away, too. Requests are refused from the moment on (Credential.is_over).
        """
        while True:
            for key_id in self._ends.due(now_us()):
                for follower in tuple(self._followers.get(("key", key_id), ())):
                    follower.on_revoked()
            await asyncio.sleep(END_EXPIRED_EVERY_S)

    # -- use ----------------------------------------------------------------------------------------------------------
    def knows(self, public_key: str) -> bool:
        """Whether `find` answers from memory."""
        return public_key in self._keys

    async def find(self, public_key: str, address: str) -> Credential:
        """The credential of a public key, for a caller at `address`.

        Raises -2014 (form), -2015 (unknown, expired, or not from there) or 503 (PostgreSQL away).
        """
        credential = await self._find(public_key)
        if credential.is_over or not credential.works_from(address):
            raise errors.key_refused()
        return credential

    async def _find(self, public_key: str) -> Credential:
        known = self._keys.get(public_key)
        if known is not None:
            self._keys.move_to_end(public_key)
            return known
        if len(public_key) != API_KEY_LENGTH or not (public_key.isascii() and public_key.isalnum()):
            raise errors.key_malformed()
        seen_s = self._unknown.get(public_key)
        if seen_s is not None and time.monotonic() - seen_s < UNKNOWN_KEY_S:
            raise errors.key_refused()
        return await self._load(public_key)

    async def _load(self, public_key: str) -> Credential:
        version_before = self._version
        if self.stale_s > POSTGRES_SILENT_MAX_S:
            raise errors.not_executed()
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(API_KEY_SQL, (public_key,))
                row = await cursor.fetchone()
        except (psycopg.Error, PoolTimeout) as error:
            raise errors.not_executed() from error
        if row is None:
            self._unknown[public_key] = time.monotonic()
            if len(self._unknown) > UNKNOWN_KEYS_MAX:
                self._unknown.popitem(last=False)
            raise errors.key_refused()
        key_id, _, box, account_id, user_id, can_read, can_trade, revoked, version, tier, kind, verify_key = row[:12]
        try:
            verifier = HmacKey(decrypt_secret(public_key, box)) if kind == HMAC else verifier_of(bytes(verify_key))
        except SecretUnreadable as error:
            log.error("an API key cannot be used", key_id=key_id, error=error.message)
            raise errors.key_refused() from error
        credential = Credential(
            "key", key_id, account_id, user_id, can_read, can_trade, tier, public_key, verifier, revoked,
            networks_of(row[12]), row[13], row[14], row[15],
        )  # fmt: skip
        # A change that was applied while the query ran may be newer than its row: then ask again at the next use.
        if version_before == self._version or version >= self._version:
            self._keys[public_key] = credential
            if len(self._keys) > KEY_CACHE_MAX:
                self._keys.popitem(last=False)
        return credential

    def check(self, credential: Credential, endpoint: Endpoint) -> None:
        """As Credential.check, and 503 when what we know of keys is too old for this endpoint."""
        credential.check(endpoint)
        if not endpoint.is_cancel and self.stale_s > KEYS_STALE_MAX_S:
            raise errors.not_executed()

    async def consume_ticket(self, ticket: str) -> Credential:
        """Open a trading session by its one-use ticket; -2015 for any other text, 503 without PostgreSQL."""
        version_before = self._version
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(CONSUME_TICKET_SQL, (hash_token(ticket),))
                row = await cursor.fetchone()
                if row is None:
                    raise errors.key_refused()
                ticket_id, account_id, user_id, tier, frozen = row
                session = Credential(
                    "ticket", ticket_id, account_id, user_id, can_read=True, can_trade=True, tier=tier, frozen=frozen
                )
                self._sessions[ticket_id] = session
                if version_before != self._version:
                    # A change that was applied before this session was known may have been its account's.
                    cursor = await connection.execute(ACCOUNT_SQL, (account_id,))
                    session.tier, session.frozen = await cursor.fetchone() or (tier, frozen)
        except (psycopg.Error, PoolTimeout) as error:
            raise errors.not_executed() from error
        return session

    # -- who must be told ---------------------------------------------------------------------------------------------
    def follow(self, credential: Credential, follower: Revocable) -> None:
        self._followers.setdefault((credential.kind, credential.id), set()).add(follower)
        if credential.expires_us is not None:
            self._ends.add(credential.expires_us, credential.id)
        is_over = credential.is_over or (credential.kind, credential.id) in self._revoked
        if is_over or not credential.works_from(follower.address):
            follower.on_revoked()

    def unfollow(self, credential: Credential, follower: Revocable) -> None:
        followers = self._followers.get((credential.kind, credential.id), set())
        followers.discard(follower)
        if not followers:
            self._followers.pop((credential.kind, credential.id), None)
