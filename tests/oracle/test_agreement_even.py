"""Model and engine agree on every event: 100,000 commands, the even seeds (the odd ones run beside them).

These seeds on the plain engine, the odd ones on the compiled one; both give the same bytes on all of them
(tests/matching/native/test_differential_even.py).
"""

import pytest

from tests.oracle.against_model import compare

SEEDS = range(0, 100, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_model_and_engine_agree_on_every_event(seed: int) -> None:
    compare(seed, "plain")
