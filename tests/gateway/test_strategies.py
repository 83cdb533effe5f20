"""Labels of orders, above all strategyId and strategyType: told again wherever the order is."""

from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket
from tests.gateway.test_block_orders import BLOCK, subs
from tests.gateway.test_block_orders import LIMIT as BLOCK_LIMIT
from tests.gateway.test_order_kinds import ORDER, status
from tests.gateway.test_order_lists import OCO, OLD, OTOCO, PENDING_PAIR, SELL, WORKING
from tests.gateway.test_resuming import subscribe
from tests.gateway.test_stop_orders import carol, last_price
from tests.gateway.test_wsapi import open_socket, signed

__all__ = ["carol", "last_price", "subs"]
REPLACE = "/api/v3/order/cancelReplace"
AMEND = "/api/v3/order/amend/keepPriority"
LONGEST = 2**63 - 1
LIMIT: dict[str, Any] = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "40000", "quantity": "0.1",
}  # fmt: skip
BOTH = {"strategyId": 7, "strategyType": 1_000_000}


def of(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("strategyId", "strategyType") if name in answer}


@pytest.mark.parametrize(
    "given",
    [BOTH, {"strategyId": 0}, {"strategyId": LONGEST}, {"strategyType": 2**31 - 1}, {}],
    ids=["both", "zero", "longest", "type", "none"],
)
def test_answers_show_what_was_given(alice: Client, given: dict[str, int]) -> None:
    full = alice.ok("POST", ORDER, **LIMIT, **given)
    assert of(full) == given
    assert of(alice.ok("POST", ORDER, **LIMIT, **given, newOrderRespType="RESULT")) == given
    ack = alice.ok("POST", ORDER, **LIMIT, **given, newOrderRespType="ACK")
    assert of(ack) == {}
    assert of(status(alice, ack)) == given
    assert [of(order) for order in alice.ok("GET", "/api/v3/openOrders", symbol="BTCUSDT")] == [given] * 3
    assert [of(order) for order in alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT")] == [given] * 3
    assert alice.ok("POST", "/api/v3/order/test", **LIMIT, **given) == {}


@pytest.mark.parametrize(
    "order",
    [
        {"type": "LIMIT_MAKER", "price": "40000", "quantity": "0.1"},
        {"type": "MARKET", "quantity": "0.1"},
        {"type": "MARKET", "quoteOrderQty": "100"},
        {"type": "STOP_LOSS", "quantity": "0.1", "stopPrice": "60000"},
        {"type": "TAKE_PROFIT_LIMIT", "quantity": "0.1", "stopPrice": "40000", "price": "41000", "timeInForce": "GTC"},
        {"type": "LIMIT", "quantity": "1", "price": "40000", "timeInForce": "GTC", "icebergQty": "0.1"},
    ],
    ids=lambda order: str(order["type"]),
)
def test_every_kind_takes_it(alice: Client, bob: Client, order: dict[str, str]) -> None:
    bob.limit("SELL", "50000.00", "1")
    placed = alice.ok("POST", ORDER, symbol="BTCUSDT", side="BUY", **order, **BOTH, newOrderRespType="RESULT")
    assert of(placed) == of(status(alice, placed)) == BOTH


def test_the_new_order_of_a_replace_has_its_own(alice: Client) -> None:
    old = alice.ok("POST", ORDER, **LIMIT, **BOTH)
    new = alice.ok(
        "POST", REPLACE, **LIMIT, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=old["orderId"], strategyId=8
    )["newOrderResponse"]
    assert (of(new), of(status(alice, new)), of(status(alice, old))) == ({"strategyId": 8}, {"strategyId": 8}, BOTH)


def cancels(client: Client, given: dict[str, int]) -> list[dict[str, Any]]:
    """What each way of cancelling a plain order with a strategy answers of it."""

    def order() -> int:
        return int(client.ok("POST", ORDER, **LIMIT, **given)["orderId"])

    one = client.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=order())
    order(), order()
    every = client.ok("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    replaced = client.ok("POST", REPLACE, **LIMIT, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order())
    client.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=replaced["newOrderResponse"]["orderId"])
    return [of(answer) for answer in (one, *every, replaced["cancelResponse"])]


def test_a_cancel_shows_it(alice: Client) -> None:
    assert cancels(alice, BOTH) == [BOTH] * 4
    assert cancels(alice, {"strategyId": 0}) == [{"strategyId": 0}] * 4
    assert cancels(alice, {}) == [{}] * 4
    placed = alice.ok("POST", ORDER, **LIMIT, **BOTH)
    shown = list(status(alice, placed))
    canceled = list(alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=placed["orderId"]))
    assert [name for name in canceled if name in shown] == [name for name in shown if name in canceled]


