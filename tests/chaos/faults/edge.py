"""redis-edge emptied: no money, no order may depend on it."""

import random
from dataclasses import dataclass
from typing import ClassVar

import redis

from nebannpet.embedded import redis_edge
from tests.chaos.faults.base import Fault
from tests.chaos.rig import Rig


@dataclass(slots=True)
class FlushEdge(Fault):
    name: ClassVar[str] = "flush-edge"

    def inject(self, rig: Rig, draw: random.Random) -> int:
        rig.until(lambda: self._flush(rig), "redis-edge to flush")
        return 0

    @staticmethod
    def _flush(rig: Rig) -> bool:
        """False while the server is starting: the fault before may have killed it."""
        try:
            with redis.Redis.from_url(redis_edge(rig.stack.paths).url, socket_timeout=5) as edge:
                return bool(edge.flushall())
        except redis.RedisError:
            return False
