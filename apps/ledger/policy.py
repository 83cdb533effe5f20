"""Constants of the record (T13, F1, F4)."""

from typing import Final

from apps.streams.shards import SHARD_NUMBERS

# Event sequence numbers stay below 2^53 (the fence refuses above 9e15), entries of one event below 8.
SEQ_BITS: Final = 53
ENTRY_BITS: Final = 3


def record_id(shard: str, seq: int) -> int:
    """Id of the ledger transaction (and of the trade) that event `seq` of `shard` made; equal to seq on 'spot'."""
    return SHARD_NUMBERS[shard] << SEQ_BITS | seq


def entry_id(shard: str, seq: int, n: int) -> int:
    """Id of the n-th entry (0 to 7) of that ledger transaction."""
    return record_id(shard, seq) << ENTRY_BITS | n
