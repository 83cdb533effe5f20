"""Processes that die, stop, wake up again and hand over."""

import contextlib
import os
import random
import re
import signal
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.chaos.faults.base import Fault
from tests.chaos.rig import Rig
from tests.stack import BASE_DIR, StackError

# How often each process is chosen: what orders depend on most, and what is cheap to start again.
WEIGHTS = {
    "matching": 5,
    "standby": 2,
    "gateway": 3,
    "settlement": 3,
    "redis-core": 3,
    "marketdata": 2,
    "outbox": 2,
    "archive": 2,
    "postgres": 2,
    "redis-edge": 1,
    "site": 1,
}
# Snapshots are written once a minute, the archive every few seconds.
PASSES_MAX = {
    "matching.snapshot.before": 1, "matching.snapshot.after": 1, "archive.write.before": 2, "archive.write.after": 2,
    "archive.cursor.before": 2, "outbox.append.before": 2, "outbox.append.after": 2,
}  # fmt: skip
PASSES_MAX_USUAL = 10
POINT_PATIENCE_S = 15.0
_POINT = re.compile(r'reach\("(([a-z]+)\.[a-z.]+)"\)')


def crash_points() -> dict[str, tuple[str, ...]]:
    """{process: its points}, as they stand in the sources; apps/common/crashpoints.py says what they are."""
    found: dict[str, list[str]] = {}
    for path in sorted((BASE_DIR / "apps").rglob("*.py")):
        for point, process in _POINT.findall(path.read_text("utf-8")):
            found.setdefault(process, []).append(point)
    return {process: tuple(sorted(set(points))) for process, points in sorted(found.items())}


CRASH_POINTS = crash_points()


def send(rig: Rig, name: str, number: int) -> bool:
    """Whether there was a process to signal; it may be down or just ending."""
    with contextlib.suppress(StackError, ProcessLookupError):
        os.kill(rig.stack.pid(name), number)
        return True
    return False


@dataclass(slots=True)
class Kill(Fault):
    """kill -9 of one chosen process, or of `victim`."""

    name: ClassVar[str] = "kill"
    victim: str = ""
    killed: list[str] = field(default_factory=list)
    many: int = 1

    def inject(self, rig: Rig, draw: random.Random) -> int:
        known = {name: WEIGHTS[name] for name in rig.running() if name in WEIGHTS}
        names = [self.victim] if self.victim else _draw_different(draw, known, self.many)
        self.killed = [name for name in names if send(rig, name, signal.SIGKILL)]
        return len(self.killed)

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "killed": self.killed}


@dataclass(slots=True)
class KillSeveral(Kill):
    name: ClassVar[str] = "kill-several"

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.many = draw.randint(2, 4)
        return Kill.inject(self, rig, draw)


@dataclass(slots=True)
class KillActive(Kill):
    """kill -9 of the worker that trades: with a standby, a takeover."""

    name: ClassVar[str] = "kill-active"
    stops_trading: ClassVar[bool] = True

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.victim = rig.wait_for_active()
        return Kill.inject(self, rig, draw)


@dataclass(slots=True)
class CrashPoint(Fault):
    """A process dies at a named point: it is killed, so that the next one reads the plan, which then kills itself."""

    name: ClassVar[str] = "crash-point"
    process: str = ""
    point: str = ""
    passes: int = 0
    reached: bool = False

    def inject(self, rig: Rig, draw: random.Random) -> int:
        known = [name for name in CRASH_POINTS if name in rig.running()]
        self.process = self.process or draw.choice(known)
        self.point = self.point or draw.choice(CRASH_POINTS[self.process])
        self.passes = self.passes or draw.randint(1, PASSES_MAX.get(self.point, PASSES_MAX_USUAL))
        # Whoever dies takes its line out of the plan; this one stays, so that a plan that was read can be told.
        rig.crash_plan.write_text(f"{self.point}:{self.passes}\n", "ascii")
        kills = sum(send(rig, name, signal.SIGKILL) for name in self._holders(rig))
        deadline = time.monotonic() + POINT_PATIENCE_S
        while not self.reached and time.monotonic() < deadline:
            if self.process == "outbox":
                rig.deposit()
            time.sleep(0.05)
            self.reached = self.point not in rig.crash_plan.read_text("ascii")
        return kills + self.reached

    def _holders(self, rig: Rig) -> list[str]:
        """Whichever worker takes over must have read the plan."""
        return rig.workers() if self.process == "matching" else [self.process]

    def heal(self, rig: Rig) -> None:
        """What was not reached is taken out of the plan; the process that read it may still die of it later."""
        rig.crash_plan.write_text("", "ascii")

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "point": self.point, "passes": self.passes, "reached": self.reached}


