"""Ranges of ids: apart from each other, exact for JSON clients, and for ever the same."""

from itertools import pairwise

from apps.ledger.policy import entry_id, record_id
from apps.streams.shards import DEFAULT_SHARD, SHARD_NUMBERS, last_order_id, order_ids_after


def test_numbers_are_what_stored_ids_were_made_with() -> None:
    """Append to this list; a change of what is in it would give old rows to another shard."""
    assert list(SHARD_NUMBERS.items())[:2] == [("spot", 0), ("drill", 1)]
    assert sorted(SHARD_NUMBERS.values()) == list(range(len(SHARD_NUMBERS)))
    assert len(SHARD_NUMBERS) <= 128


def test_ranges_follow_each_other_without_touching() -> None:
    ranges = sorted((order_ids_after(shard) + 1, last_order_id(shard)) for shard in SHARD_NUMBERS)
    assert ranges[0][0] == 1
    assert all(first[1] < second[0] for first, second in pairwise(ranges))


def test_the_last_possible_shard_fits() -> None:
    assert (127 << 46) + (1 << 46) - 1 < 2**53
    assert (127 << 53 | 2**53 - 1) << 3 | 7 < 2**63
    assert record_id(DEFAULT_SHARD, 5) == 5
    assert entry_id("drill", 5, 1) == ((1 << 53 | 5) << 3) | 1
