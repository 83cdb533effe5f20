"""Amend keeping priority, cancel-replace and cancel-all-after, over REST and WebSocket API."""

import time
from typing import Any

import pytest

from apps.gateway.amending import Amendments
from apps.gateway.orderform import ORDER_PARAMS
from apps.gateway.params import read
from apps.streams.kinds import Reason
from tests.gateway.client import FORM, Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import signed

ORDER = "/api/v3/order"
AMEND = "/api/v3/order/amend/keepPriority"
REPLACE = "/api/v3/order/cancelReplace"
SWITCH = "/api/v3/cancelAllAfter"
NEW: dict[str, Any] = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "41000", "quantity": "0.2",
    "cancelReplaceMode": "STOP_ON_FAILURE",
}  # fmt: skip
SOLD = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.1"}
UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}


def open_ids(client: Client) -> list[str]:
    return [order["clientOrderId"] for order in client.ok("GET", "/api/v3/openOrders")]


def half_failed(client: Client, **params: Any) -> tuple[int, int, str, dict[str, Any]]:
    answer = client.answered("POST", REPLACE, **{**NEW, **params})
    body = answer.json()
    assert set(body) == {"code", "msg", "data"}, body
    assert set(body["data"]) == {"cancelResult", "newOrderResult", "cancelResponse", "newOrderResponse"}
    return answer.status_code, body["code"], body["msg"], body["data"]


# -- amend ------------------------------------------------------------------------------------------------------------
def test_amend_keeps_the_place(exchange: Exchange, alice: Client, bob: Client) -> None:
    first = alice.limit("BUY", "50000.00", "1", newClientOrderId="first")
    carol = bob.limit("BUY", "50000.00", "1")
    answer = alice.ok("PUT", AMEND, symbol="BTCUSDT", orderId=first["orderId"], newQty="0.4", newClientOrderId="less")
    assert (list(answer), list(answer["amendedOrder"])) == (
        ["transactTime", "executionId", "amendedOrder"],
        [
            "symbol", "orderId", "orderListId", "origClientOrderId", "clientOrderId", "price", "qty", "executedQty",
            "preventedQty", "quoteOrderQty", "cumulativeQuoteQty", "status", "timeInForce", "type", "side",
            "workingTime", "selfTradePreventionMode",
        ],
    )  # fmt: skip
    order = answer["amendedOrder"]
    assert (order["qty"], order["status"], order["workingTime"], order["clientOrderId"]) == (
        "0.40000000", "NEW", first["workingTime"], "first",
    )  # fmt: skip
    assert alice.balances()["USDT"] == ("980000.00000000", "20000.00000000")
    with Client(exchange.base_url, exchange.account(BTC="10")) as seller:
        seller.market("SELL", quantity="0.4")
    assert alice.ok("GET", ORDER, symbol="BTCUSDT", orderId=first["orderId"])["status"] == "FILLED"
    assert bob.ok("GET", ORDER, symbol="BTCUSDT", orderId=carol["orderId"])["status"] == "NEW"


def test_amend_shows_what_was_filled(alice: Client, bob: Client) -> None:
    alice.limit("BUY", "50000.00", "1", newClientOrderId="mine", icebergQty="0.25")
    bob.market("SELL", quantity="0.3")
    answer = alice.ok("PUT", AMEND, symbol="BTCUSDT", origClientOrderId="mine", newQty="0.5")["amendedOrder"]
    assert (answer["qty"], answer["executedQty"], answer["cumulativeQuoteQty"], answer["status"]) == (
        "0.50000000", "0.30000000", "15000.00000000", "PARTIALLY_FILLED",
    )  # fmt: skip
    assert answer["icebergQty"] == "0.25000000"
    shown = alice.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="mine")
    assert (shown["origQty"], shown["executedQty"]) == ("0.50000000", "0.30000000")


