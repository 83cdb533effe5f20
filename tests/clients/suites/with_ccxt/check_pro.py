"""ccxt.pro: streams, user data and orders over the WebSocket API."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt.pro
import pytest

SYMBOL = "BTC/USDT"


def pointed(made: Any, base_url: str, ws_url: str) -> Any:
    for name, url in made.urls["api"].items():
        if isinstance(url, str):
            made.urls["api"][name] = re.sub(r"^https://[^/]+", base_url, url)
    made.urls["api"]["ws"]["spot"] = made.urls["api"]["ws"]["margin"] = ws_url + "/ws"
    made.urls["api"]["ws"]["ws-api"]["spot"] = ws_url + "/ws-api/v3"
    return made


@pytest.fixture
async def bot(base_url: str, ws_url: str, keys: tuple[str, str]) -> AsyncIterator[Any]:
    made = pointed(ccxt.pro.binance({"apiKey": keys[0], "secret": keys[1]}), base_url, ws_url)
    await made.load_markets()
    yield made
    await made.close()


async def while_trading(bot: Any, watch: Callable[[], Awaitable[Any]]) -> Any:
    """What `watch` sees while the account buys a little again and again, as a quiet market sends nothing."""
    task = asyncio.ensure_future(watch())
    while not task.done():
        await bot.create_order(SYMBOL, "market", "buy", 0.0002)
        await asyncio.wait([task], timeout=0.2)
    return await task


async def test_streams(bot: Any) -> None:
    trades = await while_trading(bot, lambda: bot.watch_trades(SYMBOL))
    assert trades[-1]["amount"] == 0.0002
    book = await while_trading(bot, lambda: bot.watch_order_book(SYMBOL))
    assert book["bids"][0][0] < book["asks"][0][0]
    assert book["nonce"] > 0
    ticker = await while_trading(bot, lambda: bot.watch_ticker(SYMBOL))
    assert ticker["last"] > 0
    tickers = await while_trading(bot, lambda: bot.watch_tickers([SYMBOL]))
    assert set(tickers) == {SYMBOL}
    best = await while_trading(bot, lambda: bot.watch_bids_asks([SYMBOL]))
    assert best[SYMBOL]["bid"] < best[SYMBOL]["ask"]
    bars = await while_trading(bot, lambda: bot.watch_ohlcv(SYMBOL, "1m"))
    assert bars[-1][4] > 0
    many = await while_trading(bot, lambda: bot.watch_order_book_for_symbols([SYMBOL, "ETH/USDT"]))
    assert many["symbol"] == SYMBOL
    await bot.un_watch_trades(SYMBOL)
    await bot.un_watch_order_book(SYMBOL)
    await bot.un_watch_ticker(SYMBOL)
    await bot.un_watch_ohlcv(SYMBOL, "1m")


async def test_user_data(bot: Any) -> None:
    orders = await while_trading(bot, lambda: bot.watch_orders(SYMBOL))
    assert orders[-1]["symbol"] == SYMBOL
    trades = await while_trading(bot, lambda: bot.watch_my_trades(SYMBOL))
    assert (trades[-1]["takerOrMaker"], trades[-1]["side"], trades[-1]["fee"]["currency"]) == ("taker", "buy", "BTC")
    balance = await while_trading(bot, bot.watch_balance)
    assert balance["BTC"]["total"] > 0


async def test_orders_over_the_websocket_api(bot: Any, other: Any) -> None:
    far = float(other.away(-20))
    order = await bot.create_order_ws(SYMBOL, "limit", "buy", 0.01, far)
    assert order["status"] == "open"
    assert (await bot.fetch_order_ws(order["id"], SYMBOL))["status"] == "open"
    assert [each["id"] for each in await bot.fetch_open_orders_ws(SYMBOL)] == [order["id"]]
    edited = await bot.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, float(other.away(-19)))
    assert edited["amount"] == 0.02
    assert (await bot.cancel_order_ws(edited["id"], SYMBOL))["status"] == "canceled"
    await bot.create_order_ws(SYMBOL, "limit", "buy", 0.01, far)
    assert len(await bot.cancel_all_orders_ws(SYMBOL)) == 1
    bought = await bot.create_order_ws(SYMBOL, "market", "buy", 0.001)
    assert bought["status"] == "closed"
    assert bought["id"] in [each["id"] for each in await bot.fetch_orders_ws(SYMBOL)]
    assert bought["id"] in [each["id"] for each in await bot.fetch_closed_orders_ws(SYMBOL)]
    assert bought["id"] in [each["order"] for each in await bot.fetch_my_trades_ws(SYMBOL)]
    assert (await bot.fetch_balance_ws())["info"]["accountType"] == "SPOT"


async def test_public_calls_over_the_websocket_api(bot: Any) -> None:
    assert await bot.fetch_ohlcv_ws(SYMBOL, "1m", limit=5)
    assert await bot.fetch_trades_ws(SYMBOL)


async def test_errors(bot: Any, other: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        await bot.create_order_ws(SYMBOL, "market", "sell", 90)
    with pytest.raises(ccxt.OrderNotFound):
        await bot.cancel_order_ws("999999999", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        await bot.fetch_order_ws("999999999", SYMBOL)
