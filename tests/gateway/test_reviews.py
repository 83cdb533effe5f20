"""An order outside the price band waits for staff in a running exchange, and becomes what staff decides (T7)."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.markets.services import change_market_settings
from apps.orders.models import OrderReview
from apps.orders.services import review_parked_order
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import Review
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange

SYMBOL = "LTCUSDT"
# The market's last price is its initial one, 80.
FAR: dict[str, Any] = {
    "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "2", "price": "500",
}  # fmt: skip


@pytest.fixture(autouse=True)
def parks(exchange: Exchange) -> Iterator[None]:
    for is_on in (True, False):
        change_market_settings(
            symbol=SYMBOL, changes={"park_outside_band": is_on}, reason="tests", requested_by="tests"
        )  # fmt: skip
        exchange.wait_settled()
        if is_on:
            yield


@pytest.fixture
def parked(alice: Client) -> dict[str, Any]:
    order: dict[str, Any] = alice.ok("POST", "/api/v3/order", **FAR)
    assert (order["status"], order["workingTime"], order["fills"]) == ("PENDING_NEW", -1, [])
    assert alice.balances()["USDT"] == ("999000.00000000", "1000.00000000")
    [shown] = alice.ok("GET", "/api/v3/openOrders")
    assert (shown["orderId"], shown["isWorking"]) == (order["orderId"], False)
    return order


def status(alice: Client, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = alice.ok("GET", "/api/v3/order", symbol=SYMBOL, orderId=order["orderId"])
    return found


def decide(exchange: Exchange, order: dict[str, Any], decision: Review) -> OutboxRow:
    review: OrderReview = review_parked_order(
        order_id=order["orderId"], decision=decision, reason="asked by telephone", requested_by="tests"
    )
    exchange.wait_settled()
    return OutboxRow.objects.get(key=review.outbox_key)


def test_released_it_goes_to_the_market(
    exchange: Exchange, alice: Client, parked: dict[str, Any]
) -> None:  # fmt: skip
    with Client(exchange.base_url, exchange.account(LTC="5"), tidy=False) as seller:
        seller.limit("SELL", "81.00", "1.5", symbol=SYMBOL)
    assert decide(exchange, parked, Review.RELEASE).state == OutboxState.DONE
    found = status(alice, parked)
    assert (found["status"], found["executedQty"], found["cummulativeQuoteQty"]) == (
        "PARTIALLY_FILLED", "1.50000000", "121.50000000",
    )  # fmt: skip
    [trade] = alice.ok("GET", "/api/v3/myTrades", symbol=SYMBOL)
    assert (trade["price"], trade["qty"], trade["isMaker"]) == ("81.00000000", "1.50000000", False)
    # Its rest stands in the book, with what its own price asks for.
    assert alice.balances()["USDT"] == ("999628.50000000", "250.00000000")


def test_rejected_it_is_over(exchange: Exchange, alice: Client, parked: dict[str, Any]) -> None:
    assert decide(exchange, parked, Review.REJECT).state == OutboxState.DONE
    found = status(alice, parked)
    assert (found["status"], found["rejectReason"], found["isWorking"], found["workingTime"]) == (
        "REJECTED", "REJECTED_BY_STAFF", False, -1,
    )  # fmt: skip
    assert alice.balances()["USDT"] == ("1000000.00000000", "0.00000000")
