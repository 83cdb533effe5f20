"""python -m tests.chaos: runs of the chaos rig, one JSON line each, and one for all of them.

    --seed 7 --runs 10 --kills 100           a thousand kill -9 over ten seeds
    --seed 7 --faults pause-promote --count 50
    --seed 7 --seconds 60                    whatever the catalogue has; --list shows it

Ends with code 1 when a promise was broken. The same seed draws the same faults in the same order; their exact moment is
the machine's.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.chaos.campaign import Plan, Result, run
from tests.chaos.faults.catalogue import CATALOGUE, made
from tests.chaos.timing import summary_ms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults in each run")
    parser.add_argument("--count", type=int, default=0, help="faults in each run, instead of seconds")
    parser.add_argument("--kills", type=int, default=0, help="only kill -9, this many in each run, as fast as possible")
    parser.add_argument(
        "--faults",
        default="",
        help="names from --list, separated by commas; kill:NAME, pause:NAME, crash-point:POINT, network:WHO/SERVER/HOW",
    )
    parser.add_argument("--no-standby", action="store_true", help="one worker only")
    parser.add_argument("--keep", type=Path, default=Path.cwd(), help="where histories of failed runs are written")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:24}{(fault.__doc__ or '').splitlines()[0]}" for name, fault in CATALOGUE.items()))
        return 0
    names = tuple(name for name in options.faults.split(",") if name)
    for name in names:
        try:
            made(name)
        except (KeyError, ValueError) as error:
            parser.error(f"there is no fault {name} ({error}); --list shows all")
    plan = Plan(
        seconds=options.seconds, count=options.count, kills=options.kills, faults=names, standby=not options.no_standby
    )
    results = []
    for seed in range(options.seed, options.seed + options.runs):
        results.append(run(seed, plan, keep=options.keep))
        print(json.dumps(results[-1].line), flush=True)
    print(json.dumps(summary(results)), flush=True)
    return 1 if any(result.broken for result in results) else 0


def summary(results: list[Result]) -> dict[str, object]:
    sums = ("faults", "kills", "acknowledged", "unknown", "refused", "lost", "doubled", "events", "trades")
    return {
        "runs": len(results),
        "failed_seeds": [result.seed for result in results if result.broken],
        **{name: sum(int(result.line.get(name, 0)) for result in results) for name in sums},
        "takeover_ms": summary_ms([silence_s for result in results for silence_s in result.takeovers_s]),
    }


if __name__ == "__main__":
    sys.exit(main())
