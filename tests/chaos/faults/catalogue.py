"""All faults by name, and how often a run without a choice of its own takes each."""

import random
from collections import Counter

from tests.chaos.faults.base import Fault
from tests.chaos.faults.core import CoreDiskFull
from tests.chaos.faults.edge import FlushEdge
from tests.chaos.faults.engine import ClockForward, EngineCrash, Poison
from tests.chaos.faults.network import Mode, NetworkFault
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
    Starve,
    TwoTakeovers,
)

CATALOGUE: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        Kill, KillSeveral, KillActive, CrashPoint, Pause, PauseActive, Starve, HandOver, TwoTakeovers, BothWorkersDead,
        CoreDiskFull, FlushEdge, NetworkFault, LockHeld, NoConnections, KilledInCopy, Poison,
        EngineCrash, ClockForward,
    )
}  # fmt: skip
WEIGHTS = {"kill": 6, "kill-several": 3, "kill-active": 3, "crash-point": 6, "pause": 3, "network": 4}
NEED_STANDBY = frozenset({"pause-promote", "starve", "hand-over", "two-takeovers"})


def choose(draw: random.Random, names: list[str]) -> Fault:
    return made(draw.choices(names, [WEIGHTS.get(name, 1) for name in names])[0])


def made(spec: str) -> Fault:
    """`name`, or with details: crash-point:POINT, kill:PROCESS, pause:PROCESS, network:VICTIM/SERVER/MODE.

    KeyError or ValueError for one that is not known.
    """
    name, _, details = spec.partition(":")
    kind = CATALOGUE[name]
    if not details:
        return kind()
    if kind is CrashPoint:
        return CrashPoint(process=details.partition(".")[0], point=details)
    if kind in (Kill, Pause):
        return kind(victim=details)  # type: ignore[call-arg]
    if kind is NetworkFault:
        victim, server, mode = details.split("/")
        return NetworkFault(victim=victim, server=server, mode=Mode(mode))
    raise ValueError(f"{name} has no details")


def known_names(*, standby: bool, drawn: Counter[str]) -> list[str]:
    """What may be drawn after `drawn` was."""
    return [
        name
        for name, fault in CATALOGUE.items()
        if (standby or name not in NEED_STANDBY) and (fault.per_run_max is None or drawn[name] < fault.per_run_max)
    ]
