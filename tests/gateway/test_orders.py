"""Orders over REST, from the request to the settled record."""

from django.db import transaction

from apps.markets.models import Market
from apps.markets.services import change_market_settings
from apps.outbox.services import enqueue
from apps.streams.commands import SetAccount
from apps.streams.kinds import AccountFlag
from tests.gateway.client import FORM, LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until


def test_limit_order_rests_fills_and_is_settled(alice: Client, bob: Client) -> None:
    resting = alice.limit("BUY", "50000.00", "0.5", newClientOrderId="first")
    assert resting | {"orderId": 1, "transactTime": 2, "workingTime": 3} == {
        "symbol": "BTCUSDT", "orderId": 1, "orderListId": -1, "clientOrderId": "first", "transactTime": 2,
        "price": "50000.00000000", "origQty": "0.50000000", "executedQty": "0.00000000",
        "origQuoteOrderQty": "0.00000000", "cummulativeQuoteQty": "0.00000000", "status": "NEW",
        "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "workingTime": 3, "fills": [],
        "selfTradePreventionMode": "EXPIRE_TAKER",
    }  # fmt: skip
    assert isinstance(resting["orderId"], int)
    filled = bob.market("SELL", quantity="0.2")
    assert filled["status"] == "FILLED"
    assert filled["cummulativeQuoteQty"] == "10000.00000000"
    [fill] = filled["fills"]
    assert fill | {"tradeId": 0} == {
        "price": "50000.00000000", "qty": "0.20000000", "commission": "10.00000000", "commissionAsset": "USDT",
        "tradeId": 0,
    }  # fmt: skip
    status = alice.ok("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="first")
    assert (status["status"], status["executedQty"], status["cummulativeQuoteQty"]) == (
        "PARTIALLY_FILLED", "0.20000000", "10000.00000000",
    )  # fmt: skip
    [mine] = alice.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert (mine["isMaker"], mine["isBuyer"], mine["commissionAsset"], mine["commission"]) == (
        True, True, "BTC", "0.00020000",
    )  # fmt: skip
    assert alice.balances()["BTC"] == ("10.19980000", "0.00000000")
    assert alice.balances()["USDT"] == ("975000.00000000", "15000.00000000")
    assert bob.balances()["USDT"][0] == "1009990.00000000"
    canceled = alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="first", newClientOrderId="c1")
    assert (canceled["status"], canceled["origClientOrderId"], canceled["clientOrderId"]) == ("CANCELED", "first", "c1")
    assert alice.balances()["USDT"] == ("990000.00000000", "0.00000000")


def test_market_order_by_quote_budget(alice: Client, bob: Client) -> None:
    alice.limit("SELL", "50000.00", "1")
    bought = bob.market("BUY", quoteOrderQty="1000")
    assert (bought["status"], bought["origQuoteOrderQty"], bought["executedQty"], bought["price"]) == (
        "FILLED", "1000.00000000", "0.02000000", "0.00000000",
    )  # fmt: skip
    assert bought["fills"][0]["commissionAsset"] == "BTC"


def test_response_types(alice: Client) -> None:
    ack = alice.limit("BUY", "40000.00", "0.1", newOrderRespType="ACK")
    assert list(ack) == ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
    result = alice.limit("BUY", "40000.00", "0.1", newOrderRespType="RESULT")
    assert "fills" not in result
    assert result["workingTime"] == result["transactTime"]


def test_parameters_in_query_body_or_both(alice: Client) -> None:
    """PUT and DELETE bodies too; the query wins over the body; an empty body may call itself JSON."""
    params = alice.query(**LIMIT, side="BUY", price="40000", quantity="0.1")
    assert alice.raw("POST", "/api/v3/order", params.encode(), **FORM).status_code == 200
    assert alice.raw("POST", f"/api/v3/order?{alice.query(**LIMIT, side='BUY', price='40000', quantity='0.1')}",
                     b"", **{"content-type": "application/json;charset=utf-8"}).status_code == 200  # fmt: skip
    query, body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC", alice.query(price="40000", quantity="0.1")
    body = body.split("&signature=")[0]
    signature = alice.sign(query + body)
    both = alice.raw("POST", f"/api/v3/order?{query}", f"{body}&signature={signature}".encode(), **FORM)
    assert both.status_code == 200, both.text
    # The body asks for another price; the query's value counts.
    body = body.replace("price=40000", "price=41000")
    query += "&price=42000"
    signature = alice.sign(query + body)
    won = alice.raw("POST", f"/api/v3/order?{query}", f"{body}&signature={signature}".encode(), **FORM)
    assert won.json()["price"] == "42000.00000000"
    body = alice.query(symbol="BTCUSDT", orderId=won.json()["orderId"])
    canceled = alice.raw("DELETE", "/api/v3/order", body.encode(), **FORM)
    assert canceled.json()["status"] == "CANCELED"


