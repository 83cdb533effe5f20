"""How many orders a second the whole exchange sustains on this machine, and what an order takes at half of that.

The highest rate of an open loop (manage.py loadgen, in processes of its own on the same machine) at which no order is
refused, none goes unanswered and the 99th percentile of their latencies stays below 100 ms; a latency counts from the
moment an order is due, so the client's own lateness is in it. Every order is signed and meets another one. Short
trials find the rate; the one that counts lasts BENCH_MAXIMUM_SECONDS (60). Then half of that rate is measured, with
20 durable appends a second beside it: p50 and p99 of one fsync on that disk at that time.

Visitors read 5 pages a second and a CSV export runs all the while (bystanders.py).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from apps.gateway.loadgen.outcome import Outcome
from apps.gateway.loadgen.plan import ApiKeyPair, Plan
from apps.gateway.loadgen.processes import run_in_processes
from apps.gateway.loadgen.traffic import ORDERS
from tests.benchmarks.bench_gateway import ACCOUNTS, LIMIT_FACTOR, fill_book, funded, limit_rows, market
from tests.benchmarks.bench_rest_latency import MEASURED, cpu_of_tree_s
from tests.benchmarks.bystanders import bystanders
from tests.benchmarks.fsync import fsyncs_beside
from tests.benchmarks.registry import Row, Series, benchmark
from tests.dialect import Account
from tests.stack import Stack

SECONDS: Final = int(os.environ.get("BENCH_MAXIMUM_SECONDS", "60"))
TRIAL_SECONDS: Final = max(min(SECONDS // 6, 8), 3)
HALF_SECONDS: Final = max(SECONDS // 2, 5)
FIRST_RATE: Final = 400
# A machine that cannot do this is busy with something else.
LEAST_RATE: Final = 50
P99_MAX_US: Final = 100_000
P99_TARGET_MS: Final = 10.0
# Client processes: two cores sign no faster than two of them.
PARTS: Final = 2
# A rate that failed over the whole time is tried again at so many percent of it.
STEP_PERCENT: Final = 85
BETWEEN_PERCENT: Final = 10


@benchmark("maximum", "the highest rate of orders that the whole exchange sustains, and the latency at half of it")
def maximum() -> Iterator[Row]:
    with Stack(RATE_LIMIT_FACTOR=LIMIT_FACTOR) as stack:
        accounts = funded(stack, ACCOUNTS)
        limits, price = market(stack)
        fill_book(stack, accounts, price)
        plan = _plan(stack, accounts, f"{price:.2f}")
        with bystanders(stack, accounts[0]) as beside:
            rate, sustained = _search(plan)
            before_s = {name: cpu_of_tree_s(stack.pid(name)) for name in MEASURED}
            with fsyncs_beside(stack.data_dir) as fsync_s:
                half = _run(plan, rate // 2, HALF_SECONDS)
            used_s = {name: cpu_of_tree_s(stack.pid(name)) - before_s[name] for name in MEASURED}
    yield from limit_rows(limits)
    orders = sustained.tally(ORDERS)
    yield Row(
        figure=f"orders a second sustained for {SECONDS} s", unit="orders/s", series=Series([rate]),
        note=f"open loop, the clients on the same machine; {beside.note}",
    )  # fmt: skip
    yield _latency("order p50 at that rate", orders.latency.at(500))
    yield _latency("order p99 at that rate", orders.latency.at(990), below=P99_MAX_US / 1000)
    orders = half.tally(ORDERS)
    note = f"at {rate // 2} orders/s for {HALF_SECONDS} s, client included"
    yield _latency("order p50 at half of it", orders.latency.at(500), note=note)
    yield _latency("order p99 at half of it", orders.latency.at(990), below=P99_TARGET_MS, note=note)
    yield _latency("client late, p99, at half of it", half.late.at(990), note="within the latencies above")
    for name, share in (("p50", 50), ("p99", 99)):
        milliseconds = sorted(fsync_s)[len(fsync_s) * share // 100] * 1000
        yield Row(figure=f"one fsync, {name}", unit="ms", series=Series([milliseconds], lower_is_better=True))
    yield Row(figure="orders refused or unanswered at half of it", unit="", series=Series([orders.failed]), below=1)
    for name in MEASURED:
        figure, microseconds = f"CPU of {name} for each order at half of it", used_s[name] / orders.due * 1e6
        note = "pages included" if name in ("gateway", "site") else ""
        yield Row(figure=figure, unit="µs", series=Series([microseconds], lower_is_better=True), note=note)


def _latency(figure: str, microseconds: int, *, below: float | None = None, note: str = "") -> Row:
    series = Series([microseconds / 1000], lower_is_better=True)
    return Row(figure=figure, unit="ms", series=series, below=below, note=note)


def _plan(stack: Stack, accounts: Sequence[Account], price: str) -> Plan:
    return Plan(
        url=f"http://127.0.0.1:{stack.port}",
        keys=tuple(ApiKeyPair(key=each.api_key, secret=each.api_secret) for each in accounts),
        fills_percent=100,
        price=price,
        arrivals="random",
        parts=PARTS,
    )


def _search(plan: Plan) -> tuple[int, Outcome]:
    """Up by half until a trial fails, between the two by halves, then the whole time; down in steps if that fails."""
    low, high = 0, FIRST_RATE
    while _is_sustained(_run(plan, high, TRIAL_SECONDS)):
        low, high = high, high * 3 // 2
    while (high - low) * 100 > high * BETWEEN_PERCENT and high > LEAST_RATE:
        middle = (low + high) // 2
        if _is_sustained(_run(plan, middle, TRIAL_SECONDS)):
            low = middle
        else:
            high = middle
    while low >= LEAST_RATE:
        outcome = _run(plan, low, SECONDS)
        if _is_sustained(outcome):
            return low, outcome
        low = low * STEP_PERCENT // 100
    raise AssertionError(f"not even {LEAST_RATE} orders a second are sustained: is the machine busy?")


def _run(plan: Plan, rate: int, seconds: int) -> Outcome:
    return run_in_processes(replace(plan, orders_per_s=rate, seconds=seconds, seed=rate))


def _is_sustained(outcome: Outcome) -> bool:
    orders = outcome.tally(ORDERS)
    return not orders.failed and orders.latency.at(990) < P99_MAX_US
