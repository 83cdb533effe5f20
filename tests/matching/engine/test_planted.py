"""The planted bugs of the engine still fit its code, and a sample of them dies; `make planted` tries them all."""

import ast
from pathlib import Path

import pytest

from tests.matching.engine.planted.__main__ import how_it_dies
from tests.matching.engine.planted.bugs import BUGS
from tests.planting import Bug, copied
from tests.stack import BASE_DIR

SAMPLE = ("refill-at-front", "stop-direction")


def test_there_are_enough_with_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    for name, old, new in bug.edits:
        text = (BASE_DIR / name).read_text("utf-8")
        assert text.count(old) == 1, f"{name} has changed: {old!r} stands there {text.count(old)} times"
        ast.parse(text.replace(old, new))
    for finder in bug.finders:
        for argument in finder:
            assert not argument.startswith("tests/") or (BASE_DIR / argument).exists(), argument


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("planted"), "tree")


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SAMPLE], ids=lambda bug: bug.name)
def test_it_dies(tree: Path, bug: Bug) -> None:
    before = {name: (tree / name).read_bytes() for name, _, _ in bug.edits}
    assert "FAILED" in how_it_dies(tree, bug)
    assert {name: (tree / name).read_bytes() for name in before} == before
