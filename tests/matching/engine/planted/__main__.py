"""python -m tests.matching.engine.planted [name ...]: every planted bug must die; prints dead/planted, 1 if one lives.

Bugs are put one at a time into a copy of the tree in a temporary directory, never into this one. The tests named with
a bug run first, then all quick tests of the engine, until one fails. They pass on an untouched copy, which is tried
first (left out with --trust).
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.matching.engine.planted.bugs import BUGS, TESTS, quick
from tests.planting import Bug, copied, fails, plant

# This list's own test fails with every bug, because the bug's text is gone.
QUICK: Final = quick(TESTS, f"--ignore={TESTS}test_planted.py")


def how_it_dies(tree: Path, bug: Bug) -> str:
    """The last words of the first test that fails; empty where all pass. The tree is as before afterwards."""
    before = {name: (tree / name).read_bytes() for name, _, _ in bug.edits}
    plant(tree, bug)
    try:
        return next((how for finder in (*bug.finders, QUICK) if (how := fails(tree, finder))), "")
    finally:
        for name, content in before.items():
            (tree / name).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matching.engine.planted")
    parser.add_argument("names", nargs="*", help="only these bugs")
    parser.add_argument("--trust", action="store_true", help="do not run the tests on the untouched code first")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tried at the same time")
    options = parser.parse_args()
    known = {bug.name: bug for bug in BUGS}
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"there is no bug {', '.join(unknown)}; known are {', '.join(known)}")
    bugs = [known[name] for name in options.names] if options.names else list(BUGS)
    dead, begun = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nebannpet-planted-") as directory:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            trees.put(copied(Path(directory), f"tree{number}"))
        if not options.trust:
            tree = trees.get()
            if how := fails(tree, QUICK):
                print(f"fails without any bug: {how}", flush=True)
                return 1
            trees.put(tree)

        def attempt(bug: Bug) -> tuple[Bug, str]:
            tree = trees.get()
            try:
                return bug, how_it_dies(tree, bug)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(options.jobs) as pool:
            for bug, how in pool.map(attempt, bugs):
                dead += bool(how)
                print(f"{'dead' if how else 'LIVES'}  {bug.name}: {how or bug.what}", flush=True)
    print(f"{dead}/{len(bugs)} planted bugs died in {time.monotonic() - begun:.0f} s")
    return 0 if dead == len(bugs) else 1


if __name__ == "__main__":
    sys.exit(main())
