"""The limit of open files goes up to the hard one, within reason, and children have it."""

import subprocess
import sys

import pytest

TOLD = "import resource; from nebannpet.openfiles import raise_limit; {}; print(raise_limit()); {}"
CHILD = "import subprocess; subprocess.run(['sh', '-c', 'ulimit -n'], check=True)"


def told(before: str) -> list[int]:
    """What `raise_limit` returned and what a child of that process has."""
    code = TOLD.format(before, f"import sys; sys.stdout.flush(); {CHILD}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def limits(soft: int, hard: int, enough: int | None = None) -> str:
    """The start of a process with these."""
    set_limits = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    return set_limits if enough is None else f"{set_limits}; import nebannpet.openfiles as it; it.ENOUGH = {enough}"


@pytest.mark.parametrize(("soft", "hard", "then"), [(100, 700, 700), (700, 700, 700), (300, 301, 301)])
def test_it_is_raised_to_the_hard_limit(soft: int, hard: int, then: int) -> None:
    assert told(limits(soft, hard)) == [then, then]


def test_it_is_raised_no_further_than_is_of_use() -> None:
    assert told(limits(100, 700, enough=200)) == [200, 200]


def test_one_that_is_higher_stays() -> None:
    assert told(limits(500, 700, enough=200)) == [500, 500]
