"""The planted bugs still fit the code; `make planted-recovery` proves that each is found."""

import pytest

from tests.chaos.planted.bugs import BUGS
from tests.planting import Bug, check_fits


def test_there_are_enough_with_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    check_fits(bug)
