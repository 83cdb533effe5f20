"""binance-sdk-spot's streams and WebSocket API, with its models; user data by signature."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot

SYMBOL = "BTCUSDT"
PATIENCE_S = 30


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    warned = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert warned == [], "a message does not fit the client's strict models"


async def test_streams(ws_url: str, other: Any) -> None:
    client = Spot(config_ws_streams=ConfigurationWebSocketStreams(stream_url=ws_url)).websocket_streams
    await client.create_connection()
    firsts: list[asyncio.Future[Any]] = []
    try:
        for subscribe in (
            lambda: client.trade("btcusdt"),
            lambda: client.agg_trade("btcusdt"),
            lambda: client.kline("btcusdt", "1m"),
            lambda: client.mini_ticker("btcusdt"),
            lambda: client.ticker("btcusdt"),
            lambda: client.book_ticker("btcusdt"),
            lambda: client.diff_book_depth("btcusdt", update_speed="100ms"),
            lambda: client.partial_book_depth("btcusdt", "5", update_speed="100ms"),
            lambda: client.all_mini_ticker(),
        ):
            stream = await subscribe()
            first = asyncio.get_running_loop().create_future()
            stream.on("message", lambda message, first=first: first.done() or first.set_result(message))
            firsts.append(first)
        _, ask = await asyncio.to_thread(other.spread)
        await asyncio.to_thread(other.order, "BUY", "0.0002", str(ask), "IOC")
        assert all(await asyncio.wait_for(asyncio.gather(*firsts), PATIENCE_S))
        await stream.unsubscribe()
    finally:
        await client.close_connection(close_session=True)


@pytest.fixture
async def api(ws_url: str, keys: tuple[str, str]) -> AsyncIterator[Any]:
    client = Spot(
        config_ws_api=ConfigurationWebSocketAPI(*keys, stream_url=ws_url + "/ws-api/v3", timeout=20_000)
    ).websocket_api
    await client.create_connection()
    yield client
    await client.close_connection(close_session=True)


def result(answer: Any) -> Any:
    data = answer.data()
    data = getattr(data, "actual_instance", data)  # where the answer is one of several models
    return data["result"] if isinstance(data, dict) else data.result


async def test_public_calls_over_the_websocket_api(api: Any) -> None:
    await api.ping()
    assert result(await api.time()).server_time > 0
    # Its model of this answer has no `result`, so nothing of it can be read; the recorder has seen it.
    await api.exchange_info(symbol=SYMBOL)
    assert result(await api.depth(SYMBOL, limit=5)).bids
    assert result(await api.trades_recent(SYMBOL))
    assert result(await api.trades_historical(SYMBOL, from_id=1))
    assert result(await api.trades_aggregate(SYMBOL))
    assert result(await api.klines(SYMBOL, "1m", limit=2))
    assert result(await api.ui_klines(SYMBOL, "1m", limit=2))
    assert result(await api.avg_price(SYMBOL)).mins == 5
    for call in (api.ticker24hr, api.ticker, api.ticker_price, api.ticker_book, api.ticker_trading_day):
        assert result(await call(symbol=SYMBOL))


async def test_orders_and_user_data(api: Any, other: Any) -> None:
    """User data first: an event comes wrapped with the id of the subscription, which is 0 for the first."""
    events: asyncio.Queue[Any] = asyncio.Queue()
    subscribed = await api.user_data_stream_subscribe_signature()
    subscribed.stream.on("message", events.put_nowait)
    far = float(other.away(-20))
    limit = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "price": far}
    await api.order_test(**limit, quantity=0.01)
    order = result(await api.order_place(**limit, quantity=0.01))
    assert order.status == "NEW"
    assert result(await api.order_status(SYMBOL, order_id=order.order_id)).status == "NEW"
    assert len(result(await api.open_orders_status(symbol=SYMBOL))) == 1
    amended = result(await api.order_amend_keep_priority(SYMBOL, 0.009, order_id=order.order_id))
    assert amended.amended_order.qty == "0.00900000"
    replaced = result(
        await api.order_cancel_replace(
            **limit, cancel_replace_mode="STOP_ON_FAILURE", quantity=0.02, cancel_order_id=order.order_id
        )
    )
    again = replaced.new_order_response.order_id
    assert result(await api.order_cancel(SYMBOL, order_id=again)).status == "CANCELED"
    await api.order_place(**limit, quantity=0.01)
    assert len(result(await api.open_orders_cancel_all(SYMBOL))) == 1
    bought = result(await api.order_place(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.001))
    assert bought.status == "FILLED"
    above = float(other.away(20))
    oco = result(
        await api.order_list_place_oco(
            SYMBOL, "SELL", 0.01, "LIMIT_MAKER", "STOP_LOSS", above_price=above, below_stop_price=far
        )
    )
    assert result(await api.order_list_status(order_list_id=oco.order_list_id)).list_order_status == "EXECUTING"
    assert len(result(await api.open_order_lists_status())) == 1
    gone = result(await api.order_list_cancel(SYMBOL, order_list_id=oco.order_list_id))
    assert gone.list_order_status == "ALL_DONE"
    assert result(await api.all_order_lists())
    assert result(await api.all_orders(SYMBOL))
    assert result(await api.my_trades(SYMBOL))
    assert result(await api.my_prevented_matches(SYMBOL, order_id=order.order_id)) == []
    assert result(await api.my_allocations(SYMBOL)) == []
    assert result(await api.account_status()).account_type == "SPOT"
    assert result(await api.account_commission(SYMBOL)).symbol == SYMBOL
    assert max(row.count for row in result(await api.account_rate_limits_orders())) > 0
    assert result(await api.session_status()) is not None

    ended = False
    names = []
    while not ended:
        event = (await asyncio.wait_for(events.get(), PATIENCE_S)).actual_instance
        names.append(type(event).__name__)
        ended = names[-1] == "ListStatus" and event.L == "ALL_DONE"
    assert {"ExecutionReport", "OutboundAccountPosition", "ListStatus"} <= set(names)
    await subscribed.stream.unsubscribe()


async def test_session(ws_url: str, other: Any) -> None:
    """After session.logon with an Ed25519 key nothing is signed any more; user data by .subscribe."""
    key, pem = os.environ["ED25519_API_KEY"], os.environ["ED25519_PEM"]
    client = Spot(
        config_ws_api=ConfigurationWebSocketAPI(key, stream_url=ws_url + "/ws-api/v3", timeout=20_000, private_key=pem)
    ).websocket_api
    await client.create_connection()
    try:
        assert result(await client.session_logon()).api_key == key
        assert result(await client.session_status()).authorized_since is not None
        subscribed = await client.user_data_stream_subscribe()
        first = asyncio.get_running_loop().create_future()
        subscribed.stream.on("message", lambda message: first.done() or first.set_result(message))
        price = float(await asyncio.to_thread(other.away, -20))
        order = result(
            await client.order_place(
                symbol=SYMBOL, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=price
            )
        )
        assert (await asyncio.wait_for(first, PATIENCE_S)).actual_instance is not None
        assert result(await client.order_amendments(SYMBOL, order.order_id)) == []
        await client.my_filters(SYMBOL)  # as of exchangeInfo, its model of this answer has no `result`
        assert result(await client.session_subscriptions())
        assert result(await client.order_cancel(SYMBOL, order_id=order.order_id)).status == "CANCELED"
        assert result(await client.session_logout()).api_key is None
    finally:
        await client.close_connection(close_session=True)


async def test_errors(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is an answer with `error` in this client, beside a warning in its log."""
    refused = await api.order_cancel(SYMBOL, order_id=999_999_999)
    assert refused.data()["error"]["code"] == -2011
    assert "-2011" in caplog.text
    caplog.clear()
