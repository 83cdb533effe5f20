"""A whole exchange with STANDBY=1: hand-over without a failed request, takeover, and what clients keep over it."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nebannpet.health import what_it_says
from tests.dialect import Account, Dialect, demo_account
from tests.stack import TRADING, Stack

WORKERS = ("matching", "standby")
ORDER = {"symbol": "LTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "price": "50.00"}
PATIENCE_S = 120.0
ATTEMPTS = 3
# Of a client between two orders: it meets every moment of a change, and the machine has time for the change.
PAUSE_S = 0.02


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(STANDBY="1", PROCESSES=f"standby,{TRADING}") as running:
        yield running


@pytest.fixture(scope="module")
def account(stack: Stack) -> Account:
    return demo_account(stack, "steady", LTC="1000", USDT="1000000")


def phases(stack: Stack) -> dict[str, str]:
    """Of each worker; one that is killed in the middle of its answer has none."""
    return {name: what_it_says(stack.paths.health_socket(name)).word for name in WORKERS}


def wait_for_both(stack: Stack) -> str:
    """One is active, the other follows; the active one's name."""
    deadline = time.monotonic() + PATIENCE_S
    while sorted((now := phases(stack)).values()) != ["active", "following"]:
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return next(name for name, phase in now.items() if phase == "active")


class Steady(threading.Thread):
    """One order after the other, each answered before the next; what was not 200 is kept."""

    def __init__(self, stack: Stack, account: Account, prefix: str) -> None:
        super().__init__(daemon=True)
        self._prefix = prefix
        self._stack = stack
        self._account = account
        self.stopped = threading.Event()
        self.answers: list[tuple[str, int, Any]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with Dialect(self._stack.base_url, self._account, timeout_s=20) as client:
                while not self.stopped.is_set():
                    client_id = f"{self._prefix}{len(self.answers)}"
                    status, body = client.signed("POST", "/api/v3/order", **ORDER, quantity="0.1",
                                                 newClientOrderId=client_id)  # fmt: skip
                    self.answers.append((client_id, status, body))
                    if len(self.answers) % 50 == 0:
                        client.signed("DELETE", "/api/v3/openOrders", symbol="LTCUSDT")
                    self.stopped.wait(PAUSE_S)
        except BaseException as failure:  # noqa: BLE001 - shown by the test, which joins this thread
            self.failure = failure

    def wait_for_more(self, count: int) -> None:
        goal, deadline = len(self.answers) + count, time.monotonic() + PATIENCE_S
        while len(self.answers) < goal:
            assert self.failure is None, self.failure
            assert time.monotonic() < deadline, f"{len(self.answers)} answers, {goal} wanted"
            time.sleep(0.01)

    def finish(self) -> None:
        self.stopped.set()
        self.join(30)
        assert not self.is_alive()
        assert self.failure is None


def went_on_from_following(log: str) -> bool:
    """Whether the worker with this log was a standby right before it became active, and did not start from a disk."""
    said = re.findall(r"(following the active worker|recovered) +\[apps\.matching", log)
    return said[-2:] == ["following the active worker", "recovered"]


def answers_over_two_changes(
    stack: Stack, account: Account, number: signal.Signals, *, prefix: str
) -> list[tuple[str, int, Any]]:
    steady = Steady(stack, account, prefix)
    steady.start()
    try:
        for _ in range(2):
            before = wait_for_both(stack)
            # The active worker hears of its standby once a second, and hands the lease over only to one it has seen.
            steady.wait_for_more(5)
            stack.manage("engine_status")
            stack.kill(before, number)
            steady.wait_for_more(20)
            deadline = time.monotonic() + PATIENCE_S
            while (took_over := wait_for_both(stack)) == before:
                assert time.monotonic() < deadline, f"{before} is active still"
            assert went_on_from_following(stack.log(took_over)), stack.log(took_over)[-4000:]
    finally:
        steady.finish()
    return steady.answers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_two_changes_in_a_row_without_a_failed_request(stack: Stack, account: Account, number: signal.Signals) -> None:
    """Planned or not: with a standby, orders wait a moment, and no client sees an error.

    Where the machine holds the standby up, orders are refused for a moment (503), but not three times in a row.
    """
    failed: list[tuple[str, int, Any]] = []
    for attempt in range(ATTEMPTS):
        answers = answers_over_two_changes(stack, account, number, prefix=f"{number.name}{attempt}-")
        failed = [answer for answer in answers if answer[1] != 200]
        assert {status for _, status, _ in failed} <= {503}, failed
        ids = [body["orderId"] for _, status, body in answers if status == 200]
        assert ids == sorted(set(ids))
        if not failed:
            break
    assert failed == []
    assert "equal" in stack.manage("reconcile")


def test_client_ids_are_remembered_over_takeovers(stack: Stack, account: Account) -> None:
    """The same id and order: the first order again. Another order: refused while the first is open (T15)."""
    with Dialect(stack.base_url, account, timeout_s=20) as client:
        first = client.order(**ORDER, quantity="0.3", newClientOrderId="kept")
        closed = client.order(**ORDER, quantity="0.3", newClientOrderId="closed")
        client.ok("DELETE", "/api/v3/order", symbol="LTCUSDT", orderId=closed["orderId"])
        for _ in range(2):
            stack.kill(wait_for_both(stack))
            again = client.order(**ORDER, quantity="0.3", newClientOrderId="kept")
            assert again["orderId"] == first["orderId"]
            assert client.order(**ORDER, quantity="0.3", newClientOrderId="closed")["orderId"] == closed["orderId"]
            status, body = client.answered("POST", "/api/v3/order", **ORDER, quantity="0.4", newClientOrderId="kept")
            assert (status, body["code"], body["msg"]) == (400, -2010, "Duplicate order sent.")
        # A cold start too: both workers at once, from snapshot and log.
        wait_for_both(stack)
        for name in WORKERS:
            stack.kill(name)
        wait_for_both(stack)
        assert client.order(**ORDER, quantity="0.3", newClientOrderId="kept")["orderId"] == first["orderId"]
        second = client.order(**ORDER, quantity="0.5", newClientOrderId="closed")
        assert second["orderId"] > first["orderId"], "once closed, another order may take the id"
        client.ok("DELETE", "/api/v3/openOrders", symbol="LTCUSDT")
