"""Lists over REST: amendments, what may be asked together, and how far apart two times may be."""

from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until

DAY = 86_400_000
COMBINATION = (400, -1128, "Combination of optional parameters invalid.")


def test_amendments_of_an_order(exchange: Exchange, alice: Client, bob: Client) -> None:
    order = alice.limit("BUY", "40000.00", "0.5")
    ids = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    assert alice.ok("GET", "/api/v3/order/amendments", **ids) == []
    done = [
        alice.ok("PUT", "/api/v3/order/amend/keepPriority", **ids, newQty=quantity)
        for quantity in ("0.4", "0.2", "0.1")
    ]
    rows = alice.ok("GET", "/api/v3/order/amendments", **ids)
    assert rows == [
        {
            "symbol": "BTCUSDT", "orderId": order["orderId"], "executionId": each["executionId"],
            "origClientOrderId": order["clientOrderId"], "newClientOrderId": order["clientOrderId"],
            "origQty": before, "newQty": each["amendedOrder"]["qty"], "time": each["transactTime"],
        }
        for each, before in zip(done, ("0.50000000", "0.40000000", "0.20000000"), strict=True)
    ]  # fmt: skip
    assert alice.ok("GET", "/api/v3/order/amendments", **ids, fromExecutionId=rows[1]["executionId"]) == rows[1:]
    assert alice.ok("GET", "/api/v3/order/amendments", **ids, limit=2) == rows[:2]
    # A refused amendment is none.
    assert alice.refused("PUT", "/api/v3/order/amend/keepPriority", **ids, newQty="0.3")[1] == -2038
    assert alice.ok("GET", "/api/v3/order/amendments", **ids) == rows
    assert bob.refused("GET", "/api/v3/order/amendments", **ids) == (400, -2013, "Order does not exist.")
    assert alice.refused("GET", "/api/v3/order/amendments", **{**ids, "symbol": "LTCUSDT"})[1] == -2013
    assert alice.refused("GET", "/api/v3/order/amendments", symbol="BTCUSDT")[1] == -1102


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/v3/myTrades", {"fromId": 1, "startTime": 1}), ("/api/v3/myTrades", {"fromId": 1, "endTime": 1}),
        ("/api/v3/myTrades", {"orderId": 1, "startTime": 1}), ("/api/v3/myTrades", {"orderId": 1, "endTime": 1}),
        ("/api/v3/myAllocations", {"orderId": 1, "startTime": 1}),
        ("/api/v3/myAllocations", {"fromAllocationId": 1, "endTime": 1}),
        ("/api/v3/myPreventedMatches", {"orderId": 1, "preventedMatchId": 1}),
        ("/api/v3/aggTrades", {"fromId": 1, "startTime": 1}), ("/api/v3/aggTrades", {"fromId": 1, "endTime": 1}),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_together(alice: Client, path: str, params: dict[str, Any]) -> None:
    answer = alice.get(path, symbol="BTCUSDT", **params) if "agg" in path else None
    refused = (
        alice.refused("GET", path, symbol="BTCUSDT", **params)
        if answer is None
        else (answer.status_code, answer.json()["code"], answer.json()["msg"])
    )
    assert refused == COMBINATION


def test_two_times_may_be_a_day_apart(alice: Client) -> None:
    for path in ("/api/v3/allOrders", "/api/v3/myTrades", "/api/v3/allOrderList", "/api/v3/myAllocations"):
        symbol = {} if path.endswith("List") else {"symbol": "BTCUSDT"}
        assert alice.ok("GET", path, **symbol, startTime=1, endTime=1 + DAY) == []
        for end in (2 + DAY, 0):
            assert alice.refused("GET", path, **symbol, startTime=1, endTime=end)[1] == -1127, (path, end)
    # Public history has no such limit.
    assert alice.get("/api/v3/aggTrades", symbol="BTCUSDT", startTime=1, endTime=2 + DAY).json() == []


def test_a_trade_is_in_every_list_that_has_it(exchange: Exchange, alice: Client, bob: Client) -> None:
    """One taker order over two prices: two aggregates, of which one has two prints."""
    makers = [alice.limit("SELL", price, "0.1") for price in ("50000.00", "50000.00", "50100.00")]
    taker = bob.market("BUY", quantity="0.3")
    ids = [fill["tradeId"] for fill in taker["fills"]]
    symbol = {"symbol": "BTCUSDT"}
    wait_until(lambda: [row["l"] for row in alice.get("/api/v3/aggTrades", **symbol, limit=1).json()] == ids[-1:])
    exchange.wait_settled()

    def trades(client: Client, **params: Any) -> list[int]:
        return [row["id"] for row in client.ok("GET", "/api/v3/myTrades", **symbol, **params)]

    time_ms = taker["transactTime"]
    for client in (alice, bob):
        assert trades(client) == ids
        assert trades(client, limit=2) == ids[1:]
        assert trades(client, fromId=ids[0], limit=2) == ids[:2]
        assert trades(client, fromId=ids[1]) == ids[1:]
        assert trades(client, startTime=time_ms, endTime=time_ms) == ids
        assert trades(client, startTime=time_ms + 1) == trades(client, endTime=time_ms - 1) == []
        assert trades(client, endTime=time_ms, limit=1) == ids[-1:]
    assert trades(bob, orderId=taker["orderId"]) == ids
    assert trades(bob, orderId=taker["orderId"], fromId=ids[2]) == ids[2:]
    assert trades(bob, orderId=taker["orderId"], limit=1) == ids[-1:]
    for maker, trade_id in zip(makers, ids, strict=True):
        assert trades(alice, orderId=maker["orderId"]) == [trade_id]
        assert trades(bob, orderId=maker["orderId"]) == []
    aggregates = alice.get("/api/v3/aggTrades", **symbol, startTime=time_ms, endTime=time_ms).json()
    assert [(row["f"], row["l"], row["q"]) for row in aggregates] == [
        (ids[0], ids[1], "0.20000000"), (ids[2], ids[2], "0.10000000"),
    ]  # fmt: skip
    assert alice.get("/api/v3/aggTrades", **symbol, fromId=aggregates[0]["a"]).json() == aggregates
    assert alice.get("/api/v3/aggTrades", **symbol, limit=2).json() == aggregates
    assert alice.get("/api/v3/aggTrades", **symbol, endTime=time_ms, limit=2).json() == aggregates
