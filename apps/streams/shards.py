"""The shards of an installation and the ranges of ids that are theirs for ever.

A shard is a set of markets with balances of its own, its own log, worker and readers (architecture.md section 2). All
shards of an installation share one PostgreSQL, so ids that are dense per shard begin at a base that is the shard's own:
rows of two shards never meet, and a replayed event meets its own row.
"""

from typing import Final

DEFAULT_SHARD: Final = "spot"

# Numbers stand in stored ids: a new shard takes the next one, none is changed or used again. At most 127 (ledger ids
# have 7 bits for it). 'drill' is for exercises beside the live markets (requirements E11).
SHARD_NUMBERS: Final = {DEFAULT_SHARD: 0, "drill": 1}

# 7 * 10^13 orders a shard; with 7 bits of shard number ids stay below 2^53, which JSON clients read exactly.
ORDER_BITS: Final = 46


def order_ids_after(shard: str) -> int:
    """The order_id before the shard's first one. KeyError for a shard that has no number."""
    return SHARD_NUMBERS[shard] << ORDER_BITS


def last_order_id(shard: str) -> int:
    """The greatest order_id that may ever be the shard's."""
    return order_ids_after(shard) + (1 << ORDER_BITS) - 1
