"""python-binance, the blocking client: every public call, every kind of order, account, history and errors."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def client(base_url: str, ws_url: str, keys: tuple[str, str]) -> Iterator[Any]:
    class Here(Client):
        API_URL = base_url + "/api"
        MARGIN_API_URL = base_url + "/sapi"
        WS_API_URL = ws_url + "/ws-api/v3"

    made = Here(*keys)
    yield made
    made.close_connection()


@pytest.fixture(autouse=True)
def tidy(client: Any) -> Iterator[None]:
    yield
    for order in client.get_open_orders(symbol=SYMBOL):
        if order["orderListId"] == -1:
            client.cancel_order(symbol=SYMBOL, orderId=order["orderId"])


def test_markets(client: Any) -> None:
    info = client.get_exchange_info()
    assert {"BTCUSDT", "ETHUSDT"} <= {each["symbol"] for each in info["symbols"]}
    symbol = client.get_symbol_info(SYMBOL)
    assert (symbol["status"], symbol["baseAsset"], symbol["quoteAsset"]) == ("TRADING", "BTC", "USDT")
    assert {each["filterType"] for each in symbol["filters"]} >= {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"}
    assert client.get_symbol_info("NOPE") is None
    assert client.ping() == {}
    assert client.get_server_time()["serverTime"] > 0


def test_public_data(client: Any) -> None:
    book = client.get_order_book(symbol=SYMBOL, limit=5)
    assert Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0])
    trades = client.get_recent_trades(symbol=SYMBOL, limit=5)
    assert [each["id"] for each in trades] == sorted(each["id"] for each in trades)
    assert client.get_historical_trades(symbol=SYMBOL, fromId=1, limit=2)[0]["id"] == 1
    assert client.get_aggregate_trades(symbol=SYMBOL, fromId=1, limit=2)[0]["a"] == 1
    assert [each["a"] for each in zip_first(client.aggregate_trade_iter(symbol=SYMBOL, last_id=1), 3)] == [2, 3, 4]
    assert Decimal(client.get_avg_price(symbol=SYMBOL)["price"]) > 0
    assert client.get_ticker(symbol=SYMBOL)["symbol"] == SYMBOL
    assert len(client.get_ticker()) == len(client.get_all_tickers()) == len(client.get_orderbook_tickers())
    assert client.get_symbol_ticker(symbol=SYMBOL)["symbol"] == SYMBOL
    assert client.get_orderbook_ticker(symbol=SYMBOL)["symbol"] == SYMBOL
    assert client.get_symbol_ticker_window(symbol=SYMBOL, windowSize="1h")["count"] > 0
    assert client.v3_get_ticker_trading_day(symbol=SYMBOL)["symbol"] == SYMBOL


def zip_first(items: Iterator[Any], count: int) -> list[Any]:
    return [item for _, item in zip(range(count), items, strict=False)]


def test_candles(client: Any) -> None:
    bars = client.get_klines(symbol=SYMBOL, interval=Client.KLINE_INTERVAL_1MINUTE, limit=10)
    assert [each[0] for each in bars] == list(range(bars[0][0], bars[0][0] + 600_000, 60_000))
    assert client.get_ui_klines(symbol=SYMBOL, interval="1h", limit=2)
    # Asks for the first bar there is (startTime=0&limit=1) before it pages.
    hours = client.get_historical_klines(SYMBOL, Client.KLINE_INTERVAL_1HOUR, "1 day ago UTC")
    assert len(hours) in (24, 25)
    assert len(list(client.get_historical_klines_generator(SYMBOL, "1m", "2 hours ago UTC", limit=50))) in (120, 121)


def test_resting_and_cancelled(client: Any, other: Any) -> None:
    order = client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=other.away(-20))
    assert (order["status"], order["fills"], order["clientOrderId"][:10]) == ("NEW", [], "x-HNA2TXFJ")
    assert client.get_order(symbol=SYMBOL, orderId=order["orderId"])["isWorking"] is True
    by_name = client.get_order(symbol=SYMBOL, origClientOrderId=order["clientOrderId"])
    assert by_name["orderId"] == order["orderId"]
    assert [each["orderId"] for each in client.get_open_orders(symbol=SYMBOL)] == [order["orderId"]]
    assert order["orderId"] in [each["orderId"] for each in client.get_open_orders()]
    amended = client._put(
        "order/amend/keepPriority", True, data={"symbol": SYMBOL, "orderId": order["orderId"], "newQty": "0.009"},
        version="v3",
    )  # fmt: skip
    assert amended["amendedOrder"]["qty"] == "0.00900000"
    canceled = client.cancel_order(symbol=SYMBOL, orderId=order["orderId"])
    assert (canceled["status"], canceled["origClientOrderId"]) == ("CANCELED", order["clientOrderId"])
    assert client.get_all_orders(symbol=SYMBOL, orderId=order["orderId"])[0]["status"] == "CANCELED"


def test_filled(client: Any, other: Any, until: Callable[..., Any]) -> None:
    price = other.inside()
    order = client.create_order(symbol=SYMBOL, side="BUY", type="LIMIT_MAKER", quantity="0.02", price=price)
    assert order.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}, "an ACK by default"
    other.order("SELL", "0.005", price, "IOC")
    part = client.get_order(symbol=SYMBOL, orderId=order["orderId"])
    assert (part["status"], part["executedQty"]) == ("PARTIALLY_FILLED", "0.00500000")
    trade = client.get_my_trades(symbol=SYMBOL, orderId=order["orderId"])[0]
    assert (trade["price"], trade["isMaker"], trade["isBuyer"], trade["commissionAsset"]) == (
        price.ljust(len(price) + 6, "0"), True, True, "BTC",
    )  # fmt: skip
    client.cancel_order(symbol=SYMBOL, orderId=order["orderId"])
    bought = client.order_market_buy(symbol=SYMBOL, quantity="0.002")
    assert (bought["status"], sum(Decimal(fill["qty"]) for fill in bought["fills"])) == ("FILLED", Decimal("0.002"))
    spent = client.order_market_buy(symbol=SYMBOL, quoteOrderQty="100")
    assert (spent["status"], Decimal(spent["cummulativeQuoteQty"]) <= 100) == ("FILLED", True)
    sold = client.order_market_sell(symbol=SYMBOL, quantity="0.001", newOrderRespType="RESULT")
    assert (sold["status"], "fills" in sold) == ("FILLED", False)
    assert client.order_limit_sell(symbol=SYMBOL, quantity="0.001", price=other.away(-5))["status"] == "FILLED"
    assert {"BTC", "USDT"} <= {each["asset"] for each in client.get_account()["balances"]}
    assert Decimal(client.get_asset_balance("BTC")["free"]) > 50
    times = [each["time"] for each in client.get_my_trades(symbol=SYMBOL)]
    assert times == sorted(times)
    assert client.get_my_trades(symbol=SYMBOL, fromId=trade["id"], limit=1)[0]["id"] == trade["id"]


@pytest.mark.parametrize(
    ("kind", "side", "terms"),
    [
        ("LIMIT", "BUY", {"timeInForce": "IOC", "price": -20}),
        ("LIMIT", "BUY", {"timeInForce": "FOK", "price": -20}),
        ("LIMIT", "BUY", {"timeInForce": "GTC", "price": -20, "icebergQty": "0.001"}),
        ("LIMIT_MAKER", "SELL", {"price": 20}),
        ("STOP_LOSS", "SELL", {"stopPrice": -20}),
        ("STOP_LOSS", "SELL", {"trailingDelta": 1000}),
        ("STOP_LOSS_LIMIT", "SELL", {"stopPrice": -20, "price": -21, "timeInForce": "GTC"}),
        ("TAKE_PROFIT", "SELL", {"stopPrice": 20}),
        ("TAKE_PROFIT_LIMIT", "SELL", {"stopPrice": 20, "price": 19, "timeInForce": "GTC"}),
    ],
)
def test_kinds(client: Any, other: Any, kind: str, side: str, terms: dict[str, Any]) -> None:
    sent = {
        name: other.away(value) if name in ("price", "stopPrice") else value for name, value in terms.items()
    }  # the table's prices are percents off the market
    order = {"symbol": SYMBOL, "side": side, "type": kind, "quantity": "0.01", **sent}
    assert client.create_test_order(**order) == {}
    made = client.create_order(**order)
    shown = client.get_order(symbol=SYMBOL, orderId=made["orderId"])
    ended = terms.get("timeInForce") in ("IOC", "FOK")
    assert (shown["type"], shown["status"]) == (kind, "EXPIRED" if ended else "NEW")
    if not ended:
        canceled = client.cancel_order(symbol=SYMBOL, origClientOrderId=made["clientOrderId"])
        assert canceled["status"] == "CANCELED"


@pytest.mark.parametrize("form", ["ACK", "RESULT", "FULL"])
def test_forms(client: Any, other: Any, form: str) -> None:
    """What each form must have is in the field tables; here that the form asked for is the one that came."""
    for kind, terms in (("LIMIT", {"timeInForce": "GTC"}), ("LIMIT_MAKER", {})):
        made = client.create_order(
            symbol=SYMBOL, side="BUY", type=kind, quantity="0.01", price=other.away(-20), newOrderRespType=form, **terms
        )
        assert ("status" in made, "fills" in made) == (form != "ACK", form == "FULL")


def test_lists(client: Any, other: Any) -> None:
    oco = client.create_oco_order(
        symbol=SYMBOL, side="SELL", quantity="0.01", aboveType="LIMIT_MAKER", abovePrice=other.away(20),
        belowType="STOP_LOSS_LIMIT", belowPrice=other.away(-21), belowStopPrice=other.away(-20),
        belowTimeInForce="GTC",
    )  # fmt: skip
    assert (oco["contingencyType"], len(oco["orderReports"])) == ("OCO", 2)
    assert oco["orderListId"] in [each["orderListId"] for each in client.get_open_oco_orders()]
    assert client.v3_get_order_list(orderListId=oco["orderListId"])["listOrderStatus"] == "EXECUTING"
    gone = client.v3_delete_order_list(symbol=SYMBOL, orderListId=oco["orderListId"])
    assert gone["listOrderStatus"] == "ALL_DONE"
    assert oco["orderListId"] in [each["orderListId"] for each in client.v3_get_all_order_list()]
    working = {
        "symbol": SYMBOL, "workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC",
        "workingPrice": other.away(-20), "workingQuantity": "0.01", "pendingSide": "SELL",
    }  # fmt: skip
    pending = {"pendingType": "LIMIT_MAKER", "pendingPrice": other.away(20), "pendingQuantity": "0.009"}
    oto = client.v3_post_order_list_oto(**working, **pending)
    assert oto["contingencyType"] == "OTO"
    otoco = client.v3_post_order_list_otoco(
        **working, pendingQuantity="0.009", pendingAboveType="LIMIT_MAKER", pendingAbovePrice=other.away(20),
        pendingBelowType="STOP_LOSS", pendingBelowStopPrice=other.away(-30),
    )  # fmt: skip
    assert len(otoco["orders"]) == 3
    canceled = client.cancel_all_open_orders(symbol=SYMBOL)
    assert {each["contingencyType"] for each in canceled} == {"OTO"}
    assert client.get_open_oco_orders() == []


def test_replaced(client: Any, other: Any) -> None:
    order = client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=other.away(-20))
    terms = {
        "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
        "price": other.away(-19), "cancelReplaceMode": "STOP_ON_FAILURE",
    }  # fmt: skip
    replaced = client.cancel_replace_order(**terms, cancelOrderId=order["orderId"])
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    with pytest.raises(BinanceAPIException) as refused:
        client.cancel_replace_order(**terms, cancelOrderId=order["orderId"])
    assert (refused.value.code, refused.value.status_code) == (-2022, 400)
    assert len(client.get_open_orders(symbol=SYMBOL)) == 1


def test_account(client: Any) -> None:
    assert client.get_account_status()["data"] == "Normal"
    assert client.get_account_api_permissions()["enableReading"] is True
    assert client.get_system_status()["status"] == 0
    assert {each["symbol"] for each in client.get_trade_fee()} >= {SYMBOL}
    assert client.get_trade_fee(symbol=SYMBOL)[0]["takerCommission"] == "0.00100000"
    assert {each["coin"] for each in client.get_all_coins_info()} >= {"BTC", "USDT"}
    assert client.get_spot_delist_schedule() == []
    assert {"BTC", "USDT"} <= set(client.get_asset_details())
    assert client.get_current_order_count()[0]["count"] > 0
    assert client.get_allocations(symbol=SYMBOL) == []
    assert client.get_prevented_matches(symbol=SYMBOL, orderId=1) == []
    assert client.v3_get_account_commission(symbol=SYMBOL)["standardCommission"]["maker"] == "0.00100000"
    assert {each["asset"] for each in client.get_user_asset()} >= {"BTC"}
    tested = client.create_test_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01", computeCommissionRates="true"
    )
    assert tested["standardCommissionForOrder"]["taker"] == "0.00100000"


def test_errors(client: Any, base_url: str, keys: tuple[str, str], other: Any) -> None:
    """One exception class with code, text and HTTP status, for every situation of the dialect's table."""
    far = other.away(-20)
    for call, params, code, status in (
        (client.order_market_sell, {"quantity": "90"}, -2010, 400),
        (client.order_limit_buy, {"quantity": "0.01", "price": "0.000000001"}, -1111, 400),
        (client.order_limit_buy, {"quantity": "0.000015", "price": far}, -1013, 400),
        (client.order_limit_buy, {"quantity": "0.00001", "price": far}, -1013, 400),
        (client.order_limit_buy, {"quantity": "0.01"}, -1102, 400),
        (client.order_limit_buy, {"quantity": "1e-05", "price": far}, -1100, 400),
        (client.create_order, {"side": "BUY", "type": "ODD", "quantity": "1"}, -1116, 400),
        (client.cancel_order, {"orderId": 999_999_999}, -2011, 400),
        (client.get_order, {"orderId": 999_999_999}, -2013, 400),
        (client.get_klines, {"interval": "7m"}, -1120, 400),
    ):
        with pytest.raises(BinanceAPIException) as refused:
            call(symbol=SYMBOL, **params)
        assert (refused.value.code, refused.value.status_code) == (code, status), (params, refused.value)
    with pytest.raises(BinanceAPIException, match="Invalid symbol") as refused:
        client.get_order_book(symbol="NOPE")
    assert refused.value.code == -1121
    for key, secret, code, status in ((keys[0], "x" * 64, -1022, 400), ("x" * 64, keys[1], -2015, 401)):
        stranger = Client(key, secret, ping=False)
        stranger.API_URL = base_url + "/api"
        with pytest.raises(BinanceAPIException) as refused:
            stranger.get_account()
        assert (refused.value.code, refused.value.status_code) == (code, status)
    client.timestamp_offset = -100_000
    with pytest.raises(BinanceAPIException, match="outside of the recvWindow") as refused:
        client.get_account()
    client.timestamp_offset = 0
    assert refused.value.code == -1021


