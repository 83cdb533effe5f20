"""Commands that break the engine (apps/matching/faults.py listens to their client ids), and time that jumps."""

import itertools
import random
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import redis

from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from nebannpet.embedded import redis_core
from tests.chaos.faults.base import Fault
from tests.chaos.rig import Rig

_numbers = itertools.count(1)
HOUR_MS = 3_600_000


@dataclass(slots=True)
class Poison(Fault):
    """An order at which the engine raises: it is skipped and rejected, and everybody else's orders go on."""

    name: ClassVar[str] = "poison"
    per_run_max: ClassVar[int] = 1
    stops_trading: ClassVar[bool] = True
    prefix: ClassVar[str] = "poison-"
    client_id: str = ""

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.client_id = f"{self.prefix}{next(_numbers)}"
        rig.place(self.client_id, side=draw.choice(("BUY", "SELL")), price="100.00", quantity="0.5")
        return 0

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "client_id": self.client_id}


@dataclass(slots=True)
class EngineCrash(Poison):
    """An order at which the engine process dies by a signal, on every attempt: after two it is skipped."""

    name: ClassVar[str] = "engine-crash"
    prefix: ClassVar[str] = "crash-"


@dataclass(slots=True)
class ClockForward(Fault):
    """redis-core's clock one hour ahead, as its entry ids show it. It halts the markets, so a run ends with it.

    The ids never come back, so from then on the clock is also one hour behind them: time stands still.
    """

    name: ClassVar[str] = "clock-forward"
    per_run_max: ClassVar[int] = 0
    entry: str = ""

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.entry = f"{int(time.time() * 1000) + HOUR_MS}-0"
        with redis.Redis.from_url(redis_core(rig.stack.paths).url, socket_timeout=5) as core, core.pipeline() as both:
            both.xadd("{spot}:commands", {"d": encode_command(Tick())}, id=self.entry)
            both.incrby("{spot}:frames_in", 1)
            both.execute()
        return 0

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "entry": self.entry}
