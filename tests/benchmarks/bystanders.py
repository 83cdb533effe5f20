"""What goes on beside every figure of the gateway: visitors read pages, and somebody exports trades as CSV.

Both go through the gateway under test (page_client.py, export_client.py), so their cost is in its CPU time. The export
is a customer's, of all his trades as they are at that time (100,000 at most), one file after another.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.benchmarks.page_client import PAGES_PER_S
from tests.dialect import Account
from tests.stack import BASE_DIR, Stack


@dataclass(slots=True)
class Bystanders:
    """What they did; there once the block has ended."""

    pages_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    exports: int = 0
    export_bytes: int = 0

    @property
    def note(self) -> str:
        return f"beside {PAGES_PER_S} pages/s and a CSV export ({self.exports}, {self.export_bytes >> 10:,} KiB)"


@contextlib.contextmanager
def bystanders(stack: Stack, customer: Account) -> Iterator[Bystanders]:
    """They act while the block runs; `customer` exports. AssertionError when a page or an export failed."""
    found, done = Bystanders(), threading.Event()
    visitors = threading.Thread(target=_visit, args=(stack, found, done))
    exporter = _exporter(stack, customer)
    visitors.start()
    try:
        yield found
    finally:
        done.set()
        saved = json.loads(exporter.communicate()[0])
        visitors.join()
    found.exports, found.export_bytes = saved["files"], saved["bytes"]
    found.failed += saved["failed"]
    assert not found.failed, found.failed[:3]


def _visit(stack: Stack, found: Bystanders, done: threading.Event) -> None:
    """A few seconds at a time, so that they stop soon after the block."""
    while not done.is_set():
        start_s = time.monotonic() + 0.3
        client = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.page_client", str(stack.port), str(start_s), "5"],
            capture_output=True, text=True, cwd=BASE_DIR,
        )  # fmt: skip
        if client.returncode:
            found.failed.append(client.stderr[-300:])
            return
        read = json.loads(client.stdout)
        found.pages_ms += read["milliseconds"]
        found.failed += read["failed"]


def _exporter(stack: Stack, customer: Account) -> subprocess.Popen[str]:
    """Who has logged in, and exports until his stdin ends."""
    exporter = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.export_client", str(stack.port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=BASE_DIR,
    )  # fmt: skip
    assert exporter.stdin is not None
    assert exporter.stdout is not None
    exporter.stdin.write(json.dumps([customer.email, customer.password, customer.totp_secret]) + "\n")
    exporter.stdin.flush()
    assert exporter.stdout.readline() == "in\n", "the customer could not log in"
    return exporter
