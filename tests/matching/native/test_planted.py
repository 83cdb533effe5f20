"""The planted bugs of the compiled engine fit its sources, and a sample of them dies; `make planted` tries them all."""

from pathlib import Path

import pytest

from apps.matching.native import library
from tests.matching.engine.planted import native, plugin
from tests.matching.engine.planted.native_bugs import BUGS
from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES
from tests.planting import Bug, NotPlantable, check_fits, fails
from tests.stack import BASE_DIR

SAMPLE = ("refill-at-front", "fee-rounded-down", "fifo-is-a-stack")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native.library_with_bugs(tmp_path_factory.mktemp("planted"))


def test_there_are_enough_with_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 50


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    check_fits(bug)


def test_bugs_that_overlap_cannot_be_planted_together(tmp_path: Path) -> None:
    path, old, _ = BUGS[0].edits[0]
    other = Bug("other", "the same place again", ((path, old, "0"),), ())
    with pytest.raises(NotPlantable, match=BUGS[0].name):
        native.choose_in(tmp_path, [other, BUGS[0]])


@pytest.mark.parametrize("seed", range(60, 63))
def test_without_a_bug_the_library_gives_the_same_bytes(
    seed: int, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = library.load(planted)
    monkeypatch.setattr(library, "loaded", lambda: loaded)
    assert ENGINES["native"]()._lib is loaded
    differ(seed, 3_000, ENGINES["plain"], ENGINES["native"])


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SAMPLE], ids=lambda bug: bug.name)
def test_it_dies(bug: Bug, planted: Path) -> None:
    assert "FAILED" in native.how_it_dies(planted, bug)


def test_a_bug_that_is_not_there_is_no_way_to_pass(planted: Path) -> None:
    how = fails(BASE_DIR, BUGS[0].finders[0], **{plugin.LIBRARY: str(planted), native.VARIABLE: "no-such-bug"})
    assert "there is no planted bug no-such-bug" in how


def test_nothing_but_the_tests_knows_the_bugs() -> None:
    """What is compiled for everybody has no choice in it, and no program looks for another library."""
    words = (native.VARIABLE, plugin.LIBRARY, "PLANTED(", "planted_bug")
    kinds = {".py", ".c", ".h", ".sh", ".toml", ".yml", ".yaml"}
    files = [
        path for folder in ("apps", "nebannpet") for path in (BASE_DIR / folder).rglob("*") if path.suffix in kinds
    ]
    assert any(path.name == "sweep.c" for path in files)
    assert [(path, word) for path in files for word in words if word in path.read_text("utf-8")] == []
