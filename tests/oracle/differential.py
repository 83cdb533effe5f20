"""Two engines over the same histories, without the model: the same bytes at each command, the same state at the end.

    python -m tests.oracle.differential plain native --commands 1000000 [--first-seed 0] [--commands-a-seed 10000]

Ends with 0 and a line of figures, or with 1 and the shrunk stream at which they differ.
"""

import argparse
import sys
import time
from typing import Any

from tests.oracle.agreement import Disagreement, Make, agree
from tests.oracle.engines import ENGINES
from tests.oracle.streams import History


def differ(seed: int, count: int, left: Make, right: Make) -> str:
    """The state hash that both have after `count` commands of the seed's history; Disagreement otherwise."""
    one, two = agree(f"seed {seed}", History(seed), count, left, right)
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
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + -(-given.commands // given.commands_a_seed))
    begun = time.monotonic()
    for seed in seeds:
        try:
            differ(seed, given.commands_a_seed, ENGINES[given.left], ENGINES[given.right])
        except Disagreement as difference:
            print(difference)
            return 1
    count = len(seeds) * given.commands_a_seed
    seconds = time.monotonic() - begun
    print(
        f"{count} commands of seeds {seeds.start} to {seeds.stop - 1}: no difference ({count / seconds:.0f} a second)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
