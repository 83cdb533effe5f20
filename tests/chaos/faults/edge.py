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
        with redis.Redis.from_url(redis_edge(rig.stack.paths).url, socket_timeout=5) as edge:
            edge.flushall()
        return 0
