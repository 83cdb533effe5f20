"""Planted bugs of the plain engine: one at a time in a copy of the tree, on which the tests run."""

from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.matching.engine.planted.bugs import TESTS, quick
from tests.planting import Bug, copied, fails, plant

# Each list's own test fails with every bug, because the bug's text is gone.
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


class PlainEngine:
    """So many copies of the tree as are tried at the same time."""

    def __init__(self, directory: Path, jobs: int) -> None:
        self.trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            self.trees.put(copied(directory, f"tree{number}"))

    def fails_without(self) -> str:
        """How the tests fail on an untouched copy; empty when they pass."""
        tree = self.trees.get()
        try:
            return fails(tree, QUICK)
        finally:
            self.trees.put(tree)

    def how_it_dies(self, bug: Bug) -> str:
        tree = self.trees.get()
        try:
            return how_it_dies(tree, bug)
        finally:
            self.trees.put(tree)
