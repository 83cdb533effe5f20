"""One run of a seed: an exchange, faults, a judgement, and one line of figures."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.faults.catalogue import choose, known_names
from tests.chaos.faults.processes import CRASH_POINTS, WEIGHTS, send
from tests.chaos.history import Outcome
from tests.chaos.load.crowd import Size
from tests.chaos.nemesis import Nemesis
from tests.chaos.rig import Rig
from tests.chaos.timing import summary_ms

# Kills of one process that follow on each other without waiting for orders in between, at most.
UNWATCHED_KILLS_MAX = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run does: single faults for `seconds` or `count` of them, or `kills` as fast as they can be had."""

    seconds: float = 60.0
    count: int = 0
    kills: int = 0
    faults: tuple[str, ...] = ()
    standby: bool = True
    size: Size = field(default_factory=Size)


@dataclass(slots=True)
class Result:
    seed: int
    broken: list[str]
    line: dict[str, Any]
    takeovers_s: list[float]


def run(seed: int, plan: Plan, *, keep: Path | None = None) -> Result:
    """`keep`: where the history of a failed run goes."""
    draw = random.Random(seed)
    started_s = time.monotonic()
    with Rig(seed=seed, size=plan.size, standby=plan.standby) as rig:
        nemesis = Nemesis(rig, draw)
        failure = ""
        try:
            if plan.kills:
                _kill_many(nemesis, plan.kills)
            else:
                _strike(nemesis, plan)
        except AssertionError as error:  # it did not come back: that is a verdict too, and the history is still judged
            failure = f"not recovered: {error}"
        try:
            verdict = rig.judge()
            broken, counts = verdict.broken, verdict.counts
        except AssertionError as error:
            broken, counts = [f"not at rest: {error}"], {}
        if failure:
            broken.insert(0, failure)
        if broken and keep is not None:
            rig.crowd.histories.save(keep / f"chaos-{seed}.jsonl")
        histories = rig.crowd.histories
        line = {
            "seed": seed,
            "seconds": round(time.monotonic() - started_s, 1),
            "faults": len(nemesis.timeline),
            "kills": nemesis.kills,
            **counts,
            "unknown": histories.count(Outcome.UNKNOWN),
            "refused": histories.count(Outcome.REFUSED),
            "takeover_ms": summary_ms(nemesis.takeovers_s),
            "broken": broken,
        }
        if broken:
            line["timeline"] = nemesis.timeline
            rig.stack.print_logs()
        return Result(seed, broken, line, nemesis.takeovers_s)


def _strike(nemesis: Nemesis, plan: Plan) -> None:
    drawn: Counter[str] = Counter()
    ends_at = time.monotonic() + plan.seconds
    while len(nemesis.timeline) < plan.count if plan.count else time.monotonic() < ends_at:
        fault = choose(nemesis.draw, list(plan.faults) or known_names(standby=plan.standby, drawn=drawn))
        drawn[fault.name] += 1
        nemesis.strike(fault)
        time.sleep(nemesis.draw.expovariate(2))


def _kill_many(nemesis: Nemesis, kills: int) -> None:
    """kill -9 after kill -9: mostly when orders flow again, now and then into the recovery of the one before."""
    rig, draw = nemesis.rig, nemesis.draw
    unwatched = 0
    while nemesis.kills < kills:
        known = {name: WEIGHTS[name] for name in rig.running() if name in WEIGHTS}
        victims = draw.choices(list(known), list(known.values()), k=draw.choices((1, 2, 3), (80, 15, 5))[0])
        if draw.random() < 0.15:
            # The process that is started in place of the killed one dies at a named point: two kills for one.
            process = draw.choice([name for name in CRASH_POINTS if name in known])
            point = draw.choice(CRASH_POINTS[process])
            rig.crash_plan.write_text(f"{point}:{draw.randint(1, 10)}\n", "ascii")
            victims = [process]
        active, at_s = rig.active(), time.monotonic()
        done = [name for name in dict.fromkeys(victims) if send(rig, name, signal.SIGKILL)]
        nemesis.kills += len(done)
        if done:
            nemesis.timeline.append({"at_s": round(at_s - nemesis.started_s, 2), "killed": done})
        if draw.random() < 0.3:
            rig.ask_snapshot()
        if draw.random() < 0.1:
            rig.deposit()
        unwatched += 1
        if unwatched >= UNWATCHED_KILLS_MAX or draw.random() < 0.7:
            unwatched = 0
            if done == [active]:
                nemesis.measure_takeover(at_s)
            else:
                rig.wait_until_trading(draw.randint(1, 20))
        else:
            time.sleep(draw.expovariate(3))
    rig.crash_plan.write_text("", "ascii")
