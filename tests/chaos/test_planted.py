"""The planted bugs still fit the code; `make planted-recovery` proves that each is found."""

import ast

import pytest

from tests.chaos.planted.bugs import BUGS
from tests.planting import Bug
from tests.stack import BASE_DIR


def test_there_are_enough_with_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    for name, old, new in bug.edits:
        text = (BASE_DIR / name).read_text("utf-8")
        assert text.count(old) == 1, f"{name} has changed: {old!r} stands there {text.count(old)} times"
        ast.parse(text.replace(old, new))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_what_must_find_it_exists(bug: Bug) -> None:
    for finder in bug.finders:
        for argument in finder:
            if argument.startswith("tests/"):
                assert (BASE_DIR / argument.partition("::")[0]).exists(), argument
