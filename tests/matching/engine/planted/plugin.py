"""A pytest plugin: the compiled engine under test is the library that a variable names, with a planted bug in it."""

import os
import resource
from pathlib import Path
from typing import Final

import pytest

from apps.matching.native import library
from tests.oracle import agreement
from tests.oracle.streams import Step

LIBRARY: Final = "PLANTED_LIBRARY"
MEMORY_MAX: Final = 4 << 30  # bytes: a bug may take memory without an end


def as_it_is(steps: list[Step], *_: object) -> list[Step]:
    return steps


def pytest_configure(config: pytest.Config) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    loaded = library.load(Path(os.environ[LIBRARY]))
    patch = pytest.MonkeyPatch()
    patch.setattr(library, "loaded", lambda: loaded)
    patch.setattr(agreement, "shrink", as_it_is)  # that a bug is found is enough
    config.add_cleanup(patch.undo)
