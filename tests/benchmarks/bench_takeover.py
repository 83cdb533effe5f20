"""How long nobody trades when the active worker goes: from the last answer before to the first one after.

A whole exchange with STANDBY=1. One client sends an order every 10 ms on connections of its own (open loop: it does not
wait for answers), as long as the worker is killed with -9, or told to hand over with SIGTERM, once both workers are in
their places. Requests that failed are counted; none may in a hand-over.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from tests.benchmarks.registry import Row, Series, benchmark
from tests.dialect import Account, Dialect, Unknown, demo_account
from tests.flows.test_standby import ORDER, wait_for_both
from tests.stack import Stack

CHANGES = int(os.environ.get("BENCH_TAKEOVERS", "20"))
EVERY_S = 0.01
SENDERS = 32
BEFORE_S = 2.5
KILL_TARGETS_S = (2.0, 4.0)
HAND_OVER_TARGET_S = 1.0


@dataclass
class Load:
    """Answers as (answered at, HTTP status); status 0: none."""

    stack: Stack
    account: Account
    answers: list[tuple[float, int]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    own: threading.local = field(default_factory=threading.local)

    def run(self) -> None:
        with ThreadPoolExecutor(SENDERS) as senders:
            due_s = time.monotonic()
            sent = 0
            while not self.stopped.is_set():
                senders.submit(self._send, sent)
                sent += 1
                due_s += EVERY_S
                time.sleep(max(0.0, due_s - time.monotonic()))

    def _send(self, number: int) -> None:
        if not hasattr(self.own, "client"):
            self.own.client = Dialect(self.stack.base_url, self.account, timeout_s=20)
        client: Dialect = self.own.client
        try:
            if number % 50 == 49:
                status, _ = client.signed("DELETE", "/api/v3/openOrders", symbol="LTCUSDT")
            else:
                status, _ = client.signed("POST", "/api/v3/order", **ORDER, quantity="0.1")
        except Unknown:
            status = 0
        self.answers.append((time.monotonic(), status))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def gaps(load: Load, number: signal.Signals) -> tuple[list[float], int]:
    """Seconds without an answer at each change, and how many requests failed over all of them."""
    found: list[float] = []
    failed_before = sum(status not in (200, 400) for _, status in load.answers)
    for _ in range(CHANGES):
        active = wait_for_both(load.stack)
        time.sleep(BEFORE_S)
        at_s = time.monotonic()
        os.kill(load.stack.pid(active), number)
        while not any(answered_s > at_s + 0.05 and status == 200 for answered_s, status in load.answers[-200:]):
            time.sleep(0.01)
        wait_for_both(load.stack)
        times = sorted(answered_s for answered_s, status in load.answers if status == 200 and answered_s > at_s - 1)
        found.append(max(after - before for before, after in pairwise(times)))
    return found, sum(status not in (200, 400) for _, status in load.answers) - failed_before


@benchmark(
    "takeover", "Seconds without an answer when the active worker is killed, and at a planned hand-over", apart=True
)
def takeover() -> Iterator[Row]:
    with Stack(STANDBY="1") as stack:
        load = Load(stack, demo_account(stack, "takeover", LTC="1000", USDT="10000000"))
        thread = threading.Thread(target=load.run)
        thread.start()
        try:
            killed, killed_failed = gaps(load, signal.SIGKILL)
            handed, handed_failed = gaps(load, signal.SIGTERM)
        finally:
            load.stopped.set()
            thread.join()
    count = f"{CHANGES} changes"
    for share, target in zip((0.5, 0.99), KILL_TARGETS_S, strict=True):
        yield Row(
            figure=f"takeover after kill -9, p{share * 100:.0f}",
            unit="s",
            series=Series([percentile(killed, share)], lower_is_better=True),
            below=target,
            note=f"{count}, {killed_failed} failed requests",
        )
    yield Row(
        figure="planned hand-over, longest",
        unit="s",
        series=Series([max(handed)], lower_is_better=True),
        below=HAND_OVER_TARGET_S,
        note=f"{count}, {handed_failed} failed requests",
    )
