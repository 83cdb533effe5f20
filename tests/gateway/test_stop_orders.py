"""Stop-loss, take-profit and trailing stops over REST: they wait, trigger, and are then what they say."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.common.amounts import parse_decimal
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.test_order_kinds import refused_in_the_engine, status

ORDER = "/api/v3/order"
FULL = {"newOrderRespType": "FULL"}


@pytest.fixture
def carol(exchange: Exchange) -> Iterator[Client]:
    with Client(exchange.base_url, exchange.account(BTC="100", USDT="10000000")) as client:
        yield client


def print_at(price: str, bob: Client, carol: Client) -> None:
    """A trade between two others, so that it is the last price."""
    bob.limit("BUY", price, "0.001")
    carol.limit("SELL", price, "0.001")


@pytest.fixture(autouse=True)
def last_price(request: pytest.FixtureRequest, exchange: Exchange) -> None:
    """50,000: as the test before left it, or by a trade."""
    if exchange.last_price_units("BTCUSDT") != parse_decimal("50000"):
        print_at("50000.00", request.getfixturevalue("bob"), request.getfixturevalue("carol"))


def stop(client: Client, kind: str, side: str, quantity: str = "0.1", **more: Any) -> Any:
    return client.ok("POST", ORDER, symbol="BTCUSDT", type=kind, side=side, quantity=quantity, **more)


def test_a_stop_limit_waits_and_then_rests(alice: Client, bob: Client, carol: Client) -> None:
    ack = stop(alice, "STOP_LOSS_LIMIT", "SELL", price="49000", stopPrice="49500", timeInForce="GTC")
    assert list(ack) == ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
    waiting = status(alice, ack)
    assert (waiting["status"], waiting["isWorking"], waiting["workingTime"], waiting["stopPrice"], waiting["type"]) == (
        "NEW", False, -1, "49500.00000000", "STOP_LOSS_LIMIT",
    )  # fmt: skip
    assert alice.balances()["BTC"] == ("9.90000000", "0.10000000")
    assert [order["orderId"] for order in alice.ok("GET", "/api/v3/openOrders")] == [ack["orderId"]]
    print_at("49500.01", bob, carol)
    assert status(alice, ack)["isWorking"] is False
    print_at("49500.00", bob, carol)
    working = status(alice, ack)
    assert (working["isWorking"], working["status"]) == (True, "NEW")
    assert working["workingTime"] > working["time"]


def test_a_stop_market_sells_at_its_trigger(alice: Client, bob: Client, carol: Client) -> None:
    placed = stop(alice, "STOP_LOSS", "SELL", stopPrice="49500", **FULL)
    assert (placed["status"], placed["stopPrice"], placed["workingTime"], placed["fills"], placed["timeInForce"]) == (
        "NEW", "49500.00000000", -1, [], "GTC",
    )  # fmt: skip
    carol.limit("BUY", "49400.00", "1")
    bob.limit("BUY", "49500.00", "0.001")
    taken = carol.ok("POST", ORDER, symbol="BTCUSDT", type="MARKET", side="SELL", quantity="0.001")
    # What others' orders trigger under the same command is not in the answer.
    assert [fill["qty"] for fill in taken["fills"]] == ["0.00100000"]
    done = status(alice, placed)
    assert (done["status"], done["executedQty"], done["cummulativeQuoteQty"]) == (
        "FILLED", "0.10000000", "4940.00000000",
    )  # fmt: skip
    [trade] = alice.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert (trade["orderId"], trade["isMaker"]) == (placed["orderId"], False)


@pytest.mark.parametrize(
    ("kind", "side", "at_once", "later"),
    [
        ("STOP_LOSS", "SELL", "50000.00", "49999.99"),
        ("STOP_LOSS", "BUY", "50000.00", "50000.01"),
        ("TAKE_PROFIT", "SELL", "50000.00", "50000.01"),
        ("TAKE_PROFIT", "BUY", "50000.00", "49999.99"),
    ],
)
def test_one_that_would_trigger_at_once_is_refused(
    exchange: Exchange, alice: Client, kind: str, side: str, at_once: str, later: str
) -> None:
    params = {"symbol": "BTCUSDT", "type": kind, "side": side, "quantity": "0.1"}
    assert refused_in_the_engine(exchange, alice, **params, stopPrice=at_once) == (
        400, -2010, "Order would trigger immediately.",
    )  # fmt: skip
    assert stop(alice, kind, side, stopPrice=later)["orderId"] > 0


def test_take_profit_limit_buys_below(alice: Client, bob: Client, carol: Client) -> None:
    placed = stop(alice, "TAKE_PROFIT_LIMIT", "BUY", price="49600", stopPrice="49500", timeInForce="GTC")
    assert alice.balances()["USDT"] == ("995040.00000000", "4960.00000000")
    carol.limit("SELL", "49550.00", "1")
    bob.limit("SELL", "49500.00", "0.001")
    bob_ = carol.limit("BUY", "49500.00", "0.001")
    assert bob_["status"] == "FILLED"
    done = status(alice, placed)
    assert (done["status"], done["cummulativeQuoteQty"]) == ("FILLED", "4955.00000000")


def test_a_stop_market_buy_holds_its_buffer(alice: Client) -> None:
    stop(alice, "STOP_LOSS", "BUY", stopPrice="51000")
    assert alice.balances()["USDT"] == ("994798.00000000", "5202.00000000")


def test_a_trailing_stop_follows_the_price(alice: Client, bob: Client, carol: Client) -> None:
    placed = stop(alice, "STOP_LOSS", "SELL", trailingDelta=100, **FULL)
    assert (placed["trailingDelta"], placed["workingTime"]) == (100, -1)
    assert "stopPrice" not in placed
    print_at("52000.00", bob, carol)
    print_at("51480.01", bob, carol)
    assert status(alice, placed)["isWorking"] is False
    carol.limit("BUY", "51000.00", "1")
    print_at("51480.00", bob, carol)
    done = status(alice, placed)
    assert (done["status"], done["trailingDelta"]) == ("FILLED", 100)


def test_an_activation_price(alice: Client, bob: Client, carol: Client) -> None:
    placed = stop(alice, "TAKE_PROFIT", "SELL", trailingDelta=100, stopPrice="51000")
    print_at("48000.00", bob, carol)
    assert status(alice, placed)["isWorking"] is False
    print_at("51000.00", bob, carol)
    carol.limit("BUY", "50000.00", "1")
    print_at("50490.00", bob, carol)
    assert status(alice, placed)["status"] == "FILLED"


def test_a_triggered_order_that_cannot_be_placed_says_so(alice: Client, bob: Client, carol: Client) -> None:
    """Its price is outside the band when it triggers."""
    placed = stop(alice, "STOP_LOSS_LIMIT", "BUY", price="260000", stopPrice="51000", timeInForce="GTC")
    print_at("51000.00", bob, carol)
    ended = status(alice, placed)
    assert (ended["status"], ended["expiryReason"]) == ("EXPIRED", "REJECTED")
    assert alice.balances()["USDT"] == ("1000000.00000000", "0.00000000")


def test_cancel_and_replace_of_what_waits(alice: Client) -> None:
    waiting = stop(alice, "STOP_LOSS", "SELL", stopPrice="49500")
    canceled = alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=waiting["orderId"])
    assert (canceled["status"], canceled["type"], canceled["price"]) == ("CANCELED", "STOP_LOSS", "0.00000000")
    assert canceled["stopPrice"] == "49500.00000000"
    waiting = stop(alice, "STOP_LOSS", "SELL", stopPrice="49500")
    answer = alice.ok(
        "POST", "/api/v3/order/cancelReplace", symbol="BTCUSDT", side="SELL", type="STOP_LOSS", quantity="0.1",
        stopPrice="49000", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=waiting["orderId"],
    )  # fmt: skip
    assert answer["newOrderResult"] == "SUCCESS"
    assert alice.refused(
        "PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT",
        orderId=answer["newOrderResponse"]["orderId"], newQty="0.05",
    ) == (400, -2038, "This order is not in the book and cannot be amended.")  # fmt: skip
    assert len(alice.ok("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")) == 1
    assert alice.balances()["BTC"] == ("10.00000000", "0.00000000")


SELL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "0.1",
    "type": "STOP_LOSS",
    "stopPrice": "49000",
}
LIMIT: dict[str, Any] = {**SELL, "type": "STOP_LOSS_LIMIT", "price": "48000", "timeInForce": "GTC"}


@pytest.mark.parametrize("path", [ORDER, f"{ORDER}/test"])
@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({**SELL, "stopPrice": None}, -1102, "Param 'stopPrice' or 'trailingDelta' must be sent"),
        ({**SELL, "quantity": None}, -1102, "'quantity'"),
        ({**SELL, "price": "48000"}, -1106, "'price'"),
        ({**SELL, "timeInForce": "GTC"}, -1106, "'timeInForce'"),
        ({**SELL, "quoteOrderQty": "100"}, -1106, "'quoteOrderQty'"),
        ({**SELL, "icebergQty": "0.01"}, -1106, "'icebergQty'"),
        ({**SELL, "goodTillDate": "4000000000000"}, -1106, "'goodTillDate'"),
        ({**LIMIT, "timeInForce": None}, -1102, "'timeInForce'"),
        ({**LIMIT, "price": None}, -1102, "'price'"),
        ({**LIMIT, "stopPrice": None}, -1102, "Param 'stopPrice' or 'trailingDelta' must be sent"),
        ({**LIMIT, "icebergQty": "0.01", "timeInForce": "IOC"}, -1014, "Unsupported order combination."),
        ({**SELL, "stopPrice": "0"}, -1013, "Filter failure: PRICE_FILTER"),
        ({**SELL, "stopPrice": "49000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({**SELL, "stopPrice": "1000000.01"}, -1013, "Filter failure: PRICE_FILTER"),
        ({**LIMIT, "stopPrice": "1000000.01"}, -1013, "Filter failure: PRICE_FILTER"),
        ({**SELL, "quantity": "101"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ({**SELL, "quantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
        ({**SELL, "trailingDelta": "9"}, -1013, "Filter failure: TRAILING_DELTA"),
        ({**SELL, "trailingDelta": "2001"}, -1013, "Filter failure: TRAILING_DELTA"),
        ({**SELL, "trailingDelta": "9223372036854775807"}, -1013, "Filter failure: TRAILING_DELTA"),
        ({**SELL, "trailingDelta": "1.5"}, -1100, "'trailingDelta'"),
    ],
)
def test_parameters(alice: Client, unchanged: None, path: str, params: dict[str, Any], code: int, text: str) -> None:
    sent = {name: value for name, value in params.items() if value is not None}
    found, number, message = alice.refused("POST", path, **sent)
    assert (found, number) == (400, code), message
    assert text in message


def test_the_engine_has_the_same_texts(exchange: Exchange, alice: Client) -> None:
    mine = {"newClientOrderId": "mine"}
    for changes, name in (
        ({"stopPrice": "1000000.01"}, "PRICE_FILTER"), ({"quantity": "101"}, "MARKET_LOT_SIZE"),
        ({"quantity": "0.00001"}, "NOTIONAL"),
    ):  # fmt: skip
        refusal = refused_in_the_engine(exchange, alice, **{**SELL, **changes, **mine})
        assert refusal == (400, -1013, f"Filter failure: {name}")
    assert refused_in_the_engine(exchange, alice, **{**SELL, "quantity": "20"}) == (
        400, -2010, "Account has insufficient balance for requested action.",
    )  # fmt: skip


def test_user_data_tells_of_the_trigger(exchange: Exchange, alice: Client, bob: Client, carol: Client) -> None:
    from tests.gateway.sessions import new_session, ticket_of
    from tests.gateway.test_wsapi import open_socket

    with open_socket(exchange, origin=exchange.base_url) as page:
        page.ask("session.logon", ticket=ticket_of(alice, new_session(alice.me.account_id)))
        page.ask("userDataStream.subscribe")
        stop(alice, "STOP_LOSS_LIMIT", "SELL", price="49000", stopPrice="49500", timeInForce="GTC")
        print_at("49500.00", bob, carol)
        reports: list[Any] = []
        reports += [m["event"] for m in page.seen if m.get("event", {}).get("e") == "executionReport"]
        while len(reports) < 2:
            event = page.until(lambda m: "event" in m)["event"]
            reports += [event] if event["e"] == "executionReport" else []
        waiting, working = reports
        assert (waiting["x"], waiting["w"], waiting["P"], "W" in waiting) == ("NEW", False, "49500.00000000", False)
        assert (working["x"], working["X"], working["w"]) == ("NEW", "NEW", True)
        assert working["W"] > working["O"]


def test_exchange_info_names_them(public: Client) -> None:
    [btc] = public.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"]
    assert {"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"} <= set(btc["orderTypes"])
    assert btc["allowTrailingStop"] is True
    assert btc["stopBuyBuffer"] == "0.0200"
    filters = {each["filterType"]: each for each in btc["filters"]}
    assert filters["MAX_NUM_ALGO_ORDERS"]["maxNumAlgoOrders"] == 100
    assert filters["TRAILING_DELTA"]["minTrailingBelowDelta"] == 10
    assert filters["TRAILING_DELTA"]["maxTrailingAboveDelta"] == 2000


def test_waiting_ends_with_the_market_data_still_right(alice: Client, public: Client) -> None:
    """What waits is in no book."""
    stop(alice, "STOP_LOSS_LIMIT", "SELL", price="49000", stopPrice="49500", timeInForce="GTC")
    wait_until(lambda: public.get("/api/v3/depth", symbol="BTCUSDT").json()["asks"] == [])
