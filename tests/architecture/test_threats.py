"""The tables of threats and of the ASVS have each row, and name tests that exist."""

import ast
from functools import cache

import pytest

from tests.security.listed import TESTS, Listed, asvs, threats

# Those whose defences exist by now.
ROWS = {f"T{number}" for number in (*range(1, 9), 10, *range(13, 17), 19, 20, 27, 28)}

# Requirements of ASVS 5.0.0 in each section of its chapters on authentication, sessions and authorization.
SECTIONS = {
    "V6.1": 3, "V6.2": 12, "V6.3": 8, "V6.4": 6, "V6.5": 8, "V6.6": 4, "V6.7": 2, "V6.8": 4,
    "V7.1": 3, "V7.2": 4, "V7.3": 2, "V7.4": 5, "V7.5": 3, "V7.6": 2,
    "V8.1": 4, "V8.2": 4, "V8.3": 3, "V8.4": 2,
}  # fmt: skip


@cache
def named_in(file: str) -> set[str]:
    """Names of the tests in a file below tests/; none where there is no such file."""
    path = TESTS / file
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


def missing(names: list[str]) -> list[str]:
    """Those of `names` that no test has."""
    parts = [(name, *name.partition("::")[::2]) for name in names]
    return [name for name, file, test in parts if not named_in(file) or (test and test not in named_in(file))]


def test_every_threat_has_its_row_with_tests_that_exist() -> None:
    assert threats().keys() == ROWS
    for row, names in threats().items():
        assert names, f"threat-{row} has no test"
        assert missing(names) == [], f"threat-{row} names tests that do not exist"


def test_every_requirement_of_the_asvs_has_its_line() -> None:
    lines = asvs()
    wanted = [f"{section}.{number + 1}" for section, count in SECTIONS.items() for number in range(count)]
    assert [line["id"] for line in lines] == wanted
    for line in lines:
        assert line["level"] in ("1", "2", "3"), line
        assert line["state"] in ("met", "partly", "open", "not applicable"), line
        assert line["tests"] if line["state"] == "met" else line["note"], f"{line['id']}: a test, or a reason"
        assert missing(line["tests"].split()) == [], f"{line['id']} names tests that do not exist"


@pytest.mark.parametrize("name", ["accounts/test_gone.py", "accounts/test_throttle.py::test_gone"])
def test_the_check_would_notice(name: str) -> None:
    assert missing([name]) == [name]


def test_what_is_named_is_what_is_marked() -> None:
    chosen = Listed(["a.py", "b.py::test_one"])
    assert chosen.has("a.py", "test_any")
    assert chosen.has("b.py", "test_one")
    assert not chosen.has("b.py", "test_two")
    assert not chosen.has_file("c.py")