@pytest.mark.parametrize("label", [BOTH, {"icebergQty": "0.05000000"}], ids=["strategy", "iceberg"])
def test_a_cancel_through_a_gateway_that_did_not_see_it_placed(
    exchange: Exchange, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch, label: dict[str, Any]
) -> None:
    """After a restart the record says who labels orders, then the events do; nobody else's cancel reads the record."""
    hers, his = (client.ok("POST", ORDER, **LIMIT, **given) for client, given in ((alice, label), (bob, {})))
    with exchange.further_gateway() as fresh:
        assert fresh.gateway is not None
        labelled, reads = fresh.gateway.tail.labelled, fresh.gateway.reads
        wait_until(lambda: not labelled.may_be(bob.me.account_id))
        asked: list[str] = []
        rows = reads._rows

        async def noted(query: str, parameters: Any) -> list[Any]:
            asked.append(query)
            return await rows(query, parameters)

        monkeypatch.setattr(reads, "_rows", noted)
        url = f"http://127.0.0.1:{fresh.port}"
        with Client(url, alice.me, tidy=False) as her, Client(url, bob.me, tidy=False) as him:
            assert not label.keys() & him.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=his["orderId"]).keys()
            assert asked == []
            assert label.items() <= her.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=hers["orderId"]).items()
            new = bob.ok("POST", ORDER, **LIMIT, **label)
            wait_until(lambda: labelled.may_be(bob.me.account_id))
            assert label.items() <= him.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=new["orderId"]).items()


def test_a_cancel_shows_what_an_iceberg_displayed(alice: Client, bob: Client) -> None:
    iceberg = {**LIMIT, "quantity": "1", "icebergQty": "0.1"}
    placed = alice.ok("POST", ORDER, **iceberg, newOrderRespType="RESULT")
    canceled = alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    assert canceled["icebergQty"] == status(alice, placed)["icebergQty"] == "0.10000000"
    alice.ok("POST", ORDER, **iceberg, **BOTH)
    [canceled] = alice.ok("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert (canceled["icebergQty"], of(canceled)) == ("0.10000000", BOTH)
    plain = bob.ok("POST", ORDER, **LIMIT)
    assert "icebergQty" not in bob.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=plain["orderId"])


def test_an_amendment_shows_it(alice: Client) -> None:
    for given in (BOTH, {"strategyId": 0}, {}):
        placed = alice.ok("POST", ORDER, **LIMIT, **given)
        amended = alice.ok("PUT", AMEND, symbol="BTCUSDT", orderId=placed["orderId"], newQty="0.05")["amendedOrder"]
        assert (amended["qty"], of(amended)) == ("0.05000000", given)


