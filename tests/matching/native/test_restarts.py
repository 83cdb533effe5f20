"""Snapshots at every k-th command, from which the same engine or the other one goes on: the same bytes as without."""

import pytest

from tests.oracle.call_auctions import Calls
from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES
from tests.oracle.streams import History

COUNT = 3_000


@pytest.mark.parametrize("kind", [History, Calls])
@pytest.mark.parametrize("right", ["native-restarting", "taking-turns"])
def test_restarts_change_nothing(right: str, kind: type[History]) -> None:
    for seed in (50, 51):
        differ(seed, COUNT, ENGINES["plain"], ENGINES[right], kind=kind)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2_000, 2_100))
def test_the_engines_taking_turns_agree_on_a_million_commands(seed: int) -> None:
    differ(seed, 10_000, ENGINES["plain"], ENGINES["taking-turns"], kind=Calls if seed % 4 == 0 else History)
