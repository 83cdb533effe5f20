"""Which tests docs/threats.md and docs/asvs.csv name: those of the first get the mark `security`."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parent.parent
THREATS: Final = TESTS.parent / "docs" / "threats.md"
ASVS: Final = TESTS.parent / "docs" / "asvs.csv"
EXPRESSION: Final = "security and not long"
_ROW: Final = re.compile(r"^\| threat-(T\d+) ([^|]+)\|([^|]+)\|([^|]*)\|$", re.MULTILINE)
_NAME: Final = re.compile(r"`([\w/]+\.py(?:::test_\w+)?)`")


def threats() -> dict[str, list[str]]:
    """Row to the tests that it names, as `accounts/test_x.py` or `accounts/test_x.py::test_y`."""
    return {row: _NAME.findall(tests) for row, _, _, tests in _ROW.findall(THREATS.read_text())}


def asvs() -> list[dict[str, str]]:
    """Rows of id, level, requirement, state, tests (names with spaces between) and note."""
    with ASVS.open(newline="") as lines:
        return list(csv.DictReader(lines))


class Listed:
    """Tests that the threat table names, by file."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_file: dict[str, set[str]] = {}
        for name in names:
            file, _, test = name.partition("::")
            self._by_file.setdefault(file, set()).add(test)

    def has_file(self, file: str) -> bool:
        """`file`: the path below tests/."""
        return file in self._by_file

    def has(self, file: str, test: str) -> bool:
        named = self._by_file.get(file, set())
        return "" in named or test in named


def listed() -> Listed:
    return Listed(name for names in threats().values() for name in names)
