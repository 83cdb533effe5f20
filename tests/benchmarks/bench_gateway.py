"""What one core of the gateway does: requests divided by the CPU seconds of its process.

A whole exchange (tests/stack.py: real processes, embedded servers, fsync on, no simulator) is kept busy by a closed
loop (closed_client.py); what the other processes take does not count here. Every order is accepted, matched with
another one, durable, and answered in full; the book has 100 levels a side. Meanwhile visitors read 5 pages a second
through the same gateway, which is in its CPU time, and a CSV export runs (bystanders.py).

The yardstick is a bare ASGI answer under the same server settings, in turn with the others: `ratio` is the figure
divided by it.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import psutil

from tests.benchmarks.bystanders import bystanders
from tests.benchmarks.hot_requests import HANDSHAKE, SYMBOL, Sessions, frame, get, lane, orders
from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.dialect import Account, Dialect, demo_account
from tests.ports import free_port
from tests.stack import BASE_DIR, Stack

# A thousand times production's, so that the limits are counted and never bite.
LIMIT_FACTOR: Final = "10000"
ACCOUNTS: Final = 8
CONNECTIONS: Final = 64
# Messages that one WebSocket has under way.
WINDOW: Final = 4
LEVELS: Final = 100
ORDERS: Final = 10_000
READS: Final = 20_000
# Once before the first repeat: caches, and code that is compiled at its first use.
WARM_UP: Final = 2_000
PUBLIC: Final = {
    "depth, 100 levels": f"/api/v3/depth?symbol={SYMBOL}&limit=100",
    "24hr ticker": f"/api/v3/ticker/24hr?symbol={SYMBOL}",
    "best price": f"/api/v3/ticker/bookTicker?symbol={SYMBOL}",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """`lanes(count, tag)` makes the requests of a run; `tag` keeps their client order ids apart."""

    name: str
    lanes: Callable[[int, str], list[dict[str, Any]]]
    count: int
    is_websocket: bool = False
    at_least: float | None = None


@benchmark("gateway", "what one core of the gateway answers, beside pages and a CSV export")
def gateway() -> Iterator[Row]:
    with Stack(RATE_LIMIT_FACTOR=LIMIT_FACTOR) as stack, bare_server(stack) as bare:
        accounts = funded(stack, ACCOUNTS)
        limits, price = market(stack)
        fill_book(stack, accounts, price)
        sessions = Sessions(stack, accounts)
        figures = _figures(accounts, sessions, f"{price:.2f}")
        rates: dict[str, list[float]] = {figure.name: [] for figure in figures}
        bares: dict[bool, list[float]] = {True: [], False: []}
        with bystanders(stack, accounts[0]) as beside:
            for run in range(RUNS + 1):
                counted = run > 0
                for is_websocket in bares:
                    lanes = [_bare_lane(is_websocket, READS if counted else WARM_UP)]
                    rate = per_cpu_s(bare.port, bare.pid, lanes, is_websocket=is_websocket)
                    bares[is_websocket] += [rate] * counted
                for figure in figures:
                    lanes = figure.lanes(figure.count if counted else WARM_UP, f"{run}")
                    rate = per_cpu_s(stack.port, stack.pid("gateway"), lanes, is_websocket=figure.is_websocket)
                    rates[figure.name] += [rate] * counted
    yield from limit_rows(limits)
    names = {False: "bare ASGI answer, HTTP", True: "bare ASGI answer, WebSocket"}
    for is_websocket, series in bares.items():
        yield Row(figure=names[is_websocket], unit="requests/CPU-s", series=Series(series))
    for figure in figures:
        ratio = Series([own / bare for own, bare in zip(rates[figure.name], bares[figure.is_websocket], strict=True)])
        yield Row(
            figure=figure.name, unit="requests/CPU-s", series=Series(rates[figure.name]), ratio=ratio,
            ratio_to=names[figure.is_websocket], at_least=figure.at_least, note=beside.note,
        )  # fmt: skip


def _figures(accounts: Sequence[Account], sessions: Sessions, price: str) -> list[Figure]:
    return [
        Figure(
            "signed REST orders, matched and durable",
            lambda count, tag: [lane(CONNECTIONS, orders(accounts, count, price, f"r{tag}"))],
            ORDERS,
            at_least=6_000,
        ),
        Figure(
            "WebSocket API orders after log-on, matched and durable",
            lambda count, tag: sessions.lanes(CONNECTIONS, WINDOW, count, price, f"w{tag}"),
            ORDERS,
            is_websocket=True,
            at_least=12_000,
        ),
        *(_public_figure(name, path) for name, path in PUBLIC.items()),
    ]


def _public_figure(name: str, path: str) -> Figure:
    return Figure(
        f"public data from memory: {name}", lambda count, tag: [lane(CONNECTIONS, [get(path)] * count)], READS,
        at_least=15_000,
    )  # fmt: skip


def _bare_lane(is_websocket: bool, count: int) -> dict[str, Any]:
    if is_websocket:
        return lane(CONNECTIONS, [frame('{"id":1}')] * count, opening=[HANDSHAKE % b"/"], window=WINDOW)
    return lane(CONNECTIONS, [get("/")] * count)


# -- used by other benchmarks of the gateway too ----------------------------------------------------------------------
def funded(stack: Stack, count: int) -> list[Account]:
    return [demo_account(stack, f"bench{number}", BTC="100000", USDT="1000000000") for number in range(count)]


def market(stack: Stack) -> tuple[list[dict[str, Any]], Decimal]:
    """(rate limits in force, last price)."""
    with Dialect(stack.base_url) as client:
        limits = client.public("/api/v3/exchangeInfo", symbol=SYMBOL)["rateLimits"]
        return limits, Decimal(client.public("/api/v3/ticker/price", symbol=SYMBOL)["price"])


def limit_rows(limits: list[dict[str, Any]]) -> Iterator[Row]:
    """The rate limits of the exchange under test; where they bite, nothing else is measured."""
    for each in limits:
        figure = f"limit in force: {each['rateLimitType']} in {each['intervalNum']} {each['interval']}"
        yield Row(figure=figure, unit="", series=Series([each["limit"]]))


def fill_book(stack: Stack, accounts: Sequence[Account], price: Decimal) -> None:
    """LEVELS resting orders a side, from 0.2 % away; even accounts sell, odd ones buy."""
    for place, account in enumerate(accounts):
        with Dialect(stack.base_url, account) as client:
            for level in range(place // 2, LEVELS, len(accounts) // 2):
                away = price / 500 + level
                side, at = ("BUY", price - away) if place % 2 else ("SELL", price + away)
                client.order(
                    symbol=SYMBOL, side=side, type="LIMIT", timeInForce="GTC", quantity=f"0.1{level:02}",
                    price=f"{at:.2f}",
                )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BareServer:
    port: int
    pid: int


@contextlib.contextmanager
def bare_server(stack: Stack) -> Iterator[BareServer]:
    """The bare answer's process (bare_server.py) in the environment of an exchange."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.bare_server", str(port)], stdout=subprocess.PIPE, text=True,
        cwd=BASE_DIR, env={**stack.environment, "DJANGO_SETTINGS_MODULE": "nebannpet.settings"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield BareServer(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def per_cpu_s(port: int, pid: int, lanes: list[dict[str, Any]], *, is_websocket: bool) -> float:
    """Requests a CPU second of process `pid`; AssertionError when one was refused."""
    before_s = cpu_s(pid)
    client = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.closed_client"],
        input=json.dumps({"port": port, "is_websocket": is_websocket, "lanes": lanes}),
        capture_output=True, text=True, cwd=BASE_DIR,
    )  # fmt: skip
    used_s = cpu_s(pid) - before_s
    assert client.returncode == 0, client.stderr[-500:]
    outcome = json.loads(client.stdout)
    assert not outcome["refused"], outcome["others"]
    return float(outcome["done"] / used_s)


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
