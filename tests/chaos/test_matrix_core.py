"""Fault matrix, redis-core: rows F5 and F7-F10 (reliability.md 2.12); F6, F11 and flipped bytes: matrix.py."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from nebannpet.embedded import redis_core
from tests.chaos.faults.core import CoreDiskFull
from tests.chaos.faults.processes import Kill, Pause
from tests.chaos.history import Kind, Outcome
from tests.chaos.nemesis import Nemesis
from tests.chaos.rig import Rig

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

LOST = {"log-behind-postgres", "log-behind-snapshot", "log-damaged", "postgres-chain-differs", "snapshot-chain-differs"}
WIPED = LOST | {"commands-miscounted"}


def nemesis_of(rig: Rig) -> Nemesis:
    return Nemesis(rig, random.Random(rig.seed))


def test_f05_redis_core_killed_under_load(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    for _ in range(5):
        nemesis.strike(Kill(victim="redis-core"))
    assert nemesis.kills == 5
    assert rig.judge().broken == []


def test_f09_redis_core_without_disk_ends_and_loses_nothing(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    for _ in range(3):
        nemesis.strike(CoreDiskFull())
    assert rig.judge().broken == []


def test_f10_redis_core_that_sleeps_costs_answers_and_nothing_else(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    epoch = rig.log().epochs[-1]
    nemesis.strike(Pause(victim="redis-core", hold_s=(0.7, 0.7)))
    assert rig.log().epochs[-1] == epoch, "shorter than the lease: nobody may take over"
    nemesis.strike(Pause(victim="redis-core", hold_s=(3.0, 3.0)))
    assert rig.judge().broken == []


# -- the log itself ---------------------------------------------------------------------------------------------------
def cut_the_tail(file: Path, older: Path) -> None:
    """As long as it was some seconds ago, and a few bytes more: in the middle of an entry."""
    os.truncate(file, older.stat().st_size + 7)


def take_an_old_copy(file: Path, older: Path) -> None:
    shutil.copyfile(older, file)


def delete(file: Path, older: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [cut_the_tail, delete])
def test_f07_log_cut_or_deleted_halts_the_shard(own: Rig, damage: Callable[[Path, Path], None]) -> None:
    halted_by(own, damage, WIPED)


def test_f07_log_flushed_by_an_administrator_halts_the_shard(own: Rig) -> None:
    def flush() -> None:
        with redis.Redis.from_url(redis_core(own.stack.paths).url) as core:
            core.flushall()

    halted_by(own, lambda file, older: None, WIPED, afterwards=flush)


def test_f08_log_restored_from_an_old_copy_halts_the_shard(own: Rig) -> None:
    halted_by(own, take_an_old_copy, LOST)


def halted_by(
    rig: Rig, damage: Callable[[Path, Path], None], reasons: set[str], *, afterwards: Callable[[], None] | None = None
) -> None:
    """With that log nobody trades and the reason is told; with the right one back, nothing is missing."""
    file, copy, older = stopped_with_copies(rig)
    damage(file, older)
    rig.processes("start", "redis-core")
    if afterwards is not None:
        afterwards()
    rig.until(lambda: halts(rig) and halts(rig) <= reasons, f"a halt for one of {sorted(reasons)}")
    acknowledged = rig.crowd.acknowledged()
    time.sleep(2)
    assert rig.active() is None
    assert rig.crowd.acknowledged() == acknowledged
    healed(rig, file, copy)


def halts(rig: Rig) -> set[str]:
    return {str(reason) for name in rig.workers() if (reason := rig.health(name).get("halt_reason"))}


def stopped_with_copies(rig: Rig) -> tuple[Path, Path, Path]:
    """redis-core is stopped; (its file, a copy of it, a copy from seconds ago). The follower looks away."""
    file = rig.stack.data_dir / "redis-core" / "appendonly.aof"
    copy, older = rig.stack.data_dir / "copy.aof", rig.stack.data_dir / "older.aof"
    shutil.copyfile(file, older)
    rig.wait_until_trading(60)
    rig.follower.read()
    rig.follower.pause()
    rig.processes("stop", "redis-core")
    shutil.copyfile(file, copy)
    return file, copy, older


def healed(rig: Rig, file: Path, copy: Path) -> None:
    """What an operator does: the right file back, and whoever stopped until a person looks is started again."""
    halted = [*rig.workers(), "archive"]
    for name in ("redis-core", *halted):
        rig.processes("stop", name)
    shutil.copyfile(copy, file)
    for name in ("redis-core", *halted):
        rig.processes("start", name)
    rig.follower.resume()
    rig.wait_until_trading()
    assert list(rig.crowd.histories.operations(Kind.PLACE, Outcome.OK))
    assert rig.judge().broken == []
