"""Spans of numbers are what a set of them would say, and a huge counter costs neither verifier memory or time."""

import importlib.util
import json
from random import Random
from types import ModuleType

import pytest
from django.core.management import call_command

from apps.audit.exporting import export_lines
from apps.audit.numbers import Numbers
from tests.audit.log import damage, owner, sequence, verified, write
from tests.audit.test_verifying import VERIFIER


def stand_alone_verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_audit_file", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_what_a_set_says(seed: int) -> None:
    print(f"seed {seed}")
    random, spans, theirs, seen = Random(seed), Numbers(), stand_alone_verifier().Numbers(), set[int]()
    for _ in range(60):
        first = random.randint(1, 40)
        wanted = set(range(first, first + random.choice((1, 1, 1, 2, 5))))
        fresh = not wanted & seen
        assert spans.add(first, max(wanted)) is fresh
        assert theirs.add(first, max(wanted)) is fresh
        seen |= wanted if fresh else set()
        assert spans.last == max(seen)
        missing = next(number for number in range(1, 100) if number not in seen)
        assert spans.first_missing == missing
        assert theirs.missing() == (missing if missing < max(seen) else None)


@pytest.mark.django_db(transaction=True)
def test_a_huge_counter_is_a_gap_like_any_other() -> None:
    write()
    sequence()
    # A set of all numbers up to this one would need more memory than any machine has.
    damage("UPDATE audit_writer SET last_number = 1000000000000")
    sequence()
    write()
    sequence()
    found = verified()
    assert (found.gaps, found.pending) == (1, 0)
    with owner() as opened:
        lines = [json.loads(json.dumps(line)) for line in export_lines(opened)]
    assert stand_alone_verifier().verify(iter(lines), [], [])[0] == found.size
    call_command("verify_audit")
