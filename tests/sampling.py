"""Histories by seed of which `make test` takes a few, and `make long` and the planted bugs all the others."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(seeds: Iterable[int], few: int) -> list[Any]:
    """Values for parametrize: the first `few` as they are, the others marked `long` and `seeds`."""
    further = (pytest.mark.long, pytest.mark.seeds)
    return [seed if place < few else pytest.param(seed, marks=further) for place, seed in enumerate(seeds)]
