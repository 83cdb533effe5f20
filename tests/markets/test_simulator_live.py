"""The whole exchange with its simulated market, as `make run` starts it: books, prints and history, over crashes."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from apps.common.amounts import parse_decimal
from apps.markets import demo
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

LEVELS = 18  # of about 20: a move of the price takes a moment to follow
SYMBOLS = [market.symbol for market in demo.MARKETS]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(SIMULATOR="1") as stack:
        yield stack


class Book:
    """A client's book: price text -> quantity text by side."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.id = snapshot["lastUpdateId"]
        self.sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        self.taken = 0

    def take(self, event: dict[str, Any]) -> None:
        if event["u"] <= self.id:
            return
        if self.taken:
            assert event["U"] == self.id + 1, f"a gap: {event['U']} after {self.id}"
        else:
            assert event["U"] <= self.id + 1, f"the first event starts at {event['U']}, the snapshot is {self.id}"
        for side in ("b", "a"):
            for price, quantity in event[side]:
                if quantity == "0.00000000":
                    self.sides[side].pop(price, None)
                else:
                    self.sides[side][price] = quantity
        self.id = event["u"]
        self.taken += 1

    def crossed(self) -> bool:
        bids, asks = ([parse_decimal(price) for price in self.sides[side]] for side in ("b", "a"))
        return max(bids) >= min(asks)


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 100.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.25)


def get(stack: Stack, path: str, **params: str | int) -> object:
    """The parsed answer, or None while the gateway is away."""
    try:
        answer = httpx.get(f"{stack.base_url}/api/v3/{path}", params=params, timeout=40)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def is_live(stack: Stack, symbol: str, since_ms: int) -> bool:
    """Full books on both sides, not crossed, and a print after `since_ms`."""
    depth, trades = get(stack, "depth", symbol=symbol, limit=100), get(stack, "trades", symbol=symbol, limit=1)
    if not isinstance(depth, dict) or not isinstance(trades, list) or not trades:
        return False
    bids, asks = depth["bids"], depth["asks"]
    if bids and asks:
        assert int(bids[0][0].replace(".", "")) < int(asks[0][0].replace(".", "")), "the book is crossed"
    return min(len(bids), len(asks)) >= LEVELS and trades[0]["time"] > since_ms


def all_live(stack: Stack, since_ms: int) -> Callable[[], bool]:
    return lambda: all(is_live(stack, symbol, since_ms) for symbol in SYMBOLS)


def test_every_market_lives(stack: Stack) -> None:
    wait_for(all_live(stack, 0), "every market has full books and trades")
    for symbol in SYMBOLS:
        hours = get(stack, "klines", symbol=symbol, interval="1h", limit=48)
        assert isinstance(hours, list)
        assert len(hours) == 48, "two days of history"
        minute = get(stack, "klines", symbol=symbol, interval="1m", limit=1)
        trades = get(stack, "trades", symbol=symbol, limit=1)
        assert isinstance(minute, list)
        assert isinstance(trades, list)
        # A minute that has just begun has no trade yet, and one may end between the two answers.
        assert minute[0][0] - 60_000 <= trades[0]["time"] <= minute[0][6] + 60_000
        ticker = get(stack, "ticker/24hr", symbol=symbol)
        assert isinstance(ticker, dict)
        assert ticker["count"] > 1_000, "the window holds simulated history"


@pytest.mark.parametrize("stream", ["btcusdt@depth@100ms", pytest.param("btcusdt@depth", marks=pytest.mark.long)])
def test_a_local_book_stays_right_while_market_data_is_killed(stack: Stack, stream: str) -> None:
    """The rules of clients.md section 5, as python-binance and ccxt follow them: a gap fails."""
    with connect(f"{stack.ws_url}/ws/{stream}", open_timeout=40, proxy=None) as socket:
        events = [json.loads(socket.recv(timeout=60))]
        snapshot = get(stack, "depth", symbol="BTCUSDT", limit=5000)
        assert isinstance(snapshot, dict)
        book = Book(snapshot)
        stack.kill("marketdata")
        killed_at = len(events)
        deadline = time.monotonic() + 100
        while len(events) < killed_at + 8 or events[-1]["u"] <= snapshot["lastUpdateId"]:
            assert time.monotonic() < deadline, f"{len(events)} events only"
            events.append(json.loads(socket.recv(timeout=60)))
    for event in events:
        book.take(event)
    stack.wait_ready("marketdata")
    assert book.taken
    assert not book.crossed()


@pytest.mark.parametrize(
    "victim",
    ["redis-edge", "matching", *(pytest.param(name, marks=pytest.mark.long) for name in ("gateway", "marketdata"))],
)
def test_the_market_comes_back_after_a_crash(stack: Stack, victim: str) -> None:
    """The test above kills market data in `make test`, and that of the trading page the gateway."""
    stack.kill(victim)
    killed_ms = time.time_ns() // 1_000_000
    stack.wait_ready(victim)
    wait_for(all_live(stack, killed_ms), f"every market trades again after kill -9 of {victim}")


def test_halting_from_the_command_line(stack: Stack) -> None:
    assert "LTCUSDT: Halted since event" in stack.manage("market", "LTCUSDT", "halt", "--reason", "test")
    wait_for(lambda: _status(stack) == "HALT", "exchangeInfo shows the halt")
    assert "LTCUSDT: Open since event" in stack.manage("market", "LTCUSDT", "open", "--reason", "test is over")
    opened_ms = time.time_ns() // 1_000_000
    wait_for(lambda: is_live(stack, "LTCUSDT", opened_ms), "LTCUSDT trades again")


def test_the_whole_exchange_stops_in_order(stack: Stack) -> None:
    """The last test here."""
    stack.stop_processes()
    assert re.search(r"stopped after [\d.]+ s", stack.console())
    assert {entry["state"] for entry in stack.processes().values()} == {"stopped"}


def _status(stack: Stack) -> str:
    info = get(stack, "exchangeInfo", symbol="LTCUSDT")
    return str(info["symbols"][0]["status"]) if isinstance(info, dict) else ""
