"""Python's garbage collector in a process that has collected nine thousand tests.

A full collection would look at all of them, 0.3 CPU seconds, so they are frozen. A matching worker asks for one each
time it builds an engine, some tests start dozens, and thaws what is frozen: here it is a collection of what is young,
and what is frozen stays so. `whole_collections` gives a test the real one.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Final

from apps.matching import collector

QUICK: Final = SimpleNamespace(
    collect=lambda: gc.collect(1), freeze=lambda: None, unfreeze=lambda: None, set_threshold=gc.set_threshold
)


def collect_only_what_is_young() -> None:
    """For the rest of this process, in the workers of the tests themselves, not in processes they start."""
    collector.gc = QUICK


@contextmanager
def keep_for_good() -> Iterator[None]:
    """What is made meanwhile stays until the end and is never looked at: half of what collecting the tests took."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
