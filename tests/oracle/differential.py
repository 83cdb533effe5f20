"""Two engines over the same histories, without the model: the same bytes at each command, the same state at the end.

    python -m tests.oracle.differential plain native --commands 1000000 [--first-seed 0] [--commands-a-seed 10000]

The second one gets up to --longest-call commands a call, cut at random. With --calls each eighth history is one of call
auctions, with --legs another eighth one of lists whose legs leave while a sweep runs. Ends with 0 and a line of
figures, or with 1 and the shrunk stream at which they differ.
"""

import argparse
import sys
import time
from typing import Any

from tests.oracle.agreement import Disagreement, Make, agree_in_calls
from tests.oracle.call_auctions import Calls
from tests.oracle.engines import ENGINES
from tests.oracle.leaving_legs import Legs
from tests.oracle.streams import History

REPORT_EVERY_S = 60


def differ(
    seed: int, count: int, left: Make, right: Make, *, kind: type[History] = History, longest_call: int = 1
) -> str:
    """The state hash that both have after `count` commands of the seed's history; Disagreement otherwise."""
    one, two = agree_in_calls(f"{kind.__name__} {seed}", kind(seed), count, left, right, longest_call)
    hashes: list[Any] = [engine.state_hash() for engine in (one, two)]  # type: ignore[attr-defined]
    if hashes[0] != hashes[1]:
        raise Disagreement(f"seed {seed}: the same events, but states {hashes[0]} and {hashes[1]}")
    one.validate()
    two.validate()
    return str(hashes[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left", choices=ENGINES)
    parser.add_argument("right", choices=ENGINES)
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--commands-a-seed", type=int, default=10_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--longest-call", type=int, default=1)
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--legs", action="store_true")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + -(-given.commands // given.commands_a_seed))
    begun = told = time.monotonic()
    for seed in seeds:
        kind: type[History] = History
        if given.calls and seed % 8 == 7:
            kind = Calls
        elif given.legs and seed % 8 == 3:
            kind = Legs
        try:
            differ(
                seed,
                given.commands_a_seed,
                ENGINES[given.left],
                ENGINES[given.right],
                kind=kind,
                longest_call=given.longest_call,
            )
        except Disagreement as difference:
            print(difference)
            return 1
        now = time.monotonic()
        if seed == seeds[-1] or now - told > REPORT_EVERY_S:
            told, count = now, (seed - seeds.start + 1) * given.commands_a_seed
            rate = f"{count / (now - begun):.0f} a second"
            print(f"{count} commands of seeds {seeds.start} to {seed}: no difference ({rate})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
