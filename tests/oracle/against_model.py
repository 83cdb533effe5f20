"""An engine against the model, over histories by seed.

    python -m tests.oracle.against_model plain --commands 100000 [--first-seed 0]

Ends with 0 and a line of figures, or with 1 and the shrunk stream at which they differ (left: the model).
"""

import argparse
import sys
import time

from tests.oracle.agreement import Disagreement, agree
from tests.oracle.engines import ENGINES, oracle
from tests.oracle.streams import History

COMMANDS_A_SEED = 2_000


def compare(seed: int, engine: str, count: int = COMMANDS_A_SEED) -> None:
    """Model and engine agree over `count` commands of the seed's history; both find their state sound at the end."""
    for checked in agree(f"seed {seed}, model and {engine}", History(seed), count, oracle, ENGINES[engine]):
        checked.validate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + -(-given.commands // COMMANDS_A_SEED))
    begun = time.monotonic()
    for seed in seeds:
        try:
            compare(seed, given.engine)
        except Disagreement as difference:
            print(difference)
            return 1
    count, seconds = len(seeds) * COMMANDS_A_SEED, time.monotonic() - begun
    print(f"{count} commands of seeds {seeds.start} to {seeds.stop - 1}: they agree ({count / seconds:.0f} a second)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
