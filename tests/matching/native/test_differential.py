"""Plain and compiled engine over the same histories: the same bytes at each command, the same state at the end."""

import pytest

from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES

SEEDS = range(8)
COUNT = 4_000
LONG_SEEDS, LONG_COUNT = range(2_000, 2_100), 10_000


@pytest.mark.parametrize("seed", SEEDS)
def test_the_engines_agree(seed: int) -> None:
    differ(seed, COUNT, ENGINES["plain"], ENGINES["native"])


def test_the_engines_agree_with_restarts_between() -> None:
    differ(50, COUNT, ENGINES["plain"], ENGINES["native-restarting"])


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
def test_the_engines_agree_on_a_million_commands(seed: int) -> None:
    differ(seed, LONG_COUNT, ENGINES["plain"], ENGINES["native"])
