"""The odd seeds of test_differential_even.py, in a file of their own so that two processes share a million commands."""

import pytest

from tests.matching.native.test_differential_even import COUNT, LONGEST_CALL
from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES

SEEDS = range(1, 100, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_engines_agree_on_a_million_commands(seed: int) -> None:
    differ(seed, COUNT, ENGINES["plain"], ENGINES["native"], longest_call=LONGEST_CALL)
