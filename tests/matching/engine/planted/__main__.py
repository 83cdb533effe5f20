"""python -m tests.matching.engine.planted [name ...] [--engine plain|native]: every planted bug must die.

Prints dead/planted of each engine, and ends with 1 if a bug lives. The tests named with a bug run first, then all quick
tests of its engine, until one fails. They pass without any bug, which is tried first (left out with --trust).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from tests.matching.engine.planted import bugs, native_bugs
from tests.matching.engine.planted.native import NativeEngine
from tests.matching.engine.planted.plain import PlainEngine
from tests.planting import Bug, chosen


class Planted(Protocol):
    """An engine into which bugs can be put, `jobs` at the same time."""

    def __init__(self, directory: Path, jobs: int) -> None: ...

    def fails_without(self) -> str: ...

    def how_it_dies(self, bug: Bug) -> str: ...


ENGINES: Final[dict[str, tuple[type[Planted], Sequence[Bug]]]] = {
    "plain": (PlainEngine, bugs.BUGS),
    "native": (NativeEngine, native_bugs.BUGS),
}


def all_die(name: str, tried: Sequence[Bug], jobs: int, trust: bool) -> bool:
    """Whether they do; tells of each."""
    dead, begun = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nebannpet-planted-") as directory:
        engine = ENGINES[name][0](Path(directory), jobs)
        if not trust and (how := engine.fails_without()):
            print(f"{name}: fails without any bug: {how}", flush=True)
            return False
        with ThreadPoolExecutor(jobs) as pool:
            for bug, how in zip(tried, pool.map(engine.how_it_dies, tried), strict=True):
                dead += bool(how)
                print(f"{'dead' if how else 'LIVES'}  {name} {bug.name}: {how or bug.what}", flush=True)
    print(f"{name}: {dead}/{len(tried)} planted bugs died in {time.monotonic() - begun:.0f} s", flush=True)
    return dead == len(tried)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matching.engine.planted")
    parser.add_argument("names", nargs="*", help="only these bugs")
    parser.add_argument("--engine", choices=ENGINES, help="only this engine's")
    parser.add_argument("--trust", action="store_true", help="do not run the tests on the untouched code first")
    parser.add_argument("--jobs", type=int, default=2, help="bugs that are tried at the same time")
    options = parser.parse_args()
    engines = [options.engine] if options.engine else list(ENGINES)
    wanted = chosen(parser, options.names, [bug for name in engines for bug in ENGINES[name][1]])
    lists = {name: [bug for bug in ENGINES[name][1] if bug in wanted] for name in engines}
    died = {name: all_die(name, lists[name], options.jobs, options.trust) for name in engines if lists[name]}
    return 0 if all(died.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
