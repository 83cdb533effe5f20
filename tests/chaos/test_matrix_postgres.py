"""Fault matrix, PostgreSQL and settlement: rows F12, F13 and F15 (reliability.md 2.12). F14: matrix.py."""

import random

import pytest

from tests.chaos.faults.postgres import KilledInCopy, LockHeld, NoConnections
from tests.chaos.faults.processes import CrashPoint, Kill, crash_points
from tests.chaos.nemesis import Nemesis
from tests.chaos.rig import Rig

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def nemesis_of(rig: Rig) -> Nemesis:
    return Nemesis(rig, random.Random(rig.seed))


def test_f12_postgres_killed_also_in_copy_trading_goes_on(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    rig.processes("stop", "postgres")
    rig.wait_until_trading(100)  # known keys trade on without it
    rig.processes("start", "postgres")
    for _ in range(3):
        nemesis.strike(KilledInCopy())
        nemesis.strike(Kill(victim="postgres"))
    assert rig.judge().broken == []


def test_f13_postgres_without_connections_and_locked_for_half_a_minute(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    nemesis.strike(NoConnections(hold_s=(5.0, 5.0)))
    nemesis.strike(LockHeld(hold_s=(30.0, 30.0)))
    assert rig.judge().broken == []


def test_f15_settlement_killed_at_each_point(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    points = crash_points()["settlement"]
    assert len(points) >= 4
    for point in points:
        for passes in (1, 5):
            fault = CrashPoint(process="settlement", point=point, passes=passes)
            nemesis.strike(fault)
            assert fault.reached, point
    for point in crash_points()["outbox"]:
        fault = CrashPoint(process="outbox", point=point, passes=1)
        nemesis.strike(fault)
        assert fault.reached, point
    assert rig.judge().broken == []
