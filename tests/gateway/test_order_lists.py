"""Order lists over REST: OCO, OTO, OTOCO, the OCO of old; placed whole, ended together, cancelled as one."""

from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.test_order_kinds import status
from tests.gateway.test_stop_orders import carol, last_price, print_at

__all__ = ["carol", "last_price"]

OCO, OTO, OTOCO, OLD = "/api/v3/orderList/oco", "/api/v3/orderList/oto", "/api/v3/orderList/otoco", "/api/v3/order/oco"
LIST = "/api/v3/orderList"
MARKET = {"symbol": "BTCUSDT"}
SELL: dict[str, Any] = {
    "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "aboveType": "LIMIT_MAKER", "abovePrice": "52000",
    "belowType": "STOP_LOSS", "belowStopPrice": "48000",
}  # fmt: skip
WORKING: dict[str, Any] = {
    "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "49000",
    "workingQuantity": "0.1", "workingTimeInForce": "GTC",
}  # fmt: skip
PENDING: dict[str, Any] = {"pendingType": "MARKET", "pendingSide": "SELL", "pendingQuantity": "0.09"}
PENDING_PAIR: dict[str, Any] = {
    "pendingSide": "SELL", "pendingQuantity": "0.09", "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": "53000",
    "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowStopPrice": "48000", "pendingBelowPrice": "47900",
    "pendingBelowTimeInForce": "GTC",
}  # fmt: skip


def statuses(client: Client, placed: dict[str, Any]) -> list[str]:
    return [status(client, order)["status"] for order in placed["orders"]]


def test_an_oco_is_held_once_and_answered_in_list_form(alice: Client) -> None:
    placed = alice.ok("POST", OCO, **SELL, listClientOrderId="list", aboveClientOrderId="up", belowClientOrderId="down")
    above, below = placed["orderReports"]
    assert {name: placed[name] for name in list(placed)[:7]} | {"orderListId": 1, "transactionTime": 2} == {
        "orderListId": 1, "contingencyType": "OCO", "listStatusType": "EXEC_STARTED", "listOrderStatus": "EXECUTING",
        "listClientOrderId": "list", "transactionTime": 2, "symbol": "BTCUSDT",
    }  # fmt: skip
    assert placed["orders"] == [
        {"symbol": "BTCUSDT", "orderId": above["orderId"], "clientOrderId": "up"},
        {"symbol": "BTCUSDT", "orderId": below["orderId"], "clientOrderId": "down"},
    ]
    assert above["orderListId"] == below["orderListId"] == placed["orderListId"]
    assert (above["type"], above["price"], above["status"], above["workingTime"] > 0) == (
        "LIMIT_MAKER", "52000.00000000", "NEW", True,
    )  # fmt: skip
    assert (below["type"], below["stopPrice"], below["status"], below["workingTime"]) == (
        "STOP_LOSS", "48000.00000000", "NEW", -1,
    )  # fmt: skip
    assert alice.balances()["BTC"] == ("9.90000000", "0.10000000")
    asked = alice.ok("GET", LIST, orderListId=placed["orderListId"])
    assert asked == {name: placed[name] for name in asked}
    assert alice.ok("GET", LIST, origClientOrderId="list") == asked
    assert alice.ok("GET", "/api/v3/openOrderList") == [asked] == alice.ok("GET", "/api/v3/allOrderList")
    assert {order["orderListId"] for order in alice.ok("GET", "/api/v3/openOrders")} == {placed["orderListId"]}


