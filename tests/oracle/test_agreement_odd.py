"""Model and engine agree on every event: 100,000 commands, the odd seeds (the even ones run beside them).

On the compiled engine; without a compiler on the plain one.
"""

import pytest

from apps.matching.native.build import built
from tests.oracle.against_model import compare

SEEDS = range(1, 100, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_model_and_engine_agree_on_every_event(seed: int) -> None:
    compare(seed, "plain" if built() is None else "native")
