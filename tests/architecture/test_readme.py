"""The README names every make target, docs/variables.md every variable and its default; neither more."""

import ast
import re

from tests.architecture.sources import BASE_DIR, python_files

README = (BASE_DIR / "README.md").read_text()
VARIABLES = (BASE_DIR / "docs" / "variables.md").read_text()
READERS = {
    *("text", "integer", "flag", "choice", "words", "directory", "url", "origin", "email_server", "sender", "address"),
}
INTERNAL = {"NEBANNPET_PROCESS"}  # set by manage.py from the command's name
NOT_SHOWN = {"SECRET_KEY"}  # the one of development says what it is
ROW = re.compile(r"^\| (`[A-Z_`, ]+`) \| (.+?) \| .+ \|$", re.MULTILINE)


def read_by_the_code() -> dict[str, set[str]]:
    """Variables, each with the defaults that stand in the calls as plain values."""
    found: dict[str, set[str]] = {}
    for path in python_files("nebannpet", "apps"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _is_reader(node.func) and isinstance(node.args[0], ast.Constant):
                given = [each.value for each in node.args[1:] if isinstance(each, ast.Constant)]
                found.setdefault(node.args[0].value, set()).update(_shown(value) for value in given if value != "")
    return found


def _is_reader(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "env"
        and function.attr in READERS
    )


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def listed_in(text: str) -> dict[str, str]:
    """Variables of the tables in `text`, each with its default as the table has it."""
    found = {}
    for names, defaults in ROW.findall(text):
        each = re.findall(r"`([A-Z_]+)`", names)
        cells = defaults.split(", ")
        found |= dict(zip(each, cells if len(cells) == len(each) else [defaults] * len(each), strict=True))
    return found


def test_every_variable_is_in_the_table_with_its_default() -> None:
    read, listed = read_by_the_code(), listed_in(VARIABLES)
    assert read.keys() - INTERNAL == listed.keys()
    shown = {name: set(re.findall(r"`(.+?)`", listed[name])) for name in read if name in listed}
    defaults = {name: values for name, values in read.items() if values and name not in NOT_SHOWN}
    assert len(defaults) > 20
    assert {name: shown[name] for name in defaults} == defaults


def test_the_variables_of_the_readme_stand_there_as_in_the_table() -> None:
    rows = [line for line in README.splitlines() if ROW.match(line)]
    assert len(rows) >= 10
    assert [row for row in rows if row not in VARIABLES.splitlines()] == []


def test_every_target_is_in_the_table() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    listed = set(re.findall(r"\| `make ([a-z-]+)` \|", README))
    assert targets - {"help", "setup", "setup-test"} == listed
