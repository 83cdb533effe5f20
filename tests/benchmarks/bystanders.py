"""What goes on beside every figure of the gateway: visitors read pages, and somebody exports trades as CSV.

The pages go through the gateway under test (page_client.py), so their cost is in its CPU time. The export is the
permanent record's: PostgreSQL writes every trade as a line of CSV, again and again, one export at a time.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import psycopg

from tests.benchmarks.page_client import PAGES_PER_S
from tests.stack import BASE_DIR, Stack

EXPORT: Final = "COPY (SELECT * FROM orders_trade ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)"
REST_S: Final = 0.2


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
def bystanders(stack: Stack) -> Iterator[Bystanders]:
    """They act while the block runs. AssertionError when a page or an export failed."""
    found, done = Bystanders(), threading.Event()
    visitors = threading.Thread(target=_visit, args=(stack, found, done))
    exporter = threading.Thread(target=_export, args=(stack, found, done))
    for thread in (visitors, exporter):
        thread.start()
    try:
        yield found
    finally:
        done.set()
        for thread in (visitors, exporter):
            thread.join()
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


def _export(stack: Stack, found: Bystanders, done: threading.Event) -> None:
    try:
        with psycopg.connect(stack.dsn) as connection:
            while not done.wait(REST_S):
                with connection.cursor().copy(EXPORT) as rows:
                    found.export_bytes += sum(len(row) for row in rows)
                found.exports += 1
                connection.rollback()
    except psycopg.Error as error:
        found.failed.append(str(error))
