"""The examples of docs/matching are what the engine does."""

import re
from pathlib import Path

import pytest

from apps.matching.engine import RULES_VERSION
from apps.matching.engine.snapshot_tables import OLDEST_READABLE
from apps.matching.engine.states import PASSES, STAFF_MAY_SET, Entry
from apps.streams.kinds import MarketState
from tests.matching.engine.play import play

PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path("docs/matching").glob("*.md"))}
INDEX = PAGES.pop("README.md")
STATES = PAGES["market-states.md"]
EXAMPLES = [
    pytest.param(example, id=f"{name} {number}")
    for name, text in PAGES.items()
    for number, example in enumerate(re.findall(r"^```play\n(.*?)^```", text, re.MULTILINE | re.DOTALL), 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example: str) -> None:
    assert "->" in example
    play(example)


def test_every_section_has_an_example() -> None:
    for name, text in PAGES.items():
        _, *sections = re.split(r"^## ", text.partition("## Where the rules were silent")[0], flags=re.MULTILINE)
        for section in sections or [text]:
            assert "```play" in section, f"{name}: {section.splitlines()[0]}"


def test_the_index_names_every_page_and_only_modules_that_exist() -> None:
    rows = re.findall(r"^\| \[.+\]\((.+)\) \| .+ \| (.+) \|$", INDEX, re.MULTILINE)
    assert sorted(page for page, _ in rows) == sorted(PAGES)
    modules = [name for _, cell in rows for name in re.findall(r"`(.+?)`", cell)]
    assert [name for name in modules if not (Path("apps/matching/engine") / name).is_file()] == []


def test_the_table_of_states_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \| (.+?) \| yes \| (yes|no) \| ?(\w*) ?\|", STATES, re.MULTILINE)
    words = {
        "none": Entry.NOTHING, "all": Entry.ALL, "LIMIT, GTC and GTD": Entry.RESTING,
        "LIMIT_MAKER, limits that would not match": Entry.NOT_MATCHING,
    }  # fmt: skip
    assert {state for state, *_ in rows} == {state.name for state in {MarketState.PRE_LAUNCH} | STAFF_MAY_SET}
    for state, entry, amend, refusal in rows:
        row = PASSES[MarketState[state]]
        assert row.new_order is words[entry]
        assert row.amend == (amend == "yes")
        assert row.refusal.name == (refusal or "NONE")


def test_the_rules_version_is_that_of_the_code() -> None:
    assert f"rules version {RULES_VERSION})" in INDEX
    *_, newest = re.findall(r"^\| (\d+) \| .+ \| ([\d, ]+) \|$", INDEX, re.MULTILINE)
    assert newest == (str(RULES_VERSION), ", ".join(str(v) for v in range(OLDEST_READABLE, RULES_VERSION + 1)))
