"""Latencies in constant memory: counts in buckets that are at most 1/128 wide, so that runs of any length add up."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

# Values below 2^8 µs have a bucket each; above, each power of two has 128.
EXACT_BITS: Final = 8
HALF: Final = 1 << (EXACT_BITS - 1)


def bucket_of(value_us: int) -> int:
    shift = max(value_us.bit_length() - EXACT_BITS, 0)
    return shift * HALF + (value_us >> shift)


def top_of(bucket: int) -> int:
    """The highest value of a bucket."""
    if bucket < 2 * HALF:
        return bucket
    shift, rest = divmod(bucket - HALF, HALF)
    return ((rest + HALF + 1) << shift) - 1


@dataclass(slots=True)
class Histogram:
    """Whole microseconds; a negative one counts as 0. Percentiles are never told lower than they were."""

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    highest_us: int = 0

    def add(self, value_us: int) -> None:
        value_us = max(value_us, 0)
        bucket = bucket_of(value_us)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1
        self.highest_us = max(self.highest_us, value_us)

    def merge(self, others: "Iterable[Histogram]") -> None:
        for other in others:
            for bucket, count in other.counts.items():
                self.counts[bucket] = self.counts.get(bucket, 0) + count
            self.total += other.total
            self.highest_us = max(self.highest_us, other.highest_us)

    def at(self, per_mille: int) -> int:
        """The value that so many in a thousand do not exceed; 0 without values."""
        wanted = -(-self.total * per_mille // 1000)
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(top_of(bucket), self.highest_us)
        return self.highest_us
