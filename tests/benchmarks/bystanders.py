"""What goes on beside every figure of the gateway: visitors read pages, and somebody exports trades as CSV.

Both go through the gateway under test (page_client.py, export_client.py), so their cost is in its CPU time. The export
is a customer's, of all his trades as they are at that time (100,000 at most), one file after another.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.benchmarks.page_client import PAGES_PER_S
from tests.dialect import Account
from tests.stack import BASE_DIR, Stack


@dataclass(slots=True)
class Bystanders:
    """What they did; there once the block has ended."""

    failed: list[str] = field(default_factory=list)
    exports: int = 0
    export_bytes: int = 0

    @property
    def note(self) -> str:
        return f"beside {PAGES_PER_S} pages/s and a CSV export ({self.exports}, {self.export_bytes >> 10:,} KiB)"


@contextlib.contextmanager
def bystanders(stack: Stack, customer: Account) -> Iterator[Bystanders]:
    """They act while the block runs; `customer` exports. AssertionError when a page or an export failed."""
    found = Bystanders()
    exporter = _exporter(stack, customer)
    visitors = _client("page_client", str(stack.port), str(time.monotonic()))
    try:
        yield found
    finally:
        read, saved = (json.loads(each.communicate()[0]) for each in (visitors, exporter))
    found.exports, found.export_bytes = saved["files"], saved["bytes"]
    found.failed = read["failed"] + saved["failed"]
    assert not found.failed, found.failed[:3]


def _client(name: str, *arguments: str) -> subprocess.Popen[str]:
    """It acts until its stdin ends."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=BASE_DIR,
    )  # fmt: skip


def _exporter(stack: Stack, customer: Account) -> subprocess.Popen[str]:
    """Who has logged in."""
    exporter = _client("export_client", str(stack.port))
    assert exporter.stdin is not None
    assert exporter.stdout is not None
    exporter.stdin.write(json.dumps([customer.email, customer.password, customer.totp_secret]) + "\n")
    exporter.stdin.flush()
    assert exporter.stdout.readline() == "in\n", "the customer could not log in"
    return exporter
