"""Two minutes at most of what `make chaos` does for hours: one exchange, one fault after the other, one judgement."""

import random
import secrets

import pytest

from tests.chaos.faults.base import Fault
from tests.chaos.faults.catalogue import choose
from tests.chaos.faults.core import CoreDiskFull
from tests.chaos.faults.edge import FlushEdge
from tests.chaos.faults.engine import EngineCrash, Poison
from tests.chaos.faults.network import Mode, NetworkFault
from tests.chaos.faults.postgres import KilledInCopy
from tests.chaos.faults.processes import CrashPoint, HandOver, Kill, KillActive, KillSeveral, PauseActive
from tests.chaos.nemesis import Nemesis
from tests.chaos.rig import Rig

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

FIXED_SEED = 4
# Short ones, so that a random seed does not make the sample long.
RANDOM_FROM = ["kill", "kill-several", "kill-active", "crash-point", "pause"]
RANDOM_FAULTS = 3


def fixed() -> list[Fault]:
    """One of each kind that the fixes of this code base owe their tests to."""
    return [
        KillActive(),
        PauseActive(),
        CrashPoint(process="matching", point="matching.append.after", passes=3),
        CrashPoint(process="settlement", point="settlement.commit.after", passes=2),
        CrashPoint(process="outbox", point="outbox.append.after", passes=1),
        CrashPoint(process="gateway", point="gateway.append.after", passes=3),
        KilledInCopy(),
        CoreDiskFull(),
        NetworkFault(hold_s=(1.0, 1.0), victim="gateway", server="redis-core", mode=Mode.DROP_ANSWERS),
        Poison(),
        EngineCrash(),
        HandOver(),
        FlushEdge(),
        Kill(victim="marketdata"),
        KillSeveral(),
    ]


def test_a_sample_of_chaos() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    with Rig(seed=seed) as rig:
        nemesis = Nemesis(rig, random.Random(FIXED_SEED))
        for fault in fixed():
            nemesis.strike(fault)
        nemesis.draw = random.Random(seed)
        for _ in range(RANDOM_FAULTS):
            nemesis.strike(choose(nemesis.draw, RANDOM_FROM))
        verdict = rig.judge()
        print({"kills": nemesis.kills, **verdict.counts, "timeline": nemesis.timeline})
        assert verdict.broken == []
        # After each fault ten are waited for; how many there are beside those is the machine's affair.
        assert verdict.counts["acknowledged"] >= 10 * len(nemesis.timeline)
        assert verdict.counts["epochs"] >= 5
