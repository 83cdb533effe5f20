"""Plain and compiled engine over the same histories: the same bytes, the same state at the end.

A million commands, the even seeds here and the odd ones beside them. The compiled engine gets one to sixty commands a
call.
"""

import pytest

from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES

SEEDS = range(0, 100, 2)
COUNT = 10_000
LONGEST_CALL = 60


@pytest.mark.parametrize("seed", SEEDS)
def test_the_engines_agree_on_a_million_commands(seed: int) -> None:
    differ(seed, COUNT, ENGINES["plain"], ENGINES["native"], longest_call=LONGEST_CALL)
