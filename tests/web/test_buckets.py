"""How often somebody may ask, in redis-edge and in a process alone (threat-T20)."""

import time
from typing import Any

from apps.web.api.buckets import ONE, Buckets, take
from apps.web.api.policy import Limit


def test_a_bucket_empties_and_fills() -> None:
    now_ms = 0
    buckets = Buckets(lambda: now_ms)
    limit = Limit(burst=3, per_minute=60)
    assert [buckets.take("a", limit) for _ in range(5)] == [0, 0, 0, 1000, 1000]
    assert buckets.take("b", limit) == 0
    now_ms = 999
    assert buckets.take("a", limit) == 1
    now_ms = 1000
    assert [buckets.take("a", limit), buckets.take("a", limit)] == [0, 1000]
    now_ms = 10**9
    assert [buckets.take("a", limit) for _ in range(4)] == [0, 0, 0, 1000]
    assert ONE == 60_000


def test_redis_edge_counts_the_same(edge: Any) -> None:
    slow = Limit(burst=3, per_minute=1)
    taken = [take("slow", slow) for _ in range(5)]
    assert taken[:3] == [0, 0, 0]
    assert all(0 < wait_ms <= 60_000 for wait_ms in taken[3:])
    # One more each millisecond.
    fast, deadline = Limit(burst=1, per_minute=60_000), time.monotonic() + 60
    assert take("fast", fast) == 0
    while take("fast", fast) and time.monotonic() < deadline:
        pass
    assert time.monotonic() < deadline
