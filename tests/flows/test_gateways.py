"""Several gateways on one port: whichever a client meets, limits, orders, user data and streams are the same."""

import contextlib
import hashlib
import hmac
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.dialect import Account, Dialect, demo_account
from tests.gateway.limiting import early_in_the_minute
from tests.gateway.sockets import Socket
from tests.stack import TRADING, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

GATEWAYS = ("gateway", "gateway-2")
REQUESTS = 40
# A gateway that waited long for redis-edge, where the machine is busy, answers what it knows itself.
ATTEMPTS = 3
# All of them on one of two processes: once in eight million runs.
SOCKETS = 12
TRADE = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "50000.00"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(WEB_CONCURRENCY="2", PROCESSES=TRADING) as running:
        yield running


def clients(stack: Stack, name: str) -> int:
    """Connections to the shared port that process `name` has."""
    connections = psutil.Process(stack.pid(name)).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == stack.port for each in connections)


def ping(stack: Stack) -> int:
    """The weight used in this minute, after one more request over a connection of its own."""
    answer = httpx.get(f"{stack.base_url}/api/v3/ping", headers={"connection": "close"}, timeout=40)
    assert answer.status_code == 200
    return int(answer.headers["x-mbx-used-weight-1m"])


def signed(account: Account, **params: Any) -> dict[str, Any]:
    sent = {**params, "apiKey": account.api_key, "timestamp": int(time.time() * 1000), "recvWindow": 60_000}
    text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
    return {**sent, "signature": hmac.new(account.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


def test_what_both_say_is_the_same(stack: Stack) -> None:
    alice, bob = (demo_account(stack, name, BTC="1", USDT="100000") for name in ("alice", "bob"))

    for _ in range(ATTEMPTS):
        early_in_the_minute()
        first = ping(stack)
        if [ping(stack) for _ in range(REQUESTS)][-1] == first + REQUESTS:
            break
    else:
        pytest.fail("each counts what it met itself")

    with contextlib.ExitStack() as sockets:
        private = [sockets.enter_context(Socket(f"{stack.ws_url}/ws-api/v3")) for _ in range(SOCKETS)]
        public = [sockets.enter_context(Socket(f"{stack.ws_url}/ws/btcusdt@trade")) for _ in range(SOCKETS)]
        assert all(clients(stack, name) for name in GATEWAYS), "the kernel spreads connections"
        for each in private:
            assert each.ask("userDataStream.subscribe.signature", **signed(alice))["status"] == 200
        # Follow the stream only once all subscriptions are there: a stream URL has no answer, so ask for the list.
        for each in public:
            assert each.control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade"]
        with Dialect(stack.base_url, alice) as buyer, Dialect(stack.base_url, bob) as seller:
            bought = buyer.order(side="BUY", **TRADE)
            assert seller.order(side="SELL", **TRADE)["status"] == "FILLED"
        for each in private:
            reports = [
                each.until(lambda message: message.get("event", {}).get("e") == "executionReport")["event"]
                for _ in range(2)
            ]
            assert [(report["i"], report["x"]) for report in reports] == [
                (bought["orderId"], "NEW"), (bought["orderId"], "TRADE"),
            ]  # fmt: skip
        for each in public:
            assert each.until(lambda message: message.get("e") == "trade")["q"] == "0.01000000"


def test_the_other_goes_on_when_one_dies(stack: Stack) -> None:
    stack.kill("gateway-2")
    for _ in range(REQUESTS):
        ping(stack)
    stack.wait_ready("gateway-2")
    with contextlib.ExitStack() as sockets:
        for _ in range(2 * SOCKETS):
            sockets.enter_context(Socket(f"{stack.ws_url}/ws/btcusdt@trade"))
        assert all(clients(stack, name) for name in GATEWAYS)
