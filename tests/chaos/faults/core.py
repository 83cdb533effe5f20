"""redis-core when its disk is full: under `appendfsync always` the server ends instead of acknowledging."""

import random
import resource
from dataclasses import dataclass
from typing import ClassVar

import psutil

from tests.chaos.faults.base import Fault
from tests.chaos.rig import Rig

RLIM_INFINITY = resource.RLIM_INFINITY


@dataclass(slots=True)
class CoreDiskFull(Fault):
    """A limit on the size of files, a little above the append-only file's: the next writes go in, then one fails.

    The server ends at the first write that fails; the one that is started in its place has no limit.
    """

    name: ClassVar[str] = "core-disk-full"
    stops_trading: ClassVar[bool] = True
    pid: int = 0

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.pid = rig.pid("redis-core")
        file = rig.stack.data_dir / "redis-core" / "appendonly.aof"
        # An odd number of bytes, so that an entry is cut in its middle.
        limit = file.stat().st_size + draw.randint(500, 5000)
        psutil.Process(self.pid).rlimit(psutil.RLIMIT_FSIZE, (limit, RLIM_INFINITY))
        rig.until(lambda: not psutil.pid_exists(self.pid) or self._is_zombie(), "end of redis-core on a full disk")
        return 1

    def _is_zombie(self) -> bool:
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def heal(self, rig: Rig) -> None:
        rig.stack.wait_ready("redis-core")
