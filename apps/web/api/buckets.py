"""Token buckets in redis-edge, by its clock, and in this process while it is away (threat-T20).

One script call takes from a bucket or does not, so parallel requests never pass a limit together. A bucket counts in
60,000ths of a request: so many milliseconds has a minute, and all arithmetic is in whole numbers. Nothing here needs
Django REST framework, so that the site's other public addresses count, too, without waiting for its import.
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from django.conf import settings
from redis import Redis

from apps.common.networks import network_of
from apps.web.api.edge import EdgeDown, edge
from apps.web.api.policy import BUCKETS_KEPT, PER_ADDRESS, Limit

ONE: Final = 60_000

# KEYS[1] the bucket, ARGV burst and requests a minute -> 0, or the milliseconds until one more is there.
TAKE: Final = f"""
local burst,rate=tonumber(ARGV[1])*{ONE},tonumber(ARGV[2])
local time=redis.call('TIME')
local now=time[1]*1000+math.floor(time[2]/1000)
local kept=redis.call('HMGET',KEYS[1],'level','at')
local level=burst
if kept[1] then level=math.min(burst,tonumber(kept[1])+math.max(now-tonumber(kept[2]),0)*rate) end
local wait=0
if level<{ONE} then wait=math.ceil(({ONE}-level)/rate) else level=level-{ONE} end
redis.call('HSET',KEYS[1],'level',string.format('%.0f',level),'at',string.format('%.0f',now))
redis.call('PEXPIRE',KEYS[1],math.ceil(burst/rate)+1000)
return wait
"""


class Buckets:
    """The same in this process's memory."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._kept: dict[str, tuple[int, int]] = {}
        self._lock = Lock()

    def take(self, name: str, limit: Limit) -> int:
        """0, or the milliseconds until one more is there."""
        now_ms = self._clock_ms()
        with self._lock:
            level, at_ms = self._kept.pop(name, (limit.burst * ONE, now_ms))
            level = min(limit.burst * ONE, level + (now_ms - at_ms) * limit.per_minute)
            wait_ms = 0 if level >= ONE else -(-(ONE - level) // limit.per_minute)
            self._kept[name] = (level if wait_ms else level - ONE, now_ms)
            if len(self._kept) > BUCKETS_KEPT:
                del self._kept[next(iter(self._kept))]
        return wait_ms


ALONE: Final = Buckets(lambda: time.monotonic_ns() // 1_000_000)


def take(name: str, limit: Limit) -> int:
    """0, or the milliseconds until `name` may ask once more."""

    def ask(client: Redis) -> Any:
        return client.eval(TAKE, 1, f"platform-api:{name}", limit.burst, limit.per_minute)

    try:
        return int(edge().ask(ask))
    except EdgeDown:
        return ALONE.take(name, limit)


def wait_s(name: str, limit: Limit) -> int:
    """0, or the whole seconds until `name` may ask once more; RATE_LIMIT_FACTOR multiplies the limit."""
    return -(-take(name, limit.times(settings.RATE_LIMIT_FACTOR)) // 1000)


def address_wait_s(address: str) -> int:
    """The same for an IP address, with all others of its network; the public addresses of the site count together."""
    return wait_s(f"address:{network_of(address)}", PER_ADDRESS)