def test_the_fill_of_one_leg_ends_the_other(alice: Client, bob: Client) -> None:
    placed = alice.ok("POST", OCO, **SELL)
    bob.limit("BUY", "52000.00", "0.04")
    assert statuses(alice, placed) == ["PARTIALLY_FILLED", "EXPIRED"]
    assert status(alice, placed["orders"][1])["expiryReason"] == "OCO_TRIGGER"
    assert {trade["orderListId"] for trade in alice.ok("GET", "/api/v3/myTrades", **MARKET)} >= {placed["orderListId"]}
    bob.limit("BUY", "52000.00", "0.06")
    assert statuses(alice, placed) == ["FILLED", "EXPIRED"]
    ended = alice.ok("GET", LIST, orderListId=placed["orderListId"])
    assert (ended["listStatusType"], ended["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert alice.ok("GET", "/api/v3/openOrderList") == []


def test_the_trigger_of_the_stop_ends_the_limit(alice: Client, bob: Client, carol: Client) -> None:
    placed = alice.ok("POST", OCO, **SELL)
    carol.limit("BUY", "47000.00", "1")
    print_at("48000.00", bob, carol)
    assert statuses(alice, placed) == ["EXPIRED", "FILLED"]


@pytest.mark.parametrize("by", ["list id", "list client id", "order", "all"])
def test_cancelling_ends_the_whole_list(alice: Client, by: str) -> None:
    placed = alice.ok("POST", OCO, **SELL, aboveIcebergQty="0.02", listClientOrderId="list")
    market = MARKET
    if by == "list id":
        answer = alice.ok("DELETE", LIST, **market, orderListId=placed["orderListId"], newClientOrderId="bye")
        assert {report["clientOrderId"] for report in answer["orderReports"]} == {"bye"}
    elif by == "list client id":
        answer = alice.ok("DELETE", LIST, **market, listClientOrderId="list")
    elif by == "order":
        answer = alice.ok("DELETE", "/api/v3/order", **market, orderId=placed["orders"][1]["orderId"])
    else:
        [answer] = alice.ok("DELETE", "/api/v3/openOrders", **market)
    assert (answer["orderListId"], answer["contingencyType"], answer["listStatusType"], answer["listOrderStatus"]) == (
        placed["orderListId"], "OCO", "ALL_DONE", "ALL_DONE",
    )  # fmt: skip
    assert [(report["status"], report["orderListId"]) for report in answer["orderReports"]] == [
        ("CANCELED", placed["orderListId"])
    ] * 2
    assert answer["orders"] == placed["orders"]
    above, below = answer["orderReports"]
    assert [above["orderId"], below["orderId"]] == [each["orderId"] for each in placed["orders"]]
    assert (above["icebergQty"], "stopPrice" in above) == ("0.02000000", False)
    assert (below["stopPrice"], "icebergQty" in below) == ("48000.00000000", False)
    assert alice.balances()["BTC"] == ("10.00000000", "0.00000000")
    assert alice.refused("DELETE", LIST, **market, orderListId=placed["orderListId"]) == (
        400, -2011, "Unknown order list sent.",
    )  # fmt: skip


def test_oto_brings_its_pending_order_once_the_working_one_is_filled(alice: Client, bob: Client) -> None:
    placed = alice.ok("POST", OTO, **WORKING, **PENDING)
    assert placed["contingencyType"] == "OTO"
    assert [(report["status"], report["workingTime"] > 0) for report in placed["orderReports"]] == [
        ("NEW", True), ("PENDING_NEW", False),
    ]  # fmt: skip
    pending = status(alice, placed["orders"][1])
    assert (pending["status"], pending["isWorking"], pending["workingTime"]) == ("PENDING_NEW", False, -1)
    assert alice.balances()["USDT"] == ("995100.00000000", "4900.00000000")
    bob.limit("BUY", "48500.00", "1")
    bob.limit("SELL", "49000.00", "0.06")
    assert statuses(alice, placed) == ["PARTIALLY_FILLED", "PENDING_NEW"]
    bob.limit("SELL", "49000.00", "0.04")
    assert statuses(alice, placed) == ["FILLED", "FILLED"]
    assert alice.ok("GET", LIST, orderListId=placed["orderListId"])["listOrderStatus"] == "ALL_DONE"


def test_oto_ends_with_its_working_order(alice: Client) -> None:
    placed = alice.ok("POST", OTO, **WORKING, **PENDING)
    alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orders"][0]["orderId"])
    assert statuses(alice, placed) == ["CANCELED", "CANCELED"]
    # The pending order never worked.
    assert [status(alice, order)["workingTime"] > 0 for order in placed["orders"]] == [True, False]
    assert alice.ok("GET", "/api/v3/openOrders") == []


def test_why_a_pending_order_expired(alice: Client, bob: Client) -> None:
    """With its working order; or refused at its turn, and then for what."""
    unfilled = {**WORKING, "workingTimeInForce": "IOC"}
    placed = alice.ok("POST", OTO, **unfilled, **PENDING)
    assert [report["expiryReason"] for report in placed["orderReports"]] == [
        "UNFILLED_IOC_QUANTITY_EXPIRED", "OTO_PHASE_ONE_EXPIRED",
    ]  # fmt: skip
    assert status(alice, placed["orders"][1])["expiryReason"] == "OTO_PHASE_ONE_EXPIRED"
    bob.limit("SELL", "49000.00", "0.1")
    placed = alice.ok("POST", OTO, **WORKING, **{**PENDING, "pendingQuantity": "90"})
    refused = placed["orderReports"][1]
    assert (refused["status"], refused["expiryReason"], refused["rejectReason"], refused["workingTime"]) == (
        "EXPIRED", "REJECTED", "INSUFFICIENT_BALANCES", -1,
    )  # fmt: skip
    shown = status(alice, placed["orders"][1])
    assert (shown["rejectReason"], shown["isWorking"]) == ("INSUFFICIENT_BALANCES", False)


def test_a_cancelled_list_names_its_filled_order_too(alice: Client, bob: Client) -> None:
    placed = alice.ok("POST", OTO, **WORKING, pendingType="LIMIT_MAKER", pendingSide="SELL", pendingQuantity="0.09",
                      pendingPrice="53000")  # fmt: skip
    bob.limit("SELL", "49000.00", "0.1")
    answer = alice.ok("DELETE", LIST, **MARKET, orderListId=placed["orderListId"])
    assert answer["orders"] == placed["orders"]
    assert [report["orderId"] for report in answer["orderReports"]] == [placed["orders"][1]["orderId"]]


def test_otoco(alice: Client, bob: Client) -> None:
    placed = alice.ok("POST", OTOCO, **WORKING, **PENDING_PAIR)
    assert [report["status"] for report in placed["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert len(placed["orders"]) == 3
    bob.limit("SELL", "49000.00", "0.1")
    assert statuses(alice, placed) == ["FILLED", "NEW", "NEW"]
    assert [status(alice, order)["isWorking"] for order in placed["orders"]] == [True, True, False]
    bob.limit("BUY", "53000.00", "0.09")
    assert statuses(alice, placed) == ["FILLED", "FILLED", "EXPIRED"]


def test_the_oco_of_old(alice: Client) -> None:
    placed = alice.ok("POST", OLD, symbol="BTCUSDT", side="BUY", quantity="0.1", price="48000", stopPrice="52000",
                      stopLimitPrice="52100", stopLimitTimeInForce="GTC", limitClientOrderId="limit")  # fmt: skip
    above, below = placed["orderReports"]
    assert (above["type"], above["stopPrice"], above["price"]) == (
        "STOP_LOSS_LIMIT", "52000.00000000", "52100.00000000",
    )  # fmt: skip
    assert (below["type"], below["price"], below["clientOrderId"]) == ("LIMIT_MAKER", "48000.00000000", "limit")
    # The larger leg is held.
    assert alice.balances()["USDT"] == ("994790.00000000", "5210.00000000")


def test_a_repeat_is_answered_with_the_first_list(alice: Client) -> None:
    first = alice.ok("POST", OCO, **SELL, listClientOrderId="list")
    again = alice.ok("POST", OCO, **SELL, listClientOrderId="list")
    assert again == first
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 2
    assert alice.refused("POST", OCO, **{**SELL, "quantity": "0.2"}, listClientOrderId="list") == (
        400, -2010, "Duplicate order sent.",
    )  # fmt: skip


BUY = {**SELL, "side": "BUY"}


@pytest.mark.parametrize(
    ("path", "params", "code", "text"),
    [
        (OCO, {**SELL, "aboveType": None}, -1102, "'aboveType'"),
        (OCO, {**SELL, "aboveType": "MARKET"}, -1158, "Order type not supported in OCO."),
        (OCO, {**SELL, "belowType": "LIMIT_MAKER"}, -1168, "At least one OCO order must be contingent."),
        (OCO, {**SELL, "aboveType": "STOP_LOSS", "belowType": "LIMIT_MAKER"}, -1166, "in a sell OCO must be above."),
        (OCO, BUY, -1165, "A limit order in a buy OCO must be below."),
        (OCO, {**BUY, "aboveType": "STOP_LOSS", "belowType": "STOP_LOSS"}, -1196, "A stop loss order in a buy OCO"),
        (OCO, {**SELL, "aboveType": "STOP_LOSS"}, -1197, "A stop loss order in a sell OCO must be below."),
        (OCO, {**BUY, "aboveType": "TAKE_PROFIT"}, -1198, "A take profit order in a buy OCO must be below."),
        (OCO, {**SELL, "belowType": "TAKE_PROFIT"}, -1199, "A take profit order in a sell OCO must be above."),
        (OCO, {**SELL, "abovePrice": None}, -1102, "'abovePrice'"),
        (OCO, {**SELL, "belowStopPrice": None}, -1102, "Param 'belowStopPrice' or 'belowTrailingDelta' must be sent"),
        (OCO, {**SELL, "aboveStopPrice": "1"}, -1106, "'aboveStopPrice'"),
        (OCO, {**SELL, "aboveTimeInForce": "GTC"}, -1106, "'aboveTimeInForce'"),
        (OCO, {**SELL, "aboveStrategyType": "1"}, -1130, "'aboveStrategyType'"),
        (OCO, {**SELL, "belowTrailingDelta": "9"}, -1013, "Filter failure: TRAILING_DELTA"),
        (OCO, {**SELL, "belowType": "STOP_LOSS_LIMIT", "belowPrice": "1"}, -1102, "'belowTimeInForce'"),
        (OCO, {**SELL, "quantity": None}, -1102, "'quantity'"),
        (OCO, {**SELL, "quantity": "0"}, -1013, "Filter failure: LOT_SIZE"),
        (OCO, {**SELL, "abovePrice": "52000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        (OCO, {**SELL, "aboveIcebergQty": "0.2"}, -1013, "IcebergQty exceeds QTY."),
        (OCO, {**SELL, "selfTradePreventionMode": "NONE"}, -1013, "self-trade prevention mode"),
        (OTO, {**WORKING, **PENDING, "workingType": "MARKET"}, -1116, "Invalid orderType."),
        (OTO, {**WORKING, **PENDING, "workingTimeInForce": None}, -1102, "'workingTimeInForce'"),
        (OTO, {**WORKING, **PENDING, "workingTimeInForce": "GTD"}, -1115, "Supported here: GTC, IOC, FOK."),
        (OTO, {**WORKING, **PENDING, "pendingPrice": "1"}, -1106, "'pendingPrice'"),
        (OTO, {**WORKING, **PENDING, "pendingSide": "NO"}, -1117, "Invalid side."),
        (OTO, {**WORKING, **PENDING, "pendingQuantity": None}, -1102, "'pendingQuantity'"),
        (OTOCO, {**WORKING, **PENDING_PAIR, "pendingAboveType": "STOP_LOSS"}, -1197, "must be below."),
        (OTOCO, {**WORKING, **PENDING_PAIR, "pendingQuantity": "0"}, -1013, "Filter failure: LOT_SIZE"),
        (OTOCO, {**WORKING, **PENDING_PAIR, "pendingBelowPrice": None}, -1102, "'pendingBelowPrice'"),
        (OLD, {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "stopPrice": "48000"}, -1102, "'price'"),
        (OLD, {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "price": "52000"}, -1102, "Param 'stopPrice' or"),
    ],
)
def test_parameters(alice: Client, unchanged: None, path: str, params: dict[str, Any], code: int, text: str) -> None:
    sent = {name: value for name, value in params.items() if value is not None}
    found, number, message = alice.refused("POST", path, **sent)
    assert (found, number) == (400, code), message
    assert text in message


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"abovePrice": "47000"}, (400, -2010, "The relationship of the prices for the orders is not correct.")),
        ({"abovePrice": "300000"}, (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE")),
        ({"quantity": "50"}, (400, -2010, "Account has insufficient balance for requested action.")),
        ({"belowStopPrice": "50000"}, (400, -2010, "Order would trigger immediately.")),
    ],
)
def test_refusals_of_the_engine(alice: Client, changes: dict[str, Any], refusal: tuple[int, int, str]) -> None:
    before = alice.balances()
    assert alice.refused("POST", OCO, **{**SELL, **changes}) == refusal
    assert alice.balances() == before
    assert alice.ok("GET", "/api/v3/openOrders") == []


def test_lists_that_are_not_there(alice: Client, bob: Client) -> None:
    placed = alice.ok("POST", OCO, **SELL, listClientOrderId="list")
    assert alice.refused("GET", LIST)[:2] == (400, -1102)
    assert alice.refused("GET", LIST, orderListId=10**9) == (400, -2018, "Order list does not exist.")
    assert bob.refused("GET", LIST, orderListId=placed["orderListId"])[:2] == (400, -2018)
    unknown = (400, -2011, "Unknown order list sent.")
    assert bob.refused("DELETE", LIST, symbol="BTCUSDT", orderListId=placed["orderListId"]) == unknown
    assert alice.refused("DELETE", LIST, symbol="ETHUSDT", orderListId=placed["orderListId"]) == unknown
    assert alice.refused("DELETE", LIST, symbol="BTCUSDT", listClientOrderId="other") == unknown
    assert alice.refused("DELETE", LIST, symbol="BTCUSDT")[:2] == (400, -1102)
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 2


def test_replacing_an_order_of_a_list_ends_the_list(alice: Client) -> None:
    placed = alice.ok("POST", OCO, **SELL)
    answer = alice.ok(
        "POST", "/api/v3/order/cancelReplace", symbol="BTCUSDT", side="SELL", type="LIMIT", timeInForce="GTC",
        price="60000", quantity="0.1", cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=placed["orders"][0]["orderId"],
    )  # fmt: skip
    assert answer["cancelResponse"]["orderListId"] == placed["orderListId"]
    assert len(answer["cancelResponse"]["orderReports"]) == 2
    assert [order["orderId"] for order in alice.ok("GET", "/api/v3/openOrders")] == [
        answer["newOrderResponse"]["orderId"]
    ]


def test_exchange_info(public: Client) -> None:
    [btc] = public.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"]
    assert btc["ocoAllowed"] is btc["otoAllowed"] is True
    assert btc["opoAllowed"] is False