@dataclass(slots=True)
class Pause(Fault):
    """SIGSTOP, and SIGCONT after a while."""

    name: ClassVar[str] = "pause"
    hold_s: tuple[float, float] = (0.3, 3.0)
    victim: str = ""
    pid: int = 0

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.victim = self.victim or draw.choice(["redis-core", "postgres", "gateway", "settlement", "marketdata"])
        self.pid = rig.pid(self.victim)
        for pid in (self.pid, *_descendants(self.pid)):
            _signal(pid, signal.SIGSTOP)
        return 0

    def heal(self, rig: Rig) -> None:
        for pid in (self.pid, *_descendants(self.pid)):
            _signal(pid, signal.SIGCONT)

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "paused": self.victim}


@dataclass(slots=True)
class PauseActive(Pause):
    """The worker that trades sleeps until another one has taken over; when it wakes up it must be refused and end."""

    name: ClassVar[str] = "pause-promote"
    stops_trading: ClassVar[bool] = True
    hold_s: tuple[float, float] = (0.0, 0.0)

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.victim = rig.wait_for_active()
        Pause.inject(self, rig, draw)
        rig.wait_for_active(other_than=self.victim)
        rig.wait_until_trading(draw.randint(1, 10))
        return 0

    def heal(self, rig: Rig) -> None:
        Pause.heal(self, rig)
        # It wakes up in the middle of whatever it did: it ends, and its supervisor starts a new one.
        rig.until(lambda: not _is_alive(self.pid), f"end of the paused {self.victim}")


@dataclass(slots=True)
class Starve(PauseActive):
    """The active worker hardly ever runs, as on a machine that swaps: long enough stretches to lose the lease."""

    name: ClassVar[str] = "starve"

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.victim = rig.wait_for_active()
        self.pid = rig.pid(self.victim)
        ends_at = time.monotonic() + 6
        while time.monotonic() < ends_at and _is_alive(self.pid):
            _signal(self.pid, signal.SIGSTOP)
            time.sleep(draw.uniform(0.2, 1.9))
            _signal(self.pid, signal.SIGCONT)
            time.sleep(draw.uniform(0.005, 0.05))
        return 0

    def heal(self, rig: Rig) -> None:
        _signal(self.pid, signal.SIGCONT)


@dataclass(slots=True)
class HandOver(Fault):
    """SIGTERM to the active worker: a planned hand-over. Its supervisor starts it again, as the next standby."""

    name: ClassVar[str] = "hand-over"
    stops_trading: ClassVar[bool] = True
    victim: str = ""

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.victim = rig.wait_for_active()
        send(rig, self.victim, signal.SIGTERM)
        rig.wait_for_active(other_than=self.victim)
        return 0

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "from": self.victim}


@dataclass(slots=True)
class TwoTakeovers(Fault):
    """The successor dies as soon as it trades, before the first one is back as its standby."""

    name: ClassVar[str] = "two-takeovers"
    stops_trading: ClassVar[bool] = True

    def inject(self, rig: Rig, draw: random.Random) -> int:
        first = rig.wait_for_active()
        kills = send(rig, first, signal.SIGKILL)
        second = rig.wait_for_active(other_than=first)
        time.sleep(draw.uniform(0, 0.3))
        return kills + send(rig, second, signal.SIGKILL)


@dataclass(slots=True)
class BothWorkersDead(Fault):
    """Killed, and kept from coming back for longer than a queue may be old (stale orders)."""

    name: ClassVar[str] = "both-workers-dead"
    hold_s: tuple[float, float] = (5.5, 8.0)

    def inject(self, rig: Rig, draw: random.Random) -> int:
        kills = 0
        for name in rig.workers():
            kills += send(rig, name, signal.SIGKILL)
            rig.processes("stop", name)
        return kills

    def heal(self, rig: Rig) -> None:
        for name in rig.workers():
            rig.processes("start", name)


def _draw_different(draw: random.Random, weights: dict[str, int], many: int) -> list[str]:
    left = dict(weights)
    chosen = []
    for _ in range(min(many, len(left))):
        name = draw.choices(list(left), list(left.values()))[0]
        chosen.append(name)
        del left[name]
    return chosen


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _descendants(pid: int) -> list[int]:
    """PostgreSQL works in children of its own."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []
