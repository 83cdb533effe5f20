"""Every reason to stop has its page, and every page its parts."""

import re

from apps.matching import errors
from apps.matching.errors import Halt
from apps.orders.errors import OtherSettlement, SettlementStopped
from tests.architecture.documents import commands
from tests.architecture.sources import BASE_DIR

RUNBOOKS = BASE_DIR / "docs" / "runbooks"
PARTS = ("What you see", "What it means", "What works meanwhile", "Look", "Repair", "Check", "Never")
# Pages for what is no halt of a shard.
OTHERS = {
    "gateway-503", "worker-replaced", "standby-not-following", "poison-command", "clock-jump", "settlement-stopped",
    "settlement-twice", "archive-stopped", "reconcile-different", "redis-core-stopped", "redis-core-full",
    "postgres-away", "disk-full",
}  # fmt: skip


def halts() -> list[type[Halt]]:
    """Every class that can be raised: the base itself is not."""
    found, left = [], [Halt]
    while left:
        children = left.pop().__subclasses__()
        found += children
        left += children
    assert len(found) > 10
    return [halt for halt in found if halt.__module__ == errors.__name__]


def pages() -> dict[str, str]:
    return {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.name != "README.md"}


def test_every_halt_has_a_page_and_every_page_is_of_something() -> None:
    reasons = [halt.reason for halt in halts()]
    assert len(set(reasons)) == len(reasons), "two halts with one reason"
    assert set(pages()) == set(reasons) | OTHERS


def test_every_page_has_all_parts_in_order() -> None:
    for name, text in pages().items():
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(PARTS), name
        assert text.startswith(f"# {name}: "), name
        for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
            assert len(part.strip()) > 40, name
        assert commands(text), f"{name} has no command"


def test_the_index_names_every_page_once() -> None:
    listed = re.findall(r"^\| \[([a-z0-9-]+)\]\(\1\.md\)", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(pages())


def test_every_halt_says_where_its_page_is() -> None:
    for halt in halts():
        arguments = {"good_entries": 0} if halt is errors.BadCommand else {}
        assert f"docs/runbooks/{halt.reason}.md" in str(halt("what was found.", **arguments)), halt


def test_settlement_stops_in_ways_that_have_a_page() -> None:
    """Each text of SettlementStopped in the code is quoted in the table of its page."""
    page = pages()["settlement-stopped"]
    for stop in (SettlementStopped, OtherSettlement):
        assert stop.page in pages()
        assert f"docs/runbooks/{stop.page}.md" in str(stop("what was found"))
    for text in (
        "redis-core lost events", "only in the archive", "different histories", "but the next entry begins at",
        "but the next entry follows", "does not match its bytes", "epoch falls", "not gapless", "unknown version",
        "unknown kind", "this database did not send them all", "which this database does not have",
        "an invariant is broken",
    ):  # fmt: skip
        sources = "\n".join(path.read_text() for path in (BASE_DIR / "apps/orders/settlement").glob("*.py"))
        assert text in re.sub(r"\"\s*f?\"", "", sources), f"settlement does not say {text!r}"
        assert text in page, f"settlement-stopped.md does not say {text!r}"
