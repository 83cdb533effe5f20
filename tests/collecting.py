"""Python's garbage collector in a process that has collected eight thousand tests.

A full collection looks at all of them, 0.3 CPU seconds; a matching worker asks for one each time it builds an engine,
some tests start dozens. Here it is a collection of what is young. `whole_collections` gives a test the real one.
"""

import gc
from types import SimpleNamespace
from typing import Final

from apps.matching import collector

QUICK: Final = SimpleNamespace(
    collect=lambda: gc.collect(1), freeze=gc.freeze, unfreeze=gc.unfreeze, set_threshold=gc.set_threshold
)


def collect_only_what_is_young() -> None:
    """For the rest of this process, in the workers of the tests themselves, not in processes they start."""
    collector.gc = QUICK
