"""Fixtures of the checks that run inside a client's own environment: only pytest and the standard library are there.

tests/clients/running.py starts them. The address in BASE_URL is the recorder's, that in EXCHANGE_URL the exchange's
own, for what the client under test does not do itself.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

SYMBOL = "BTCUSDT"
TICK = Decimal("0.01")
WAIT_S = 60.0
T = TypeVar("T")


class Other:
    """Another account at the same market, and a look at the book that does not go through the recorder."""

    def __init__(self) -> None:
        self._url = os.environ["EXCHANGE_URL"]
        self._key, self._secret = os.environ["OTHER_API_KEY"], os.environ["OTHER_API_SECRET"]

    def public(self, path: str, **params: Any) -> Any:
        with urlopen(f"{self._url}{path}?{urlencode(params)}", timeout=30) as answer:
            return json.load(answer)

    def order(self, side: str, quantity: str, price: str, time_in_force: str = "GTC") -> Any:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                return self._order(side, quantity, price, time_in_force)
            except HTTPError as refused:
                # Nothing was done, try again.
                if refused.code != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _order(self, side: str, quantity: str, price: str, time_in_force: str) -> Any:
        text = urlencode(
            {
                "symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": time_in_force, "quantity": quantity,
                "price": price, "recvWindow": 20000, "timestamp": int(time.time() * 1000),
            }
        )  # fmt: skip
        signature = hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        request = Request(f"{self._url}/api/v3/order", f"{text}&signature={signature}".encode(), method="POST")
        request.add_header("X-MBX-APIKEY", self._key)
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def spread(self) -> tuple[Decimal, Decimal]:
        """Best bid and best ask."""
        best = self.public("/api/v3/ticker/bookTicker", symbol=SYMBOL)
        return Decimal(best["bidPrice"]), Decimal(best["askPrice"])

    def inside(self) -> str:
        """A price between best bid and best ask: an order there is met by the next one that comes."""
        bid, ask = self.spread()
        price = ((bid + ask) / 2).quantize(TICK, ROUND_DOWN)
        assert bid < price < ask, (bid, ask)
        return str(price)

    def away(self, percent: int) -> str:
        """The best bid moved by so many percent: -20 rests far below the market."""
        bid, _ = self.spread()
        return str((bid * (100 + percent) / 100).quantize(TICK, ROUND_DOWN))


def wait_for(look: Callable[[], T], what: str) -> T:
    """What `look` answers once that is true. For data that follows an answer: public data, another connection."""
    deadline = time.monotonic() + WAIT_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {what}"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def other() -> Other:
    return Other()


@pytest.fixture(scope="session")
def base_url() -> str:
    return os.environ["BASE_URL"]


@pytest.fixture(scope="session")
def ws_url() -> str:
    return os.environ["WS_URL"]


@pytest.fixture(scope="session")
def keys() -> tuple[str, str]:
    return os.environ["API_KEY"], os.environ["API_SECRET"]


@pytest.fixture(scope="session", params=["ED25519", "RSA"])
def private_key(request: pytest.FixtureRequest) -> tuple[str, str]:
    """(API key, private key as PEM) of the same account, of either kind."""
    return os.environ[f"{request.param}_API_KEY"], os.environ[f"{request.param}_PEM"]


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any], str], Any]:
    return wait_for