def test_public_key(base_url: str, private_key: tuple[str, str], other: Any) -> None:
    """Ed25519 and RSA: only the owner has the private half."""
    signer = Client(private_key[0], private_key=private_key[1], ping=False)
    signer.API_URL = base_url + "/api"
    assert signer.get_account()["accountType"] == "SPOT"
    order = signer.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=other.away(-20))
    assert signer.cancel_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "CANCELED"


def test_listen_key(client: Any) -> None:
    """Of old; newer programs subscribe by signature."""
    key = client.stream_get_listen_key()
    assert client.stream_get_listen_key() == key
    assert client.stream_keepalive(key) == {}
    assert client.stream_close(key) == {}
    with pytest.raises(BinanceAPIException) as refused:
        client.stream_keepalive(key)
    assert refused.value.code == -1125


def test_websocket_api(client: Any, other: Any) -> None:
    """The blocking wrappers of the WebSocket API."""
    assert client.ws_get_exchange_info(symbol=SYMBOL)["symbols"][0]["symbol"] == SYMBOL
    order = client.ws_order_limit_buy(symbol=SYMBOL, quantity="0.01", price=other.away(-20))
    assert client.ws_get_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "NEW"
    assert client.ws_cancel_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "CANCELED"
    assert client.ws_get_account()["accountType"] == "SPOT"
