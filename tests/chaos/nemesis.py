"""Which fault when: all drawn from a seed, one after the other, each with its place in the timeline."""

import random
import time
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.faults.base import Fault
from tests.chaos.rig import Rig
from tests.chaos.timing import takeover_s


@dataclass(slots=True)
class Nemesis:
    """`kills` counts killed processes; `takeovers_s` are the silences of faults that stop trading."""

    rig: Rig
    draw: random.Random
    kills: int = 0
    timeline: list[dict[str, Any]] = field(default_factory=list)
    takeovers_s: list[float] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def strike(self, fault: Fault) -> None:
        """One fault, from injection until orders are acknowledged again."""
        injected_s = time.monotonic()
        entry: dict[str, Any] = {"at_s": round(injected_s - self.started_s, 2)}
        self.timeline.append(entry)
        try:
            self.kills += fault.inject(self.rig, self.draw)
            entry |= fault.description()
            time.sleep(self.draw.uniform(*fault.hold_s))
        finally:
            fault.heal(self.rig)
        if fault.stops_trading:
            entry["silence_ms"] = round(self.measure_takeover(injected_s) * 1000)
        else:
            self.rig.wait_until_trading()
        self.rig.deposit()
        self.rig.ask_snapshot()
        entry["recovered_s"] = round(time.monotonic() - self.started_s, 2)

    def measure_takeover(self, injected_s: float) -> float:
        """Wait until somebody trades again; how long nothing was acknowledged."""
        self.rig.wait_for_active()
        self.rig.wait_until_trading()
        silence_s = takeover_s(self.rig.crowd.histories.acknowledged_s, injected_s, time.monotonic())
        self.takeovers_s.append(silence_s)
        return silence_s