def test_amend_is_as_of_its_event(exchange: Exchange, alice: Client, bob: Client, monkeypatch: Any) -> None:
    """A fill between the read and the amendment is in the answer, one after the amendment is not."""
    alice.limit("BUY", "50000.00", "1", newClientOrderId="mine")
    order_of = Amendments._order

    async def read_then_fill(*given: Any) -> Any:
        found = await order_of(*given)
        await exchange.gateway.orders.place(read(ORDER_PARAMS, SOLD), bob.me.account_id)
        return found

    monkeypatch.setattr(Amendments, "_order", read_then_fill)
    answer = alice.ok("PUT", AMEND, symbol="BTCUSDT", origClientOrderId="mine", newQty="0.5")["amendedOrder"]
    assert (answer["executedQty"], answer["cumulativeQuoteQty"], answer["status"]) == (
        "0.10000000", "5000.00000000", "PARTIALLY_FILLED",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "refusal"),
    [
        ("1", (400, -2038, "The requested action would change no state; rejecting.")),
        ("1.1", (400, -2038, "Order amend (quantity increase) is not supported.")),
        ("0.3", (400, -2038, "The new quantity must be above what is filled.")),
        ("0.30001", None),
        ("0", (400, -1013, "Filter failure: LOT_SIZE")),
        ("0.400001", (400, -1013, "Filter failure: LOT_SIZE")),
    ],
)
def test_amend_limits(alice: Client, bob: Client, quantity: str, refusal: tuple[int, int, str] | None) -> None:
    alice.limit("BUY", "50000.00", "1", newClientOrderId="mine")
    bob.market("SELL", quantity="0.3")
    before = alice.balances()
    params = {"symbol": "BTCUSDT", "origClientOrderId": "mine", "newQty": quantity}
    if refusal is None:
        assert alice.ok("PUT", AMEND, **params)["amendedOrder"]["qty"] == "0.30001000"
        return
    assert alice.refused("PUT", AMEND, **params) == refusal
    assert alice.balances() == before
    assert alice.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="mine")["origQty"] == "1.00000000"


def test_amend_of_what_is_not_there(exchange: Exchange, alice: Client, bob: Client) -> None:
    order = alice.limit("BUY", "40000", "1", newClientOrderId="mine")
    unknown = (400, -2038, "Unknown order sent.")
    for client, params in (
        (alice, {"orderId": 999_999_999}), (alice, {"origClientOrderId": "other"}),
        (alice, {"orderId": order["orderId"], "origClientOrderId": "other"}), (bob, {"orderId": order["orderId"]}),
        (alice, {"orderId": order["orderId"], "symbol": "ETHUSDT"}),
    ):  # fmt: skip
        assert client.refused("PUT", AMEND, **{"symbol": "BTCUSDT", "newQty": "0.5", **params}) == unknown
    alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert alice.refused("PUT", AMEND, symbol="BTCUSDT", orderId=order["orderId"], newQty="0.5") == unknown
    assert alice.refused("PUT", AMEND, symbol="BTCUSDT", newQty="0.5") == (
        400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
    )  # fmt: skip


def test_an_order_is_amended_ten_times(exchange: Exchange, alice: Client) -> None:
    """The demonstration's markets have the dialect's limit."""
    refusal = (400, -1013, "Filter failure: MAX_NUM_ORDER_AMENDS")
    order = alice.limit("BUY", "40000", "1", newClientOrderId="mine")
    params: dict[str, Any] = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    for tenths in range(9, 0, -1):
        alice.ok("PUT", AMEND, **params, newQty=f"0.{tenths}")
    alice.ok("PUT", AMEND, **params, newQty="0.09")
    assert alice.refused("PUT", AMEND, **params, newQty="0.08") == refusal
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        answer = socket.ask("order.amend.keepPriority", **signed(alice, **params, newQty="0.08"))
        assert (answer["status"], answer["error"]) == (400, {"code": refusal[1], "msg": refusal[2]})
    assert alice.ok("GET", ORDER, **params)["origQty"] == "0.09000000"
    assert len(alice.ok("GET", "/api/v3/order/amendments", **params)) == 10


def test_amend_by_form_body(alice: Client) -> None:
    alice.limit("BUY", "40000", "1", newClientOrderId="mine")
    body = alice.query(symbol="BTCUSDT", origClientOrderId="mine", newQty="0.5")
    assert alice.raw("PUT", AMEND, body.encode(), **FORM).json()["amendedOrder"]["qty"] == "0.50000000"


# -- cancel-replace ---------------------------------------------------------------------------------------------------
def test_replace_does_both(alice: Client) -> None:
    old = alice.limit("BUY", "40000", "0.1", newClientOrderId="old")
    answer = alice.ok(
        "POST", REPLACE, **NEW, cancelOrderId=old["orderId"], cancelNewClientOrderId="bye", newClientOrderId="new"
    )
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    canceled, placed = answer["cancelResponse"], answer["newOrderResponse"]
    assert (canceled["orderId"], canceled["origClientOrderId"], canceled["clientOrderId"], canceled["status"]) == (
        old["orderId"], "old", "bye", "CANCELED",
    )  # fmt: skip
    assert (placed["clientOrderId"], placed["price"], placed["status"], placed["fills"]) == (
        "new", "41000.00000000", "NEW", [],
    )  # fmt: skip
    assert open_ids(alice) == ["new"]
    # A repeat cancels nothing and answers with the first outcome.
    again = alice.ok(
        "POST", REPLACE, **NEW, cancelOrderId=old["orderId"], cancelNewClientOrderId="bye", newClientOrderId="new"
    )
    assert again == answer
    assert open_ids(alice) == ["new"]


