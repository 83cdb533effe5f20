"""Passwords of the tests: Argon2id as the platform hashes them, at the least cost the algorithm has.

Thousands of tests make a user; a hash at the platform's cost is most of what that takes. `platform_cost` gives the real
one back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from apps.accounts.hashers import PlatformArgon2PasswordHasher

PLATFORM: Final = (PlatformArgon2PasswordHasher.time_cost, PlatformArgon2PasswordHasher.memory_cost)
LEAST: Final = (1, 8)


def _set(cost: tuple[int, int]) -> None:
    PlatformArgon2PasswordHasher.time_cost, PlatformArgon2PasswordHasher.memory_cost = cost


def hash_cheaply() -> None:
    """For the rest of this process, not in processes it starts."""
    _set(LEAST)


@contextmanager
def platform_cost() -> Iterator[None]:
    _set(PLATFORM)
    try:
        yield
    finally:
        _set(LEAST)
