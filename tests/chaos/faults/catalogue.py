"""All faults by name, and how often a run without a choice of its own takes each."""

import random

from tests.chaos.faults.base import Fault
from tests.chaos.faults.core import CoreDiskFull
from tests.chaos.faults.edge import FlushEdge
from tests.chaos.faults.network import NetworkFault
from tests.chaos.faults.postgres import KilledInCopy, LockHeld, NoConnections
from tests.chaos.faults.processes import (
    BothWorkersDead,
    CrashPoint,
    HandOver,
    Kill,
    KillActive,
    KillSeveral,
    Pause,
    PauseActive,
    TwoTakeovers,
)

CATALOGUE: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        Kill, KillSeveral, KillActive, CrashPoint, Pause, PauseActive, HandOver, TwoTakeovers, BothWorkersDead,
        CoreDiskFull, FlushEdge, NetworkFault, LockHeld, NoConnections, KilledInCopy,
    )
}  # fmt: skip
WEIGHTS = {"kill": 6, "kill-several": 3, "kill-active": 3, "crash-point": 6, "pause": 3, "network": 4}
NEED_STANDBY = frozenset({"pause-promote", "hand-over", "two-takeovers"})


def choose(draw: random.Random, names: list[str]) -> Fault:
    return CATALOGUE[draw.choices(names, [WEIGHTS.get(name, 1) for name in names])[0]]()


def known_names(*, standby: bool) -> list[str]:
    return [name for name in CATALOGUE if standby or name not in NEED_STANDBY]