def test_each_order_of_a_list_has_its_own(alice: Client) -> None:
    placed = alice.ok("POST", OCO, **SELL, aboveStrategyId=1, belowStrategyId=2, belowStrategyType=1_000_002)
    wanted = [{"strategyId": 1}, {"strategyId": 2, "strategyType": 1_000_002}]
    assert [of(report) for report in placed["orderReports"]] == wanted
    assert [of(status(alice, order)) for order in placed["orders"]] == wanted
    canceled = alice.ok("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=placed["orderListId"])
    assert [of(report) for report in canceled["orderReports"]] == wanted
    placed = alice.ok("POST", OTOCO, **WORKING, **PENDING_PAIR, workingStrategyId=3, pendingBelowStrategyType=1_000_003)
    wanted = [{"strategyId": 3}, {}, {"strategyType": 1_000_003}]
    assert [of(report) for report in placed["orderReports"]] == wanted
    assert [of(status(alice, order)) for order in placed["orders"]] == wanted


def test_the_oco_of_old(alice: Client) -> None:
    placed = alice.ok(
        "POST", OLD, symbol="BTCUSDT", side="SELL", quantity="0.1", price="52000", stopPrice="48000",
        limitStrategyId=4, stopStrategyId=5, stopStrategyType=1_000_005,
    )  # fmt: skip
    assert [of(report) for report in placed["orderReports"]] == [
        {"strategyId": 4}, {"strategyId": 5, "strategyType": 1_000_005},
    ]  # fmt: skip


def test_a_block_order(alice: Client, subs: list[Client]) -> None:
    placed = alice.ok("POST", BLOCK, **BLOCK_LIMIT, **BOTH)
    assert of(placed) == of(status(alice, placed)) == BOTH


def test_a_repeat_is_the_first_order_whatever_its_strategy(alice: Client) -> None:
    first = alice.ok("POST", ORDER, **LIMIT, **BOTH, newClientOrderId="mine")
    for given in (BOTH, {}, {"strategyId": 9}):
        again = alice.ok("POST", ORDER, **LIMIT, **given, newClientOrderId="mine")
        assert (again["orderId"], of(again)) == (first["orderId"], BOTH)


def reports(socket: Socket, order_id: int, count: int) -> list[dict[str, Any]]:
    """The first executionReports about an order."""
    found = [message["event"] for message in socket.seen if "event" in message]
    while True:
        own = [event for event in found if event["e"] == "executionReport" and event["i"] == order_id]
        if len(own) >= count:
            return own
        found.append(socket.until(lambda message: "event" in message)["event"])


def marks(report: dict[str, Any]) -> tuple[Any, Any, Any]:
    return report["x"], report.get("j"), report.get("J")


def test_user_data_tells_it_with_every_report(exchange: Exchange, alice: Client, bob: Client) -> None:
    with open_socket(exchange) as socket:
        subscribe(socket, alice)
        ours = alice.ok("POST", ORDER, **{**LIMIT, "price": "50000.00"}, **BOTH)
        plain = alice.ok("POST", ORDER, **LIMIT)
        bob.market("SELL", quantity="0.04")
        alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=ours["orderId"])
        alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=plain["orderId"])
        assert [marks(report) for report in reports(socket, ours["orderId"], 3)] == [
            ("NEW", 7, 1_000_000), ("TRADE", 7, 1_000_000), ("CANCELED", 7, 1_000_000),
        ]  # fmt: skip
        assert [marks(report) for report in reports(socket, plain["orderId"], 2)] == [
            ("NEW", None, None), ("CANCELED", None, None),
        ]  # fmt: skip


def test_user_data_knows_it_of_orders_from_before(exchange: Exchange, alice: Client, bob: Client) -> None:
    """What a gateway that has just started does: it reads the open orders, then follows the events."""
    ours = alice.ok("POST", ORDER, **{**LIMIT, "price": "50000.00"}, strategyType=1_000_001)
    bob.market("SELL", quantity="0.04")
    exchange.wait_settled()
    with open_socket(exchange) as socket:
        subscribe(socket, alice)
        bob.market("SELL", quantity="0.04")
        [report] = reports(socket, ours["orderId"], 1)
        assert (marks(report), report["z"]) == (("TRADE", None, 1_000_001), "0.08000000")


def test_websocket_api(exchange: Exchange, alice: Client) -> None:
    with open_socket(exchange) as socket:
        placed = socket.ask("order.place", **signed(alice, **LIMIT, **BOTH))["result"]
        assert of(placed) == BOTH
        [shown] = socket.ask("openOrders.status", **signed(alice, symbol="BTCUSDT"))["result"]
        assert of(shown) == BOTH
        refused = socket.ask("order.place", **signed(alice, **LIMIT, strategyType=999_999))
        assert (refused["status"], refused["error"]["code"]) == (400, -1130)


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"strategyType": "999999"}, -1130, "'strategyType'"),
        ({"strategyType": "0"}, -1130, "'strategyType'"),
        ({"strategyType": str(2**31)}, -1130, "'strategyType'"),
        ({"strategyType": "1e6"}, -1100, "'strategyType'"),
        ({"strategyType": ""}, -1105, "'strategyType'"),
        ({"strategyId": str(2**63)}, -1130, "'strategyId'"),
        ({"strategyId": "-1"}, -1100, "'strategyId'"),
        ({"strategyId": "7.0"}, -1100, "'strategyId'"),
        ({"strategyId": ""}, -1105, "'strategyId'"),
    ],
)
@pytest.mark.parametrize("path", [ORDER, "/api/v3/order/test"])
def test_refusals(
    alice: Client, unchanged: None, path: str, given: dict[str, str], code: int, text: str
) -> None:  # fmt: skip
    status_code, found, message = alice.refused("POST", path, **LIMIT, **given)
    assert (status_code, found) == (400, code)
    assert text in message


def test_a_leg_is_refused_by_its_own_name(alice: Client, unchanged: None) -> None:
    found, code, message = alice.refused("POST", OCO, **SELL, belowStrategyType=1)
    assert (found, code) == (400, -1130)
    assert "'belowStrategyType'" in message
