"""The fault matrix in docs/reliability.md is the one that the chaos tests run by, row by row."""

import re

from tests.architecture.sources import BASE_DIR
from tests.chaos.matrix import MATRIX, Row

PAGE = BASE_DIR / "docs" / "reliability.md"
BEGIN, END = "<!-- matrix: begin -->\n", "<!-- matrix: end -->\n"


def rendered() -> str:
    """The table as it must stand in the page."""
    lines = ["| fault | what happens | what must hold | test, or why not |", "|---|---|---|---|"]
    lines += [f"| fault-{row.fault} | {row.what} | {row.expected} | {_tests(row)} |" for row in MATRIX]
    return "\n".join(lines) + "\n"


def _tests(row: Row) -> str:
    named = [f"`{test.partition('::')[2]}`" for test in row.tests]
    return "; ".join([*named, *([row.missing] if row.missing else [])])


def test_the_page_has_the_matrix_of_the_tests() -> None:
    """After a change of the matrix: `.venv/bin/python -m tests.architecture.test_reliability_page` writes it."""
    text = PAGE.read_text()
    assert text.partition(BEGIN)[2].partition(END)[0] == rendered()


def test_every_fault_has_a_row() -> None:
    assert re.findall(r"^\| fault-F(\d+) \|", PAGE.read_text(), re.MULTILINE) == [str(n) for n in range(1, 26)]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + rendered() + END + rest.partition(END)[2])
