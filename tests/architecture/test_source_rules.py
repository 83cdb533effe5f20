"""Rules that a reader of one file cannot check: no float near money, nothing of one machine in the project."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.sources import BASE_DIR, python_files
from tests.longest import LONGEST

# Where amounts are computed: no float of any kind. The time-outs of streams.bus are its own affair.
PURE = ("apps/common", "apps/streams", "apps/matching/engine", "apps/ledger")
# Where amounts pass through: nothing is converted to a float.
MONEY = tuple(f"apps/{name}" for name in ("common", "streams", "matching", "ledger", "orders", "gateway"))
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".js", ".css", ".html", ".txt", ".in", ".sh", ""}
# A path of some machine: a home, a temporary directory, a checkout. Written in two pieces so that this line is none.
MACHINE_PATH = re.compile(r"(?<![\w.<}])/(?:ro" + r"ot|ho" + r"me/[a-z]|wo" + r"rk|tm" + r"p)/[\w.-]")
REGISTRY = re.compile(r"py" + r"pi\.org|pythonhos" + r"ted|registry\.np" + r"mjs|--index-ur" + r"l")


def floats_in(source: str) -> set[int]:
    """Lines with the name `float`, a float literal or a true division."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    }


def conversions_in(source: str) -> set[int]:
    """Lines that call float(), but for the infinities of clocks, which are no conversion."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "float"
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value in {"inf", "-inf"})
    }


def reported(paths: list[Path], find: Callable[[str], set[int]]) -> list[str]:
    return [f"{path.relative_to(BASE_DIR)}:{line}" for path in paths for line in sorted(find(path.read_text()))]


def test_no_float_where_amounts_are_computed() -> None:
    pure = [path for path in python_files(*PURE) if "bus" not in path.parts]
    assert reported(pure, floats_in) == []


def test_nothing_is_converted_to_float_where_amounts_pass_through() -> None:
    assert reported(python_files(*MONEY), conversions_in) == []


@pytest.mark.parametrize(
    ("source", "floats", "conversions"),
    [
        ("x = float('1.5')", 1, 1),
        ("x = float(amount)", 1, 1),
        ("x = float('-inf')", 1, 0),
        ("x = 0.1", 1, 0),
        ("def f(a: float) -> None: ...", 1, 0),
        ("x = a / b", 1, 0),
        ("x = 1 // 10", 0, 0),
        ("x = '0.1'", 0, 0),
    ],
)
def test_the_float_tests_see_floats(source: str, floats: int, conversions: int) -> None:
    assert (len(floats_in(source)), len(conversions_in(source))) == (floats, conversions)


def project_files() -> list[Path]:
    """What git tracks would do, without needing git."""
    skipped = {".git", ".venv", "node_modules", "data", "staticfiles", "__pycache__", "test-results", "build"}
    found = []
    for path in BASE_DIR.rglob("*"):
        parts = path.relative_to(BASE_DIR).parts
        if (
            path.is_file()
            and path.suffix in TEXT_SUFFIXES
            and not any(part in skipped or part.endswith("_cache") or part == ".hypothesis" for part in parts)
        ):
            found.append(path)
    assert len(found) > 50
    return found


@pytest.mark.parametrize(("pattern", "what"), [(MACHINE_PATH, "machine's path"), (REGISTRY, "registry")])
def test_nothing_of_this_machine_is_in_the_project(pattern: re.Pattern[str], what: str) -> None:
    found = []
    for path in project_files():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{what}: {path.relative_to(BASE_DIR)}:{number} {line.strip()[:100]}")
    assert found == []


def test_files_that_are_begun_first_exist() -> None:
    assert [file for file in LONGEST if not (BASE_DIR / "tests" / file).is_file()] == []
