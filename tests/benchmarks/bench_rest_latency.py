"""REST order to its confirmation, with everything running: the figure that a trader feels.

A whole exchange (tests/stack.py: real processes, embedded servers, fsync on, no simulator). 200 signed limit orders a
second arrive at random moments (Poisson) that are fixed beforehand; latency counts from that moment (order_client.py).
Half of the orders rest away from the market, a quarter make and a quarter take at one price. Each order that rests is
cancelled 2 s later: 100 cancels a second of extra traffic, not counted among the orders. Meanwhile visitors read 5
pages a second through the same gateway (page_client.py).

The yardstick is what a durable append costs at that time on that disk: 20 a second beside the load, in the same
directory. An order waits for two of them, command and events. The targets are for what is left without two ordinary
(median) ones; how long the slowest took is reported beside it, since a disk that stalls shows in every p99.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from decimal import Decimal

import psutil

from tests.benchmarks.calibration import beside
from tests.benchmarks.fsync import fsyncs_beside
from tests.benchmarks.order_client import Order, Outcome
from tests.benchmarks.page_client import PAGES_PER_S
from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.dialect import Account, Dialect, demo_account
from tests.stack import BASE_DIR, Stack

ORDERS_PER_S = 200
SECONDS = float(os.environ.get("BENCH_REST_SECONDS", "12"))
WARM_UP_S = 3.0
CANCEL_AFTER_S = 2.0
ACCOUNTS = 8
SYMBOL = "BTCUSDT"
QUANTITY = "0.01"
# Resting orders lie on so many levels a side, from 1 % away.
LEVELS = 100
P50_TARGET_MS = 5.0
P99_TARGET_MS = 10.0
# Clients need this long from their start to their first request.
LEAD_S = 2.0
MEASURED = ("gateway", "site", "matching", "settlement", "marketdata", "redis-core", "redis-edge", "postgres")


@dataclass(frozen=True, slots=True)
class Run:
    """One repeat. CPU in seconds by process; fsync in sorted seconds; `load` is the one-minute average before."""

    outcome: Outcome
    pages_ms: list[float]
    pages_failed: list[str]
    cpu_s: dict[str, float]
    fsync_s: list[float]
    load: float
    loops_per_s: float = 0.0

    @property
    def requests(self) -> int:
        return len(self.outcome.orders_ms) + len(self.outcome.cancels_ms)

    def order_ms(self, share: float) -> float:
        return _quantile(sorted(self.outcome.orders_ms), share)

    def two_fsyncs_ms(self, share: float) -> float:
        return 2000 * _quantile(self.fsync_s, share)


@benchmark("rest-latency", "REST order to confirmation at 200 orders/s, open loop, while the site renders 5 pages/s")
def rest_latency() -> Iterator[Row]:
    with Stack() as stack:
        accounts = _accounts(stack)
        limits = _limits(stack)
        _measure(stack, accounts, seconds=WARM_UP_S, seed=0)
        runs = [_beside(stack, accounts, seed) for seed in range(1, RUNS + 1)]
    yield Row(figure="request weight a minute in force", unit="", series=Series([limits["REQUEST_WEIGHT"]]))
    loads = ", ".join(f"{run.load:.1f}" for run in runs)
    notes = {0.5: f"load average {loads}", 0.99: f"{len(runs[0].outcome.orders_ms)} orders a repeat", 1.0: ""}
    for share, note in notes.items():
        figure = f"order {_name(share)}"
        yield Row(figure=figure, unit="ms", series=_series([run.order_ms(share) for run in runs]), note=note)
    for share in (0.5, 0.99):
        costs = _series([run.two_fsyncs_ms(share) for run in runs])
        yield Row(figure=f"two fsyncs {_name(share)}", unit="ms", series=costs)
    for share, target_ms in ((0.5, P50_TARGET_MS), (0.99, P99_TARGET_MS)):
        left = _series([run.order_ms(share) - run.two_fsyncs_ms(0.5) for run in runs])
        yield Row(figure=f"order {_name(share)} less two median fsyncs", unit="ms", series=left, below=target_ms)
    yield _errors(runs)
    yield Row(
        figure="client late, p99",
        unit="ms",
        series=_series([_quantile(sorted(run.outcome.late_ms), 0.99) for run in runs]),
        note="within the latencies above",
    )
    yield Row(
        figure="cancel p99",
        unit="ms",
        series=_series([_quantile(sorted(run.outcome.cancels_ms), 0.99) for run in runs]),
        note="extra traffic, from sent to answered",
    )
    yield Row(
        figure="page p50",
        unit="ms",
        series=_series([_quantile(sorted(run.pages_ms), 0.5) for run in runs]),
        note=f"{PAGES_PER_S} a second, {sum(len(run.pages_ms) for run in runs)} in all",
    )
    for name in MEASURED:
        yield Row(
            figure=f"CPU of {name} for each order or cancel",
            unit="µs",
            series=_series([run.cpu_s[name] / run.requests * 1e6 for run in runs]),
            ratio=_series([run.cpu_s[name] / run.requests * run.loops_per_s for run in runs]),
            ratio_to="calibration",
            note="pages included" if name in ("gateway", "site") else "",
        )


def _limits(stack: Stack) -> dict[str, int]:
    """The rate limits of the exchange under test; where they bite, nothing else is measured."""
    with Dialect(stack.base_url) as client:
        rows = client.public("/api/v3/exchangeInfo")["rateLimits"]
    return {row["rateLimitType"]: row["limit"] for row in rows}


def _series(values: Sequence[float]) -> Series:
    return Series(values, lower_is_better=True)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _name(share: float) -> str:
    return "max" if share == 1.0 else f"p{share * 100:.0f}"


def _errors(runs: list[Run]) -> Row:
    """Refused, broken or unanswered requests and pages, and orders that should have traded and did not."""
    texts: list[str] = []
    counts = []
    for run in runs:
        outcome = run.outcome
        not_filled = abs(outcome.filled - len(outcome.late_ms) // 4)
        counts.append(sum(outcome.errors.values()) + outcome.unanswered + len(run.pages_failed) + not_filled)
        texts += [*outcome.errors, *run.pages_failed]
        texts += ["unanswered"] * bool(outcome.unanswered) + ["not filled"] * bool(not_filled)
    # The worst repeat counts: a figure with errors is none.
    return Row(figure="errors", unit="", series=Series([max(counts)]), below=1, note="; ".join(texts[:3]))


def _accounts(stack: Stack) -> list[Account]:
    """Funded accounts, so that nothing is refused."""
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda n: demo_account(stack, f"latency{n}", USDT="1000000000", BTC="10000"), range(ACCOUNTS))
        return list(made)


def _beside(stack: Stack, accounts: list[Account], seed: int) -> Run:
    """A measured run with what the machine does by itself before and after it."""
    found: list[Run] = []

    def work() -> float:
        found.append(_measure(stack, accounts, seconds=SECONDS, seed=seed))
        return 0.0

    _, loops_per_s = beside(work)
    run = found[0]
    return Run(run.outcome, run.pages_ms, run.pages_failed, run.cpu_s, run.fsync_s, run.load, loops_per_s)


def _measure(stack: Stack, accounts: list[Account], *, seconds: float, seed: int) -> Run:
    load = os.getloadavg()[0]
    start_s = time.monotonic() + LEAD_S
    plan = {
        "host": "127.0.0.1",
        "port": stack.port,
        "symbol": SYMBOL,
        "accounts": [(account.api_key, account.api_secret) for account in accounts],
        "orders": [asdict(order) for order in _orders(seconds, seed, _price(stack))],
        "start_s": start_s,
    }
    pages = _client("page_client", str(stack.port), str(start_s), str(seconds))
    orders = _client("order_client")
    before = {name: cpu_of_tree_s(stack.pid(name)) for name in MEASURED}
    try:
        with fsyncs_beside(stack.data_dir) as fsync_s:
            outcome = json.loads(orders.communicate(json.dumps(plan))[0])
        cpu_s = {name: cpu_of_tree_s(stack.pid(name)) - before[name] for name in MEASURED}
        read = json.loads(pages.communicate()[0])
    finally:
        for client in (pages, orders):
            client.kill()
            client.wait()
    return Run(Outcome(**outcome), read["milliseconds"], read["failed"], cpu_s, sorted(fsync_s), load)


def _client(module: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=BASE_DIR,
    )  # fmt: skip


def cpu_of_tree_s(pid: int) -> float:
    """User and system time of a process and its living children (PostgreSQL's backends)."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _price(stack: Stack) -> Decimal:
    """The last price; orders that trade do so there, so it stays."""
    with Dialect(stack.base_url) as client:
        return Decimal(client.public("/api/v3/ticker/price", symbol=SYMBOL)["price"])


def _orders(seconds: float, seed: int, price: Decimal) -> list[Order]:
    """Four at a time: a maker, an order that rests, a taker, an order that rests. Even accounts sell, odd ones buy."""
    draw = random.Random(seed)
    found: list[Order] = []
    due_s, tick = 0.0, Decimal("0.01")
    at = f"{price:.2f}"

    def add(side: str, order_price: str, cancel_after_s: float = 0.0) -> None:
        nonlocal due_s
        due_s += draw.expovariate(ORDERS_PER_S)
        account = 2 * draw.randrange(ACCOUNTS // 2) + (side == "BUY")
        found.append(Order(due_s, account, side, order_price, QUANTITY, cancel_after_s))

    def add_resting() -> None:
        distance = price / 100 + draw.randrange(LEVELS) * tick
        side = draw.choice(("BUY", "SELL"))
        add(side, f"{price - distance if side == 'BUY' else price + distance:.2f}", CANCEL_AFTER_S)

    for _ in range(int(seconds * ORDERS_PER_S) // 4):
        maker, taker = draw.choice((("BUY", "SELL"), ("SELL", "BUY")))
        add(maker, at)
        add_resting()
        add(taker, at)
        add_resting()
    return found
