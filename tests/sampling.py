"""Histories by seed of which `make test` takes a few, and `make long` and the planted bugs all the others; and lists of
values for many places, of which `make test` tries a part at each place and `make long` the rest.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pytest

PARTS: Final = 5


def sampled(seeds: Iterable[int], few: int) -> list[Any]:
    """Values for parametrize: the first `few` as they are, the others marked `long` and `seeds`."""
    further = (pytest.mark.long, pytest.mark.seeds)
    return [seed if place < few else pytest.param(seed, marks=further) for place, seed in enumerate(seeds)]


def whole_or_part() -> list[Any]:
    """Values for parametrize, for `part`: False, and for `make long` True."""
    return [False, pytest.param(True, marks=pytest.mark.long)]


def part(values: Sequence[str], place: int, whole: bool) -> Sequence[str]:
    """All values, or every fifth: at places numbered one after the other all of them are tried."""
    return values if whole else values[place % PARTS :: PARTS]
