"""python-binance's AsyncClient and sockets: calls, every stream it knows for spot, user data, the threaded manager."""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager, ThreadedWebsocketManager
from binance.exceptions import BinanceAPIException
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

SYMBOL = "BTCUSDT"
PATIENCE_S = 30


@pytest.fixture(scope="module", autouse=True)
def pointed(base_url: str, ws_url: str) -> Iterator[None]:
    """ThreadedWebsocketManager makes its own client: the attributes of the classes are the only way."""
    ReconnectingWebsocket.TIMEOUT = 1  # closing waits until its reader has looked up, every 10 s by default
    before = AsyncClient.API_URL, AsyncClient.MARGIN_API_URL, AsyncClient.WS_API_URL, BinanceSocketManager.STREAM_URL
    AsyncClient.API_URL, AsyncClient.MARGIN_API_URL = base_url + "/api", base_url + "/sapi"
    AsyncClient.WS_API_URL, BinanceSocketManager.STREAM_URL = ws_url + "/ws-api/v3", ws_url + "/"
    yield
    AsyncClient.API_URL, AsyncClient.MARGIN_API_URL, AsyncClient.WS_API_URL, BinanceSocketManager.STREAM_URL = before


@pytest.fixture
async def client(keys: tuple[str, str]) -> AsyncIterator[Any]:
    made = await AsyncClient.create(*keys)
    yield made
    await made.close_connection()


@contextlib.asynccontextmanager
async def trading(client: Any) -> AsyncIterator[None]:
    """The account buys a little again and again, as a quiet market sends nothing."""

    async def trade() -> None:
        while True:
            await client.order_market_buy(symbol=SYMBOL, quantity="0.0002")
            await asyncio.sleep(0.2)

    task = asyncio.create_task(trade())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_calls(client: Any, other: Any) -> None:
    assert (await client.get_symbol_info(SYMBOL))["symbol"] == SYMBOL
    assert (await client.get_order_book(symbol=SYMBOL, limit=5))["bids"]
    assert len(await client.get_historical_klines(SYMBOL, "1h", "1 day ago UTC")) in (24, 25)
    order = await client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=other.away(-20))
    assert [each["orderId"] for each in await client.get_open_orders(symbol=SYMBOL)] == [order["orderId"]]
    canceled = await client.cancel_order(symbol=SYMBOL, orderId=order["orderId"])
    assert canceled["status"] == "CANCELED"
    assert (await client.get_account())["accountType"] == "SPOT"
    assert (await client.get_asset_balance("USDT"))["locked"] == "0.00000000"
    assert await client.get_my_trades(symbol=SYMBOL) is not None
    with pytest.raises(BinanceAPIException) as refused:
        await client.order_market_sell(symbol=SYMBOL, quantity="90")
    assert (refused.value.code, refused.value.message) == (
        -2010, "Account has insufficient balance for requested action.",
    )  # fmt: skip


async def test_streams(client: Any) -> None:
    """One message of each stream; the field tables judge it, here only that it is the right one."""
    manager = BinanceSocketManager(client)
    sockets = {
        "trade": manager.trade_socket(SYMBOL),
        "aggTrade": manager.aggtrade_socket(SYMBOL),
        "kline": manager.kline_socket(SYMBOL),
        "24hrTicker": manager.symbol_ticker_socket(SYMBOL),
        "24hrMiniTicker": manager.symbol_miniticker_socket(SYMBOL),
        "depthUpdate": manager.depth_socket(SYMBOL),
        "depth100": manager.depth_socket(SYMBOL, interval=100),
        "depth20": manager.depth_socket(SYMBOL, depth="20"),
        "bookTicker": manager.symbol_book_ticker_socket(SYMBOL),
        "miniTickers": manager.miniticker_socket(),
        "multiplex": manager.multiplex_socket(["btcusdt@trade", "btcusdt@bookTicker"]),
    }

    async def first(socket: Any) -> Any:
        async with socket as opened:
            return await asyncio.wait_for(opened.recv(), PATIENCE_S)

    async with trading(client):
        messages = await asyncio.gather(*(first(socket) for socket in sockets.values()))
    seen = dict(zip(sockets, messages, strict=True))
    for name in ("trade", "aggTrade", "kline", "24hrTicker", "24hrMiniTicker", "depthUpdate"):
        assert (seen[name]["e"], seen[name]["s"]) == (name, SYMBOL)
    assert seen["depth100"]["e"] == "depthUpdate"
    assert 5 < len(seen["depth20"]["bids"]) <= 20
    assert seen["bookTicker"]["s"] == SYMBOL
    assert SYMBOL in [each["s"] for each in seen["miniTickers"]]
    assert seen["multiplex"]["stream"] in ("btcusdt@trade", "btcusdt@bookTicker")


async def test_user_socket(client: Any, other: Any) -> None:
    """Subscribed by signature; events of an order come in order, unwrapped by the client."""
    async with BinanceSocketManager(client).user_socket() as socket:
        order = await client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=other.away(-20))
        await client.cancel_order(symbol=SYMBOL, orderId=order["orderId"], newClientOrderId="gone")
        reports: list[Any] = []
        while len(reports) < 2:
            event = await asyncio.wait_for(socket.recv(), PATIENCE_S)
            event = event.get("event", event)
            if event["e"] == "executionReport" and event["i"] == order["orderId"]:
                reports.append(event)
        new, canceled = reports
        assert (new["x"], new["X"], new["c"], new["C"]) == ("NEW", "NEW", order["clientOrderId"], "")
        assert (canceled["x"], canceled["c"], canceled["C"]) == ("CANCELED", "gone", order["clientOrderId"])


