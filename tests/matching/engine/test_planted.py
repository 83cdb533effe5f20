"""The planted bugs of the plain engine still fit its code, and a sample of them dies; `make planted` tries them all."""

from pathlib import Path

import pytest

from tests.matching.engine.planted.bugs import BUGS
from tests.matching.engine.planted.plain import how_it_dies
from tests.planting import Bug, NotPlantable, check_fits, copied

SAMPLE = ("refill-at-front", "stop-direction")


def test_there_are_enough_with_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    check_fits(bug)


@pytest.mark.parametrize("old", ["a text that no engine has", "import"])
def test_a_bug_that_does_not_fit_says_what_to_do(old: str) -> None:
    bug = Bug("some-bug", "something is wrong", (("apps/matching/engine/sweep.py", old, ""),), ())
    with pytest.raises(NotPlantable, match=r"some-bug .*stands \d+ times in .*sweep.py.*plant the same mistake"):
        check_fits(bug)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("planted"), "tree")


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SAMPLE], ids=lambda bug: bug.name)
def test_it_dies(tree: Path, bug: Bug) -> None:
    before = {name: (tree / name).read_bytes() for name, _, _ in bug.edits}
    assert "FAILED" in how_it_dies(tree, bug)
    assert {name: (tree / name).read_bytes() for name in before} == before
