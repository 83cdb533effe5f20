"""The table of calls in docs/bots.md is that of what the clients' tests demand, and leaves no call out."""

from collections import Counter

from tests.clients.covered import ALL, PAGE, ROWS, replaced


def test_every_call_stands_in_one_row() -> None:
    counts = Counter(call for calls in ROWS.values() for call in calls)
    assert set(counts.values()) == {1}
    assert counts.keys() == ALL


def test_the_page_has_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert replaced(text) == text, "python -m tests.clients.covered"
