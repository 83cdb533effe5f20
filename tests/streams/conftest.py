"""One bus fixture, twice: in memory and on a real redis-core. What passes here is the contract."""

from collections.abc import Iterator

import pytest
import redis

from apps.streams.bus.base import Bus
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus


@pytest.fixture(params=["memory", "redis"])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "memory":
        yield MemoryBus("spot")
    else:
        core: redis.Redis = request.getfixturevalue("core")
        core.ping()
        redis_bus = RedisBus(request.getfixturevalue("redis_core_url"), "spot")
        yield redis_bus
        redis_bus.close()
