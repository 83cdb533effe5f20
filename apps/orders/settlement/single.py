"""Settlement is single: a session advisory lock says who is at work, the watermark's compare-and-set that it counts.

The lock only decides who tries; a process that lost its connection may still believe it has it. What protects the
record is the watermark, which moves in the transaction that writes it.
"""

from typing import Any, Final

import psycopg

# First key of the lock; the second is the shard. The relay's is its neighbour (outbox/policy.py).
SETTLEMENT_LOCK: Final = 0x6E65_7374
LOCK_RETRY_S: Final = 1.0

_LOCK: Final = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"


def acquire(connection: psycopg.Connection[Any], shard: str) -> bool:
    """Become the settlement of this shard as long as the connection lives; False while another one is."""
    row = connection.execute(_LOCK, [SETTLEMENT_LOCK, shard]).fetchone()
    return bool(row and row[0])
