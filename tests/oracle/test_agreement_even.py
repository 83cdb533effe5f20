"""Model and engine agree on every event: 100,000 commands, the even seeds (the odd ones run beside them)."""

import pytest

from tests.oracle.against_model import compare

SEEDS = range(0, 100, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_model_and_engine_agree_on_every_event(seed: int) -> None:
    compare(seed, "plain")