def test_replace_takes_other_kinds_and_response_types(alice: Client, bob: Client) -> None:
    bob.limit("SELL", "50000.00", "0.1")
    alice.limit("BUY", "40000", "0.1", newClientOrderId="old")
    params = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "price": "42000", "quantity": "0.2",
        "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrigClientOrderId": "old", "newClientOrderId": "maker",
    }  # fmt: skip
    answer = alice.ok("POST", REPLACE, **params)
    assert "price" not in answer["newOrderResponse"]
    market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    answer = alice.ok(
        "POST", REPLACE, **market, cancelReplaceMode="STOP_ON_FAILURE", cancelOrigClientOrderId="maker",
    )  # fmt: skip
    assert answer["newOrderResponse"]["status"] == "FILLED"
    assert len(answer["newOrderResponse"]["fills"]) == 1
    assert open_ids(alice) == []


def test_replace_stops_when_there_is_nothing_to_cancel(alice: Client) -> None:
    assert half_failed(alice, cancelOrigClientOrderId="none") == (
        400, -2022, "Order cancel-replace failed.",
        {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED", "cancelResponse": UNKNOWN,
         "newOrderResponse": None},
    )  # fmt: skip
    assert open_ids(alice) == []


def test_replace_may_go_on_without_the_cancel(alice: Client) -> None:
    status, code, text, data = half_failed(
        alice, cancelReplaceMode="ALLOW_FAILURE", cancelOrigClientOrderId="none", newClientOrderId="new"
    )
    assert (status, code, text) == (409, -2021, "Order cancel-replace partially failed.")
    assert (data["cancelResult"], data["newOrderResult"], data["cancelResponse"]) == ("FAILURE", "SUCCESS", UNKNOWN)
    assert data["newOrderResponse"]["clientOrderId"] == "new"
    assert open_ids(alice) == ["new"]
    again = half_failed(
        alice, cancelReplaceMode="ALLOW_FAILURE", cancelOrigClientOrderId="none", newClientOrderId="new"
    )
    assert again == (status, code, text, data)


def test_replace_whose_new_order_fails_after_the_cancel(alice: Client) -> None:
    alice.limit("BUY", "40000", "0.1", newClientOrderId="old")
    status, code, _, data = half_failed(alice, cancelOrigClientOrderId="old", quantity="100")
    assert (status, code) == (409, -2021)
    assert (data["cancelResult"], data["cancelResponse"]["status"], data["newOrderResult"]) == (
        "SUCCESS", "CANCELED", "FAILURE",
    )  # fmt: skip
    assert data["newOrderResponse"] == {
        "code": -2010, "msg": "Account has insufficient balance for requested action.",
    }  # fmt: skip
    assert open_ids(alice) == []


def test_replace_of_which_both_halves_fail(alice: Client) -> None:
    status, code, _, data = half_failed(
        alice, cancelReplaceMode="ALLOW_FAILURE", cancelOrigClientOrderId="none", quantity="100"
    )
    assert (status, code, data["cancelResult"], data["newOrderResult"]) == (400, -2022, "FAILURE", "FAILURE")
    assert data["newOrderResponse"]["code"] == -2010


@pytest.mark.parametrize("client_id", [None, "new"], ids=["gateway", "engine"])
@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"price": "0.001"}, "PRICE_FILTER"),
        ({"quantity": "0.00001"}, "NOTIONAL"),
        ({"quantity": "9001"}, "LOT_SIZE"),
        ({"icebergQty": "0.00199"}, "ICEBERG_PARTS"),
    ],
)
def test_filters_come_before_the_cancel(
    alice: Client, client_id: str | None, changes: dict[str, str], name: str
) -> None:
    """Found by the gateway, or by the engine where the order has an own client id: the same answer."""
    alice.limit("BUY", "40000", "0.1", newClientOrderId="old")
    more = {} if client_id is None else {"newClientOrderId": client_id}
    assert half_failed(alice, cancelOrigClientOrderId="old", **changes, **more) == (
        400, -2022, "Order cancel-replace failed.",
        {"cancelResult": "NOT_ATTEMPTED", "newOrderResult": "FAILURE", "cancelResponse": None,
         "newOrderResponse": {"code": -1013, "msg": f"Filter failure: {name}"}},
    )  # fmt: skip
    assert open_ids(alice) == ["old"]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"cancelReplaceMode": None}, -1102, "'cancelReplaceMode'"),
        ({"cancelReplaceMode": "MAYBE"}, -1130, "'cancelReplaceMode'"),
        ({}, -1102, "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent"),
        ({"cancelOrderId": "1", "price": None}, -1102, "'price'"),
        ({"cancelOrderId": "1", "symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"cancelOrderId": "1", "cancelRestrictions": "ONLY"}, -1145, "cancelRestrictions"),
    ],
)
def test_replace_parameters(exchange: Exchange, alice: Client, changes: dict[str, Any], code: int, text: str) -> None:
    before = exchange.seq(), exchange.state_hash()
    params = {name: value for name, value in {**NEW, **changes}.items() if value is not None}
    status, found, message = alice.refused("POST", REPLACE, **params)
    assert (status, found) == (400, code), message
    assert text in message
    assert (exchange.seq(), exchange.state_hash()) == before