async def test_orders_over_the_websocket_api(client: Any, other: Any) -> None:
    far = other.away(-20)
    assert await client.ws_create_test_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01") == {}
    order = await client.ws_order_limit_buy(symbol=SYMBOL, quantity="0.01", price=far)
    assert (await client.ws_get_order(symbol=SYMBOL, orderId=order["orderId"]))["status"] == "NEW"
    assert len(await client.ws_get_open_orders(symbol=SYMBOL)) == 1
    replaced = await client.ws_cancel_and_replace_order(
        symbol=SYMBOL, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"], side="BUY", type="LIMIT",
        timeInForce="GTC", quantity="0.02", price=far,
    )  # fmt: skip
    again = replaced["newOrderResponse"]
    assert (await client.ws_cancel_order(symbol=SYMBOL, orderId=again["orderId"]))["status"] == "CANCELED"
    await client.ws_order_limit_buy(symbol=SYMBOL, quantity="0.01", price=far)
    assert len(await client.ws_cancel_all_open_orders(symbol=SYMBOL)) == 1
    oco = await client.ws_create_oco_order(
        symbol=SYMBOL, side="SELL", quantity="0.01", aboveType="LIMIT_MAKER", abovePrice=other.away(20),
        belowType="STOP_LOSS", belowStopPrice=far,
    )  # fmt: skip
    assert (await client.ws_get_oco_order(orderListId=oco["orderListId"]))["listOrderStatus"] == "EXECUTING"
    assert len(await client.ws_get_oco_open_orders()) == 1
    gone = await client.ws_cancel_oco_order(symbol=SYMBOL, orderListId=oco["orderListId"])
    assert gone["listOrderStatus"] == "ALL_DONE"
    assert (await client.ws_order_market_buy(symbol=SYMBOL, quantity="0.001"))["status"] == "FILLED"
    assert (await client.ws_order_market_sell(symbol=SYMBOL, quantity="0.001"))["status"] == "FILLED"
    assert order["orderId"] in [each["orderId"] for each in await client.ws_get_all_orders(symbol=SYMBOL)]
    assert await client.ws_get_my_trades(symbol=SYMBOL)
    assert await client.ws_get_prevented_matches(symbol=SYMBOL, orderId=order["orderId"]) == []
    assert await client.ws_get_allocations(symbol=SYMBOL) == []
    assert (await client.ws_get_commission_rates(symbol=SYMBOL))["symbol"] == SYMBOL
    assert (await client.ws_get_account())["accountType"] == "SPOT"
    assert max(row["count"] for row in await client.ws_get_account_rate_limits_orders()) > 0
    with pytest.raises(BinanceAPIException) as refused:
        await client.ws_cancel_order(symbol=SYMBOL, orderId=999_999_999)
    assert refused.value.code == -2011


async def test_public_calls_over_the_websocket_api(client: Any) -> None:
    assert await client.ws_ping() == {}
    assert (await client.ws_get_time())["serverTime"] > 0
    assert (await client.ws_get_exchange_info(symbol=SYMBOL))["symbols"][0]["symbol"] == SYMBOL
    assert (await client.ws_get_order_book(symbol=SYMBOL))["bids"]
    assert await client.ws_get_recent_trades(symbol=SYMBOL)
    assert await client.ws_get_historical_trades(symbol=SYMBOL, fromId=1)
    assert await client.ws_get_aggregate_trades(symbol=SYMBOL)
    assert await client.ws_get_klines(symbol=SYMBOL, interval="1m", limit=2)
    assert await client.ws_get_uiKlines(symbol=SYMBOL, interval="1m", limit=2)
    assert (await client.ws_get_avg_price(symbol=SYMBOL))["mins"] == 5
    assert (await client.ws_get_ticker(symbol=SYMBOL))["symbol"] == SYMBOL
    assert (await client.ws_get_trading_day_ticker(symbol=SYMBOL))["symbol"] == SYMBOL
    assert (await client.ws_get_symbol_ticker_window(symbol=SYMBOL, windowSize="1h"))["symbol"] == SYMBOL
    assert (await client.ws_get_symbol_ticker(symbol=SYMBOL))["symbol"] == SYMBOL
    assert (await client.ws_get_orderbook_ticker(symbol=SYMBOL))["symbol"] == SYMBOL


def test_threaded_manager(keys: tuple[str, str], other: Any) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    manager = ThreadedWebsocketManager(*keys)
    manager.start()
    try:
        manager.start_depth_socket(seen.put, SYMBOL, interval=100)
        price = other.away(-15)
        other.order("BUY", "0.001", price)
        message = seen.get(timeout=PATIENCE_S)
        assert (message["e"], message["s"]) == ("depthUpdate", SYMBOL)
    finally:
        manager.stop()
        manager.join(PATIENCE_S)
