"""Password hashing: Argon2id with 19 MiB, 2 passes, 1 lane (requirement A1; the OWASP minimum for Argon2id)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.contrib.auth.hashers import Argon2PasswordHasher

from apps.accounts.errors import TooBusy
from apps.accounts.policy import HASH_QUEUE_S, HASHES_AT_ONCE
from apps.web.turns import release_connection

# Of this process: a flood of log-ins costs a bounded amount of memory and processor time.
SLOTS: Final = threading.BoundedSemaphore(HASHES_AT_ONCE)


@contextmanager
def _turn() -> Iterator[None]:
    if not SLOTS.acquire(blocking=False):
        release_connection()
        if not SLOTS.acquire(timeout=HASH_QUEUE_S):
            raise TooBusy("Too many log-ins at this moment. Try again in a few seconds.")
    try:
        yield
    finally:
        SLOTS.release()


class PlatformArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2id hasher with the platform's cost, HASHES_AT_ONCE at once. Raises TooBusy.

    The `algorithm` stays "argon2", so Django re-hashes a password at log-in when these figures change.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with _turn():
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> Any:
        with _turn():
            return super().verify(password, encoded)
