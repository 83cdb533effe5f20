"""One recorded table a call, none missing and none too many; answers of every REST call fit theirs.

Every other test of this package holds its answers against the tables too (client.py).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.gateway.registry import Security, load
from apps.gateway.timeunit import FIELDS
from apps.gateway.wsapi.session import SESSION_METHODS
from tests.clients.fields.kinds import FUTURE, TIME, TIME_OR_NONE, TIME_OR_NULL, TIME_OR_ZERO, AnyOf, Row, Table
from tests.clients.fields.tables import REST, WS
from tests.gateway.client import LIMIT, Client, hold_against_tables
from tests.gateway.exchange import Exchange

# Described by their own tests: a document, and an order for the accounts of a rule that staff makes.
APART = {"GET /api/openapi.json"}
BLOCKS = {"POST /api/v3/blockOrder", "GET /api/v3/blockAllocations"}
ASKED = {"symbol": "BTCUSDT", "interval": "1m"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1"}


def test_every_call_has_a_table() -> None:
    registry = load()
    assert {f"{each.method} {each.path}" for each in registry.all()} - APART == set(REST)
    assert set(registry.ws) | set(SESSION_METHODS) == set(WS)


def names_of_times(table: Table, name: str = "") -> Iterator[str]:
    if table in (TIME, FUTURE, TIME_OR_NONE, TIME_OR_NULL, TIME_OR_ZERO):
        yield name
    elif isinstance(table, AnyOf):
        for each in table.tables:
            yield from names_of_times(each, name)
    elif isinstance(table, list):
        yield from names_of_times(table[0])
    elif isinstance(table, dict):
        for of, each in table.items():
            yield from names_of_times(each, of.removesuffix("?"))


def test_every_time_can_be_told_in_microseconds() -> None:
    """Of the trading API; the wallet's answers know milliseconds only, and bars have no names."""
    found = {
        name
        for call, table in REST.items()
        if "/api/v3/" in call and not (isinstance(table, list) and isinstance(table[0], Row))
        for name in names_of_times(table)
    }
    # Times that no order has: they are in the tables for what may come.
    assert found - {"trailingTime", "parkedUntil"} <= FIELDS


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls that were answered 200."""
    found: Counter[str] = Counter()

    def count(answer: httpx.Response) -> None:
        hold_against_tables(answer)
        if answer.status_code == 200:
            found[f"{answer.request.method} {answer.request.url.path}"] += 1

    monkeypatch.setattr("tests.gateway.client.hold_against_tables", count)
    return found


def test_a_tour_of_all_calls(answered: Counter[str], exchange: Exchange) -> None:
    with (
        Client(exchange.base_url, exchange.trader()) as alice, Client(exchange.base_url, exchange.trader()) as bob,
        Client(exchange.base_url) as public,
    ):  # fmt: skip
        _trade(alice, bob)
        _lists(alice)
        for each in load().all():
            name = f"{each.method} {each.path}"
            if each.method == "GET" and name not in (*answered, *APART, *BLOCKS):
                asked = {param.name: ASKED[param.name] for param in each.params if param.name in ASKED}
                client = public if each.security is Security.NONE else bob
                if client is public:
                    assert public.get(each.path, **asked).status_code == 200, name
                else:
                    bob.ok("GET", each.path, **asked)
        # Of all markets, and in short.
        for path in ("ticker/24hr", "ticker/price", "ticker/bookTicker"):
            assert public.get(f"/api/v3/{path}").status_code == 200
        for path in ("ticker/24hr", "ticker", "ticker/tradingDay"):
            assert public.get(f"/api/v3/{path}", symbol="BTCUSDT", type="MINI").status_code == 200
        bob.ok("POST", "/sapi/v3/asset/getUserAsset", needBtcValuation="true")
        key = alice.raw("POST", "/api/v3/userDataStream").json()["listenKey"]
        for method in ("PUT", "DELETE"):
            assert alice.raw(method, f"/api/v3/userDataStream?listenKey={key}").status_code == 200
    missing = set(REST) - set(answered) - BLOCKS
    assert not missing, missing


def _trade(alice: Client, bob: Client) -> None:
    """Orders of most kinds, a prevented match, and what can be done to an order."""
    symbol = {"symbol": "BTCUSDT"}
    first = alice.limit("SELL", "50000.00", "0.5", newOrderRespType="RESULT")
    ids = {**symbol, "orderId": first["orderId"]}
    alice.ok("PUT", "/api/v3/order/amend/keepPriority", **ids, newQty="0.4")
    alice.ok("GET", "/api/v3/order/amendments", **ids)
    bob.market("BUY", quantity="0.1")
    alice.ok("GET", "/api/v3/order", **ids)
    alice.market("BUY", quantity="0.1", selfTradePreventionMode="EXPIRE_TAKER")
    met = alice.ok("GET", "/api/v3/myPreventedMatches", **ids)
    assert met
    good: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
    alice.ok("POST", "/api/v3/order/test", **good, computeCommissionRates="true")
    alice.ok("POST", "/api/v3/order/test", **good)
    replaced = alice.ok(
        "POST", "/api/v3/order/cancelReplace", **good, cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=first["orderId"],
    )  # fmt: skip
    alice.ok("DELETE", "/api/v3/order", **symbol, orderId=replaced["newOrderResponse"]["orderId"])
    alice.ok("POST", "/api/v3/order", **STOP, type="STOP_LOSS", stopPrice="30000.00", newOrderRespType="RESULT")
    alice.ok("DELETE", "/api/v3/openOrders", **symbol)
    for timeout in (60_000, 0):
        alice.ok("POST", "/api/v3/cancelAllAfter", timeout=timeout)


def _lists(alice: Client) -> None:
    pair = {"aboveType": "LIMIT_MAKER", "abovePrice": "60000", "belowType": "STOP_LOSS", "belowStopPrice": "30000"}
    placed = alice.ok("POST", "/api/v3/orderList/oco", **STOP, **pair)
    alice.ok("GET", "/api/v3/orderList", orderListId=placed["orderListId"])
    alice.ok("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=placed["orderListId"])
    working = {
        "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "40000", "workingQuantity": "0.1",
        "workingTimeInForce": "GTC",
    }  # fmt: skip
    alice.ok(
        "POST", "/api/v3/orderList/oto", symbol="BTCUSDT", **working, pendingType="MARKET", pendingSide="SELL",
        pendingQuantity="0.1",
    )  # fmt: skip
    pending = {f"pending{name[0].upper()}{name[1:]}": value for name, value in pair.items()}
    alice.ok(
        "POST", "/api/v3/orderList/otoco", symbol="BTCUSDT", **working, **pending, pendingSide="SELL",
        pendingQuantity="0.1",
    )  # fmt: skip
    alice.ok("POST", "/api/v3/order/oco", **STOP, price="60000", stopPrice="30000")
    alice.ok("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
