"""What a fault is: inject, hold, heal; afterwards everything must come back by itself."""

import random
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.chaos.rig import Rig


@dataclass(slots=True)
class Fault:
    """`hold_s` is how long it lasts, drawn between both. `heal` ends it; faults that need no end leave it out.

    stops_trading: orders cannot be answered from the injection until something took over; its length is measured.
    per_run_max: how often a run may draw it, None for any number; 0: only a test of its own uses it.
    """

    name: ClassVar[str] = ""
    stops_trading: ClassVar[bool] = False
    per_run_max: ClassVar[int | None] = None

    hold_s: tuple[float, float] = (0.0, 0.0)

    def inject(self, rig: Rig, draw: random.Random) -> int:
        """Break something; returns how many processes were killed."""
        raise NotImplementedError

    def heal(self, rig: Rig) -> None:
        """Nothing to do where the exchange repairs itself."""

    def description(self) -> dict[str, Any]:
        """For the timeline."""
        return {"fault": self.name}
