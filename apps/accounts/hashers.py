"""Password hashing: Argon2id with 19 MiB, 2 passes, 1 lane (requirement A1; the OWASP minimum for Argon2id)."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class PlatformArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2id hasher with the platform's cost.

    The `algorithm` stays "argon2", so Django re-hashes a password at log-in when these figures change.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1
