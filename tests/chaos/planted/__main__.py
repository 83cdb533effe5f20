"""python -m tests.chaos.planted [name ...]: every planted bug must be found; prints found/planted, 1 if one is not.

Each bug is put into a copy of the tree in a temporary directory, never into this one. A finder that fails without any
bug finds nothing: all of them run on an untouched copy first (left out with --trust).
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.planted.bugs import BUGS
from tests.planting import Bug, Finder, chosen, copied, fails, plant


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.planted")
    parser.add_argument("names", nargs="*", help="only these bugs")
    parser.add_argument("--trust", action="store_true", help="do not run the finders on the untouched code first")
    options = parser.parse_args()
    bugs = chosen(parser, options.names, BUGS)
    found = 0
    with tempfile.TemporaryDirectory(prefix="nebannpet-planted-") as directory:
        parent = Path(directory)
        bad = {} if options.trust else _bad_finders(parent, bugs)
        for bug in bugs:
            tree = copied(parent, bug.name)
            plant(tree, bug)
            how = next((how for finder in bug.finders if finder not in bad and (how := fails(tree, finder))), "")
            found += bool(how)
            print(f"{'found' if how else 'NOT FOUND'}  {bug.name}: {how or bug.what}", flush=True)
            shutil.rmtree(tree)
    print(f"{found}/{len(bugs)} planted bugs found")
    return 0 if found == len(bugs) else 1


def _bad_finders(parent: Path, bugs: list[Bug]) -> dict[Finder, str]:
    """Finders that fail on the code as it is."""
    tree = copied(parent, "untouched")
    finders = dict.fromkeys(finder for bug in bugs for finder in bug.finders)
    bad = {finder: how for finder in finders if (how := fails(tree, finder))}
    for finder, how in bad.items():
        print(f"fails without any bug: python -m {' '.join(finder)}: {how}", flush=True)
    shutil.rmtree(tree)
    return bad


if __name__ == "__main__":
    sys.exit(main())
