"""binance-connector over REST, which sends everything in the query: public calls, kinds, lists, account, errors."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from binance.error import ClientError
from binance.spot import Spot

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def client(base_url: str, keys: tuple[str, str]) -> Any:
    return Spot(*keys, base_url=base_url)


@pytest.fixture(autouse=True)
def tidy(client: Any) -> Iterator[None]:
    yield
    if client.get_open_orders(SYMBOL):
        client.cancel_open_orders(SYMBOL)


def test_public_data(client: Any) -> None:
    assert client.ping() == {}
    assert client.time()["serverTime"] > 0
    assert client.exchange_info(symbol=SYMBOL)["symbols"][0]["symbol"] == SYMBOL
    assert len(client.exchange_info(symbols=[SYMBOL, "ETHUSDT"])["symbols"]) == 2
    assert len(client.exchange_info()["symbols"]) > 2
    assert client.depth(SYMBOL, limit=5)["bids"]
    assert client.trades(SYMBOL, limit=5)
    assert client.historical_trades(SYMBOL, fromId=1)[0]["id"] == 1
    assert client.agg_trades(SYMBOL, limit=5)
    assert len(client.klines(SYMBOL, "1m", limit=5)) == len(client.ui_klines(SYMBOL, "1m", limit=5)) == 5
    assert client.avg_price(SYMBOL)["mins"] == 5
    for call in (client.ticker_24hr, client.ticker_price, client.book_ticker, client.trading_day_ticker):
        assert call(SYMBOL)["symbol"] == SYMBOL
        assert {each["symbol"] for each in call(symbols=[SYMBOL, "ETHUSDT"])} == {SYMBOL, "ETHUSDT"}
    assert client.rolling_window_ticker(SYMBOL, windowSize="1h")["symbol"] == SYMBOL
    assert client.ticker_24hr(SYMBOL, type="MINI").keys() < client.ticker_24hr(SYMBOL).keys()
    assert len(client.ticker_price()) > 2


def test_resting_and_cancelled(client: Any, other: Any) -> None:
    """Prices as floats are sent as Python prints them."""
    order = client.new_order(
        symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price=float(other.away(-20))
    )
    assert (order["status"], order["origQty"]) == ("NEW", "0.01000000")
    assert client.get_order(SYMBOL, orderId=order["orderId"])["status"] == "NEW"
    assert client.get_order(SYMBOL, origClientOrderId=order["clientOrderId"])["orderId"] == order["orderId"]
    assert [each["orderId"] for each in client.get_open_orders(SYMBOL)] == [order["orderId"]]
    replaced = client.cancel_and_replace(
        SYMBOL, "BUY", "LIMIT", "STOP_ON_FAILURE", timeInForce="GTC", quantity=0.02, price=other.away(-20),
        cancelOrderId=order["orderId"],
    )  # fmt: skip
    again = replaced["newOrderResponse"]["orderId"]
    assert client.cancel_order(SYMBOL, orderId=again)["status"] == "CANCELED"
    assert [each["status"] for each in client.get_orders(SYMBOL, orderId=again)] == ["CANCELED"]
    for _ in range(2):
        client.new_order(
            symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price=other.away(-20)
        )
    assert len(client.cancel_open_orders(SYMBOL)) == 2


def test_filled(client: Any, other: Any) -> None:
    price = other.inside()
    order = client.new_order(symbol=SYMBOL, side="SELL", type="LIMIT_MAKER", quantity=0.01, price=price)
    other.order("BUY", "0.01", price, "IOC")
    shown = client.get_order(SYMBOL, orderId=order["orderId"])
    assert (shown["status"], Decimal(shown["cummulativeQuoteQty"])) == ("FILLED", Decimal(price) / 100)
    (trade,) = client.my_trades(SYMBOL, orderId=order["orderId"])
    assert (trade["isMaker"], trade["isBuyer"], trade["commissionAsset"]) == (True, False, "USDT")
    for terms in ({"quantity": 0.001}, {"quoteOrderQty": 100}):
        assert client.new_order(symbol=SYMBOL, side="BUY", type="MARKET", **terms)["status"] == "FILLED"
    assert client.my_trades(SYMBOL, fromId=trade["id"])[0]["id"] == trade["id"]
    assert {each["asset"] for each in client.account()["balances"]} >= {"BTC", "USDT"}
    assert client.account(omitZeroBalances="true")["balances"]


@pytest.mark.parametrize(
    ("kind", "side", "terms"),
    [
        ("LIMIT", "BUY", {"timeInForce": "IOC", "price": -20}),
        ("LIMIT", "BUY", {"timeInForce": "FOK", "price": -20}),
        ("LIMIT", "BUY", {"timeInForce": "GTC", "price": -20, "icebergQty": 0.001}),
        ("LIMIT_MAKER", "SELL", {"price": 20}),
        ("STOP_LOSS", "SELL", {"stopPrice": -20}),
        ("STOP_LOSS", "SELL", {"trailingDelta": 1000}),
        ("STOP_LOSS_LIMIT", "SELL", {"stopPrice": -20, "price": -21, "timeInForce": "GTC"}),
        ("TAKE_PROFIT", "SELL", {"stopPrice": 20}),
        ("TAKE_PROFIT_LIMIT", "SELL", {"stopPrice": 20, "price": 19, "timeInForce": "GTC"}),
    ],
)
def test_kinds(client: Any, other: Any, kind: str, side: str, terms: dict[str, Any]) -> None:
    sent = {name: other.away(value) if name in ("price", "stopPrice") else value for name, value in terms.items()}
    order = {"symbol": SYMBOL, "side": side, "type": kind, "quantity": 0.01, **sent}
    assert client.new_order_test(**order) == {}
    made = client.new_order(**order, newOrderRespType="FULL")
    ended = terms.get("timeInForce") in ("IOC", "FOK")
    assert (made["type"], made["status"]) == (kind, "EXPIRED" if ended else "NEW")


def test_lists(client: Any, other: Any) -> None:
    above, below = other.away(20), other.away(-20)
    oco = client.new_oco_order(
        symbol=SYMBOL, side="SELL", quantity=0.01, aboveType="LIMIT_MAKER", abovePrice=above, belowType="STOP_LOSS",
        belowStopPrice=below,
    )  # fmt: skip
    assert client.get_oco_order(orderListId=oco["orderListId"])["listOrderStatus"] == "EXECUTING"
    assert oco["orderListId"] in [each["orderListId"] for each in client.get_oco_open_orders()]
    gone = client.cancel_oco_order(SYMBOL, orderListId=oco["orderListId"])
    assert gone["listOrderStatus"] == "ALL_DONE"
    assert oco["orderListId"] in [each["orderListId"] for each in client.get_oco_orders()]
    working = {
        "symbol": SYMBOL, "workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC",
        "workingPrice": below, "workingQuantity": 0.01, "pendingSide": "SELL", "pendingQuantity": 0.009,
    }  # fmt: skip
    oto = client.new_oto_order(**working, pendingType="LIMIT_MAKER", pendingPrice=above)
    assert oto["contingencyType"] == "OTO"
    otoco = client.new_otoco_order(
        **working, pendingAboveType="LIMIT_MAKER", pendingAbovePrice=above, pendingBelowType="STOP_LOSS",
        pendingBelowStopPrice=other.away(-30),
    )  # fmt: skip
    assert len(otoco["orders"]) == 3


def test_account(client: Any) -> None:
    assert client.system_status()["status"] == 0
    assert client.account_status()["data"] == "Normal"
    assert client.api_key_permissions()["enableReading"] is True
    assert {each["coin"] for each in client.coin_info()} >= {"BTC"}
    assert client.trade_fee(symbol=SYMBOL)[0]["takerCommission"] == "0.00100000"
    assert {each["asset"] for each in client.user_asset()} >= {"BTC"}
    assert client.delist_schedule_symbols() == []
    assert {"BTC", "USDT"} <= set(client.asset_detail())
    assert max(row["count"] for row in client.get_order_rate_limit()) > 0
    assert client.query_prevented_matches(SYMBOL, orderId=1) == []
    assert client.query_allocations(SYMBOL) == []
    assert client.query_commission_rates(SYMBOL)["symbol"] == SYMBOL


def test_public_key(base_url: str, private_key: tuple[str, str], other: Any) -> None:
    """Ed25519 and RSA: only the owner has the private half."""
    signer = Spot(private_key[0], base_url=base_url, private_key=private_key[1])
    order = signer.new_order(
        symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price=other.away(-20)
    )
    assert signer.cancel_order(SYMBOL, orderId=order["orderId"])["status"] == "CANCELED"


def test_errors(client: Any, base_url: str, keys: tuple[str, str], other: Any) -> None:
    """Both `code` and `msg` in every refusal; the cancel-replace one brings what became of both halves."""
    limit = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    for call, params, status, code in (
        (client.new_order, {"symbol": SYMBOL, "side": "SELL", "type": "MARKET", "quantity": 90}, 400, -2010),
        (client.new_order, {**limit, "quantity": 1e-05, "price": other.away(-20)}, 400, -1100),
        (client.new_order, {**limit, "quantity": 0.01}, 400, -1102),
        (client.cancel_order, {"symbol": SYMBOL, "orderId": 999_999_999}, 400, -2011),
        (client.cancel_open_orders, {"symbol": SYMBOL}, 400, -2011),
        (client.get_order, {"symbol": SYMBOL, "orderId": 999_999_999}, 400, -2013),
        (client.depth, {"symbol": "NOPE"}, 400, -1121),
        (Spot(keys[0], "x" * 64, base_url=base_url).account, {}, 400, -1022),
        (Spot("x" * 64, keys[1], base_url=base_url).account, {}, 401, -2015),
    ):
        with pytest.raises(ClientError) as refused:
            call(**params)
        assert (refused.value.status_code, refused.value.error_code) == (status, code), params
        assert refused.value.error_message
    with pytest.raises(ClientError) as refused:
        client.cancel_and_replace(
            SYMBOL, "BUY", "LIMIT", "STOP_ON_FAILURE", timeInForce="GTC", quantity=0.01, price=other.away(-20),
            cancelOrderId=999_999_999,
        )  # fmt: skip
    assert (refused.value.error_code, refused.value.error_data["newOrderResult"]) == (-2022, "NOT_ATTEMPTED")
    assert "x-mbx-used-weight-1m" in refused.value.header
