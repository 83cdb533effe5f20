"""Each row of the fault matrix has its test, and each test of the matrix is in a row."""

import re

from tests.chaos.matrix import MATRIX
from tests.stack import BASE_DIR

OWN = "tests/chaos/"
TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


def test_every_row_is_there_in_order() -> None:
    assert [row.fault for row in MATRIX] == [f"F{number}" for number in range(1, 26)]


def test_every_row_names_its_tests_or_says_why_not() -> None:
    for row in MATRIX:
        assert row.tests or row.missing, row.fault
        for test in row.tests:
            path, _, name = test.partition("::")
            assert name in TEST.findall((BASE_DIR / path).read_text()), test
            assert not path.startswith(OWN) or name.startswith(f"test_f{int(row.fault[1:]):02d}_"), test


def test_every_test_of_the_matrix_is_in_a_row() -> None:
    named = {test for row in MATRIX for test in row.tests if test.startswith(OWN)}
    written = {
        f"tests/chaos/{path.name}::{name}"
        for path in (BASE_DIR / "tests" / "chaos").glob("test_matrix_*.py")
        for name in TEST.findall(path.read_text())
    }
    assert written == named
