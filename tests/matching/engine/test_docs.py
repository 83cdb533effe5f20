"""The examples of docs/matching.md are what the engine does."""

import re
from pathlib import Path

import pytest

from apps.matching.engine import RULES_VERSION
from apps.matching.engine.snapshot_tables import OLDEST_READABLE
from apps.matching.engine.states import PASSES, STAFF_MAY_SET, Entry
from apps.streams.kinds import MarketState
from tests.matching.engine.play import play

TEXT = Path("docs/matching.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(example, id=f"{title} {number}")
    for title, body in SECTIONS
    for number, example in enumerate(re.findall(r"^```play\n(.*?)^```", body, re.MULTILINE | re.DOTALL), 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example: str) -> None:
    assert "->" in example
    play(example)


def test_there_is_an_example_for_nearly_every_section() -> None:
    without = [title for title, body in SECTIONS if "```play" not in body]
    assert without == ["Order of work", "Rules versions", "Where the rules were silent"]


def test_the_table_of_states_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \| (.+?) \| yes \| (yes|no) \| ?(\w*) ?\|", TEXT, re.MULTILINE)
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
    assert f"rules version {RULES_VERSION})" in TEXT
    *_, newest = re.findall(r"^\| (\d+) \| .+ \| ([\d, ]+) \|$", TEXT, re.MULTILINE)
    assert newest == (str(RULES_VERSION), ", ".join(str(v) for v in range(OLDEST_READABLE, RULES_VERSION + 1)))
