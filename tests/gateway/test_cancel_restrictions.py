"""cancelRestrictions: an order of another status than the one asked for stays (DELETE order, cancel-replace, twins)."""

from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.test_amend_and_replace import NEW, ORDER, REPLACE, half_failed, open_ids
from tests.gateway.test_wsapi import open_socket, signed

REFUSED = (400, -2011, "Order was not canceled due to cancel restrictions.")
BODY = {"code": REFUSED[1], "msg": REFUSED[2]}
WRONG = (400, -1145, "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.")
MINE: dict[str, Any] = {"symbol": "BTCUSDT", "origClientOrderId": "mine"}


@pytest.fixture
def partly(alice: Client, bob: Client) -> None:
    """alice's order `mine` is partially filled."""
    alice.limit("BUY", "50000.00", "0.3", newClientOrderId="mine")
    bob.market("SELL", quantity="0.1")


def test_a_new_order(alice: Client) -> None:
    alice.limit("BUY", "40000", "0.1", newClientOrderId="mine")
    assert alice.refused("DELETE", ORDER, **MINE, cancelRestrictions="ONLY_PARTIALLY_FILLED") == REFUSED
    assert open_ids(alice) == ["mine"]
    assert alice.ok("DELETE", ORDER, **MINE, cancelRestrictions="ONLY_NEW")["status"] == "CANCELED"
    assert alice.refused("DELETE", ORDER, **MINE, cancelRestrictions="ONLY_NEW") == (400, -2011, "Unknown order sent.")


def test_a_partially_filled_order(alice: Client, partly: None) -> None:
    assert alice.refused("DELETE", ORDER, **MINE, cancelRestrictions="ONLY_NEW") == REFUSED
    assert open_ids(alice) == ["mine"]
    canceled = alice.ok("DELETE", ORDER, **MINE, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert (canceled["status"], canceled["executedQty"]) == ("CANCELED", "0.10000000")


def test_replacing(alice: Client, partly: None) -> None:
    failed = half_failed(alice, cancelOrigClientOrderId="mine", cancelRestrictions="ONLY_NEW")
    assert failed == (
        400, -2022, "Order cancel-replace failed.",
        {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED", "cancelResponse": BODY,
         "newOrderResponse": None},
    )  # fmt: skip
    status, code, _, data = half_failed(
        alice, cancelOrigClientOrderId="mine", cancelRestrictions="ONLY_NEW", cancelReplaceMode="ALLOW_FAILURE",
        newClientOrderId="other",
    )  # fmt: skip
    assert (status, code, data["cancelResponse"], data["newOrderResult"]) == (409, -2021, BODY, "SUCCESS")
    assert open_ids(alice) == ["mine", "other"]
    done = alice.ok(
        "POST", REPLACE, **NEW, cancelOrigClientOrderId="mine", cancelRestrictions="ONLY_PARTIALLY_FILLED",
        newClientOrderId="third",
    )  # fmt: skip
    assert (done["cancelResult"], done["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert open_ids(alice) == ["other", "third"]


def test_websocket_api(exchange: Exchange, alice: Client, partly: None) -> None:
    with open_socket(exchange) as socket:
        refused = socket.ask("order.cancel", **signed(alice, **MINE, cancelRestrictions="ONLY_NEW"))
        assert (refused["status"], refused["error"]) == (400, BODY)
        replacing = {**NEW, "cancelOrigClientOrderId": "mine", "cancelRestrictions": "ONLY_NEW"}
        refused = socket.ask("order.cancelReplace", **signed(alice, **replacing))
        assert (refused["status"], refused["error"]["data"]["cancelResponse"]) == (400, BODY)
        done = socket.ask("order.cancel", **signed(alice, **MINE, cancelRestrictions="ONLY_PARTIALLY_FILLED"))
        assert (done["status"], done["result"]["status"]) == (200, "CANCELED")


@pytest.mark.parametrize("given", ["ONLY_FILLED", "only_new", "1", "ONLY_NEW,ONLY_PARTIALLY_FILLED"])
def test_a_word_that_is_none(exchange: Exchange, alice: Client, given: str) -> None:
    alice.limit("BUY", "40000", "0.1", newClientOrderId="mine")
    before = exchange.seq(), exchange.state_hash()
    assert alice.refused("DELETE", ORDER, **MINE, cancelRestrictions=given) == WRONG
    replacing = {**NEW, "cancelOrigClientOrderId": "mine", "cancelRestrictions": given}
    assert alice.refused("POST", REPLACE, **replacing) == WRONG
    assert (exchange.seq(), exchange.state_hash()) == before


def test_only_requests_that_cancel_one_order_take_it(exchange: Exchange, alice: Client) -> None:
    alice.limit("BUY", "40000", "0.1", newClientOrderId="mine")
    before = exchange.seq(), exchange.state_hash()
    for method, path, params in (
        ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}),
        ("PUT", "/api/v3/order/amend/keepPriority", {**MINE, "newQty": "0.05"}),
        ("DELETE", "/api/v3/orderList", {"symbol": "BTCUSDT", "listClientOrderId": "mine"}),
    ):
        assert alice.refused(method, path, **params, cancelRestrictions="ONLY_NEW")[:2] == (400, -1104)
    assert (exchange.seq(), exchange.state_hash()) == before
