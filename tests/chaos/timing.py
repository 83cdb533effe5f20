"""How long clients were without an acknowledgement around a fault."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def takeover_s(acknowledged_s: Sequence[float], injected_s: float, recovered_s: float) -> float:
    """The longest silence between two acknowledgements that touches the time from injection to recovery, in seconds.

    `acknowledged_s` ascending. With a steady load this is 'last acknowledgement before to first after'.
    """
    first = max(bisect_left(acknowledged_s, injected_s) - 1, 0)
    last = min(bisect_right(acknowledged_s, recovered_s), len(acknowledged_s) - 1)
    times = acknowledged_s[first : last + 1]
    return max((after - before for before, after in itertools.pairwise(times)), default=0.0)


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest rank; 0 without values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def summary_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max in milliseconds."""
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(seconds, share) * 1000) for name, share in shares.items()} | {"count": len(seconds)}