def test_signature_may_stand_anywhere_and_in_either_case(alice: Client) -> None:
    query = alice.query(symbol="BTCUSDT")
    rest, signature = query.split("&signature=")
    for signed in (f"signature={signature.upper()}&{rest}", rest.replace("&", f"&signature={signature}&", 1)):
        assert alice.raw("GET", f"/api/v3/openOrders?{signed}").status_code == 200


def test_open_orders_and_cancel_all(alice: Client) -> None:
    first, second = alice.limit("BUY", "40000", "0.1"), alice.limit("SELL", "60000", "0.1")
    other = alice.limit("BUY", "2000", "1", symbol="ETHUSDT")
    shown = alice.ok("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [order["orderId"] for order in shown] == [first["orderId"], second["orderId"]]
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 3
    gone = alice.ok("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [order["status"] for order in gone] == ["CANCELED", "CANCELED"]
    assert [order["orderId"] for order in alice.ok("GET", "/api/v3/openOrders")] == [other["orderId"]]
    assert alice.refused("DELETE", "/api/v3/openOrders", symbol="BTCUSDT") == (400, -2011, "Unknown order sent.")


def test_history_is_oldest_first_and_most_recent_without_bounds(alice: Client) -> None:
    placed = [alice.limit("BUY", "40000", "0.1")["orderId"] for _ in range(4)]
    shown = alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT", limit=3)
    assert [order["orderId"] for order in shown] == placed[1:]
    assert {"time", "updateTime", "isWorking", "stopPrice", "icebergQty"} <= set(shown[0])
    onward = alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=placed[1], limit=2)
    assert [order["orderId"] for order in onward] == placed[1:3]
    start = shown[1]["time"]
    later = alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT", startTime=start)
    assert [order["orderId"] for order in later] == [n for n in placed if n >= shown[1]["orderId"]]
    until = alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT", endTime=start - 1)
    assert [order["orderId"] for order in until] == placed[: placed.index(shown[1]["orderId"])]


def test_repeated_client_order_id(alice: Client, bob: Client) -> None:
    """T15: equal parameters answer the first order, others are refused while it is open, a new order once closed."""
    first = alice.limit("BUY", "50000.00", "0.3", newClientOrderId="same")
    again = alice.limit("BUY", "50000.00", "0.3", newClientOrderId="same")
    assert again == first
    assert alice.refused(
        "POST", "/api/v3/order", **LIMIT, side="BUY", price="50001", quantity="0.3", newClientOrderId="same"
    ) == (400, -2010, "Duplicate order sent.")
    taken = bob.market("SELL", quantity="0.3", newClientOrderId="m")
    assert bob.market("SELL", quantity="0.3", newClientOrderId="m") == taken
    assert len(bob.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")) == 1
    new = alice.limit("BUY", "50001.00", "0.1", newClientOrderId="same")
    assert new["orderId"] > first["orderId"]


def test_commission_rates_are_those_of_the_accounts_tier(exchange: Exchange, alice: Client) -> None:
    market = Market.objects.get(symbol="ETHBTC")
    change_market_settings(
        symbol="ETHBTC", changes={"fees": [(1_000, 1_000), (-200, 1_500)]}, reason="tests", requested_by="tests"
    )
    exchange.wait_settled()
    try:
        assert alice.ok("GET", "/api/v3/account")["commissionRates"]["taker"] == "0.00100000"
        command = SetAccount(
            relay_seq=0, source=0, flags=AccountFlag.KEEP_FAMILY, account_id=alice.me.account_id, fee_tier=1
        )
        with transaction.atomic():
            enqueue(key=f"test:tier:{alice.me.account_id}", command=command)
        exchange.wait_settled()
        found = wait_until(
            lambda: (rates := alice.ok("GET", "/api/v3/account"))["takerCommission"] == 15 and rates["commissionRates"]
        )
        # Other markets have one tier only: the highest rate is told.
        assert (found["maker"], found["taker"]) == ("0.00100000", "0.00150000")
    finally:
        change_market_settings(
            symbol="ETHBTC", changes={"fees": market.settings().fees}, reason="tests", requested_by="tests"
        )
        exchange.wait_settled()


def test_headers_count_what_was_used(exchange: Exchange, alice: Client) -> None:
    before = alice.signed("GET", "/api/v3/account")
    after = alice.signed("GET", "/api/v3/account")
    used = [int(answer.headers["x-mbx-used-weight-1m"]) for answer in (before, after)]
    # A minute may begin in between.
    assert used[1] - used[0] == 20 or used[1] == 20
    answer = alice.signed("POST", "/api/v3/order", **LIMIT, side="BUY", price="40000", quantity="0.1")
    assert answer.headers["x-mbx-order-count-1d"] == "1"
    assert answer.headers["x-mbx-order-count-10s"] == "1"
    assert answer.headers["content-type"].startswith("application/json")
