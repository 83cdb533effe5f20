"""binance-connector's streams by SUBSCRIBE, raw and combined, and its calls over the WebSocket API."""

import json
import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from binance.spot import Spot
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

SYMBOL = "BTCUSDT"
PATIENCE_S = 30


class Inbox:
    """What a client's callback was given."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()

    def __call__(self, _: Any, message: str) -> None:
        self.messages.put(json.loads(message))

    def until(self, fits: Any) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            message = self.messages.get(timeout=max(deadline - time.monotonic(), 0.01))
            if fits(message):
                return message


def trade(other: Any) -> None:
    """A print inside the spread, which moves every stream of the market."""
    _, ask = other.spread()
    other.order("BUY", "0.0002", str(ask), "IOC")


@pytest.mark.parametrize("is_combined", [False, True])
def test_streams(ws_url: str, other: Any, is_combined: bool) -> None:
    inbox = Inbox()
    client = SpotWebsocketStreamClient(stream_url=ws_url, on_message=inbox, is_combined=is_combined)
    try:
        for subscribe, expected in (
            (lambda: client.trade(symbol="btcusdt"), "trade"),
            (lambda: client.agg_trade(symbol="btcusdt"), "aggTrade"),
            (lambda: client.kline(symbol="btcusdt", interval="1m"), "kline"),
            (lambda: client.mini_ticker(symbol="btcusdt"), "24hrMiniTicker"),
            (lambda: client.ticker(symbol="btcusdt"), "24hrTicker"),
            (lambda: client.diff_book_depth(symbol="btcusdt", speed=100), "depthUpdate"),
            (lambda: client.book_ticker(symbol="btcusdt"), "bookTicker"),
            (lambda: client.partial_book_depth(symbol="btcusdt", level=5, speed=100), "depth5"),
        ):
            subscribe()
            assert inbox.until(lambda message: "result" in message)["result"] is None
            trade(other)
            inbox.until(lambda message, expected=expected: name_of(message, is_combined) == expected)
            time.sleep(0.25)  # five messages a second are all that a client may send
    finally:
        client.stop()


def name_of(message: Any, is_combined: bool) -> str:
    if "result" in message:
        return ""
    data = message["data"] if is_combined else message
    if "lastUpdateId" in data:
        return "depth5"
    return str(data.get("e", "bookTicker"))


def test_user_data_by_listen_key(base_url: str, ws_url: str, keys: tuple[str, str], other: Any) -> None:
    """SUBSCRIBE [listenKey] on /ws: events come as they are, in order."""
    rest, inbox = Spot(*keys, base_url=base_url), Inbox()
    key = rest.new_listen_key()["listenKey"]
    client = SpotWebsocketStreamClient(stream_url=ws_url, on_message=inbox)
    try:
        client.user_data(key)
        assert inbox.until(lambda message: "result" in message)["result"] is None
        order = rest.new_order(
            symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price=other.away(-20)
        )
        rest.cancel_order(SYMBOL, orderId=order["orderId"])
        for kind in ("NEW", "CANCELED"):
            report = inbox.until(lambda message: message["e"] == "executionReport")
            assert (report["x"], report["i"]) == (kind, order["orderId"])
        assert rest.renew_listen_key(key) == {}
    finally:
        client.stop()
    assert rest.close_listen_key(key) == {}  # which ends the stream: a client cannot stop one that has ended


@pytest.fixture
def api(ws_url: str, keys: tuple[str, str]) -> Iterator[tuple[Any, Inbox]]:
    inbox = Inbox()
    client = SpotWebsocketAPIClient(
        stream_url=ws_url + "/ws-api/v3", api_key=keys[0], api_secret=keys[1], on_message=inbox
    )
    yield client, inbox
    client.stop()


def test_websocket_api(api: tuple[Any, Inbox], other: Any, keys: tuple[str, str]) -> None:
    client, inbox = api

    def answer() -> Any:
        message = inbox.until(lambda _: True)
        assert message["status"] == 200, message
        return message["result"]

    client.ping_connectivity()
    assert answer() == {}
    client.server_time()
    assert answer()["serverTime"] > 0
    client.exchange_info(symbol=SYMBOL)
    assert answer()["symbols"][0]["symbol"] == SYMBOL
    client.order_book(SYMBOL, limit=5)
    assert answer()["bids"]
    client.recent_trades(SYMBOL)
    assert answer()
    client.historical_trades(SYMBOL, apiKey=keys[0])
    assert answer()
    client.aggregate_trades(SYMBOL)
    assert answer()
    client.klines(SYMBOL, "1m")
    assert answer()
    client.ui_klines(SYMBOL, "1m")
    assert answer()
    client.avg_price(SYMBOL)
    assert answer()["mins"] == 5
    for call in (client.ticker_24hr, client.ticker, client.ticker_price, client.ticker_book):
        call(symbol=SYMBOL)
        assert answer()["symbol"] == SYMBOL
    limit = {"timeInForce": "GTC", "quantity": 0.01, "price": other.away(-20)}
    client.new_order_test(SYMBOL, "BUY", "LIMIT", **limit)
    assert answer() == {}
    client.new_order(SYMBOL, "BUY", "LIMIT", **limit)
    order = answer()
    client.get_order(SYMBOL, orderId=order["orderId"])
    assert answer()["status"] == "NEW"
    client.get_open_orders(symbol=SYMBOL)
    assert len(answer()) == 1
    client.cancel_replace_order(SYMBOL, "STOP_ON_FAILURE", "BUY", "LIMIT", cancelOrderId=order["orderId"], **limit)
    again = answer()["newOrderResponse"]["orderId"]
    client.cancel_order(SYMBOL, orderId=again)
    assert answer()["status"] == "CANCELED"
    client.new_order(SYMBOL, "BUY", "LIMIT", **limit)
    answer()
    client.cancel_open_orders(SYMBOL)
    assert len(answer()) == 1
    client.account()
    assert answer()["accountType"] == "SPOT"
    client.order_rate_limit()
    assert answer()[0]["count"] > 0
    client.order_history(symbol=SYMBOL)
    assert order["orderId"] in [each["orderId"] for each in answer()]
    client.my_trades(symbol=SYMBOL)
    assert answer()
    client.prevented_matches(SYMBOL, orderId=order["orderId"])
    assert answer() == []
    client.oco_history()
    assert answer()
    client.get_open_oco_orders()
    assert answer() == []
    client.user_data_start()
    key = answer()["listenKey"]
    client.user_data_ping(key)
    assert answer() == {}
    client.user_data_stop(key)
    assert answer() == {}
    client.cancel_order(SYMBOL, orderId=999_999_999)
    refused = inbox.until(lambda _: True)
    assert (refused["status"], refused["error"]["code"]) == (400, -2011)