def test_a_repeated_client_id_replaces_nothing(alice: Client) -> None:
    alice.limit("BUY", "40000", "0.1", newClientOrderId="old")
    alice.limit("BUY", "40000", "0.3", newClientOrderId="taken")
    status, code, _, data = half_failed(alice, cancelOrigClientOrderId="old", newClientOrderId="taken")
    assert (status, code, data["cancelResult"]) == (400, -2022, "NOT_ATTEMPTED")
    assert data["newOrderResponse"] == {"code": -2010, "msg": "Duplicate order sent."}
    assert open_ids(alice) == ["old", "taken"]


def test_a_skipped_replace_changed_nothing(exchange: Exchange, alice: Client) -> None:
    alice.limit("BUY", "40000", "0.1", newClientOrderId="old")
    with exchange.commands_skipped(Reason.ENGINE_RESTARTED):
        answer = alice.signed("POST", REPLACE, **NEW, cancelOrigClientOrderId="old")
    assert (answer.status_code, answer.json()["code"]) == (503, -1001)
    assert open_ids(alice) == ["old"]


# -- cancel-all-after -------------------------------------------------------------------------------------------------
def test_cancel_all_after(exchange: Exchange, alice: Client) -> None:
    alice.limit("BUY", "40000", "0.1")
    alice.limit("BUY", "2000", "0.1", symbol="ETHUSDT")
    set_at = alice.ok("POST", SWITCH, timeout=60_000)
    assert set_at["triggerTime"] - set_at["currentTime"] == 60_000
    assert alice.ok("POST", SWITCH, timeout=0)["triggerTime"] == 0
    alice.ok("POST", SWITCH, timeout=300)

    def fired() -> bool:
        alice.refused("DELETE", ORDER, symbol="BTCUSDT", orderId=1)
        exchange.wait_settled()
        return open_ids(alice) == []

    wait_until(fired)
    statuses = {order["status"] for order in alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT")}
    assert statuses == {"CANCELED"}
    # A timer that fires under the command that sets it anew is not its answer.
    alice.ok("POST", SWITCH, timeout=1)
    time.sleep(0.05)
    assert alice.ok("POST", SWITCH, timeout=60_000)["triggerTime"] > 0
    alice.ok("POST", SWITCH, timeout=0)


def test_cancel_all_after_refusals(exchange: Exchange, alice: Client) -> None:
    before = exchange.seq(), exchange.state_hash()
    assert alice.refused("POST", SWITCH)[:2] == (400, -1102)
    assert alice.refused("POST", SWITCH, timeout=86_400_001)[:2] == (400, -1130)
    assert alice.refused("POST", SWITCH, timeout=-1)[:2] == (400, -1100)
    assert (exchange.seq(), exchange.state_hash()) == before
    with Client(exchange.base_url, exchange.account()) as poor:
        assert poor.refused("POST", SWITCH, timeout=1_000) == (400, -2011, "Unknown order sent.")


# -- WebSocket API ----------------------------------------------------------------------------------------------------
def test_the_same_over_the_websocket_api(exchange: Exchange, alice: Client) -> None:
    old = alice.limit("BUY", "40000", "1", newClientOrderId="old")
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        amended = socket.ask(
            "order.amend.keepPriority", **signed(alice, symbol="BTCUSDT", orderId=old["orderId"], newQty="0.5")
        )
        assert (amended["status"], amended["result"]["amendedOrder"]["qty"]) == (200, "0.50000000")
        failed = socket.ask("order.cancelReplace", **signed(alice, **NEW, cancelOrigClientOrderId="none"))
        assert (failed["status"], failed["error"]["code"]) == (400, -2022)
        assert failed["error"]["data"]["cancelResponse"] == UNKNOWN
        replaced = socket.ask("order.cancelReplace", **signed(alice, **NEW, cancelOrigClientOrderId="old"))
        assert (replaced["status"], replaced["result"]["newOrderResult"]) == (200, "SUCCESS")
        assert socket.ask("cancelAllAfter", **signed(alice, timeout=0))["result"]["triggerTime"] == 0
