"""ccxt, blocking and with asyncio: markets with plain defaults, public calls, all kinds, history, balances, errors."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import ccxt
import ccxt.async_support
import pytest

SYMBOL = "BTC/USDT"


def pointed(made: Any, base_url: str) -> Any:
    for name, url in made.urls["api"].items():
        if isinstance(url, str):
            made.urls["api"][name] = re.sub(r"^https://[^/]+", base_url, url)
    return made


@pytest.fixture(scope="module")
def bot(base_url: str, keys: tuple[str, str]) -> Any:
    made = pointed(ccxt.binance({"apiKey": keys[0], "secret": keys[1], "enableRateLimit": False}), base_url)
    made.load_markets()
    return made


@pytest.fixture(autouse=True)
def tidy(bot: Any) -> Iterator[None]:
    yield
    if bot.fetch_open_orders(SYMBOL):
        bot.cancel_all_orders(SYMBOL)


def test_markets(bot: Any, base_url: str) -> None:
    """With keys, as the fixture did, ccxt also asks for coins, margin pairs and futures; without them it does not."""
    market = bot.market(SYMBOL)
    assert (market["spot"], market["active"], market["margin"]) == (True, True, False)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (0.00001, 5.0)
    assert set(bot.currencies) >= {"BTC", "USDT", "ETH"}
    public = pointed(ccxt.binance(), base_url)
    assert set(public.load_markets()) == set(bot.markets)
    spot = pointed(ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}}), base_url)
    assert set(spot.load_markets()) == set(bot.markets)


def test_public_data(bot: Any) -> None:
    for limit in (5, 100, 1000, 5000):
        book = bot.fetch_order_book(SYMBOL, limit)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert book["nonce"] > 0
    ticker = bot.fetch_ticker(SYMBOL)
    assert (ticker["symbol"], ticker["bid"] < ticker["ask"]) == (SYMBOL, True)
    assert set(bot.fetch_tickers()) == set(bot.symbols)
    assert set(bot.fetch_tickers([SYMBOL, "ETH/USDT"])) == {SYMBOL, "ETH/USDT"}
    assert set(bot.fetch_bids_asks()) == set(bot.fetch_last_prices()) == set(bot.symbols)
    trades = bot.fetch_trades(SYMBOL, limit=10)
    assert [each["timestamp"] for each in trades] == sorted(each["timestamp"] for each in trades)
    assert bot.fetch_trades(SYMBOL, params={"fetchTradesMethod": "publicGetTrades"})
    assert bot.fetch_trades(SYMBOL, params={"fetchTradesMethod": "publicGetHistoricalTrades"})
    bars = bot.fetch_ohlcv(SYMBOL, "1m", limit=10)
    assert [each[0] for each in bars] == list(range(bars[0][0], bars[0][0] + 600_000, 60_000))
    assert len(bot.fetch_ohlcv(SYMBOL, "1h", since=bot.milliseconds() - 86_400_000)) in (24, 25)
    assert abs(bot.fetch_time() - time.time() * 1000) < 60_000
    assert bot.fetch_status()["status"] == "ok"
    assert bot.publicGetAvgPrice({"symbol": "BTCUSDT"})["mins"] == 5
    assert bot.publicGetTicker({"symbol": "BTCUSDT", "windowSize": "1h"})["symbol"] == "BTCUSDT"
    assert bot.publicGetUiKlines({"symbol": "BTCUSDT", "interval": "1m", "limit": 1})
    assert bot.publicGetTickerTradingDay({"symbol": "BTCUSDT"})["symbol"] == "BTCUSDT"


def test_resting_and_cancelled(bot: Any, other: Any) -> None:
    order = bot.create_order(SYMBOL, "limit", "buy", 0.01, float(other.away(-20)))
    assert (order["status"], order["filled"], order["clientOrderId"][:10]) == ("open", 0.0, "x-TKT5PX2F")
    assert bot.fetch_order(order["id"], SYMBOL)["status"] == "open"
    assert bot.fetch_order(None, SYMBOL, {"clientOrderId": order["clientOrderId"]})["id"] == order["id"]
    assert [each["id"] for each in bot.fetch_open_orders(SYMBOL)] == [order["id"]]
    edited = bot.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, float(other.away(-19)))
    assert (edited["status"], edited["amount"]) == ("open", 0.02)
    canceled = bot.cancel_order(edited["id"], SYMBOL)
    assert canceled["status"] == "canceled"
    assert edited["id"] in [each["id"] for each in bot.fetch_canceled_orders(SYMBOL)]
    for _ in range(2):
        bot.create_order(SYMBOL, "limit", "buy", 0.01, float(other.away(-20)))
    assert [each["status"] for each in bot.cancel_all_orders(SYMBOL)] == ["canceled", "canceled"]


def test_filled(bot: Any, other: Any) -> None:
    price = other.inside()
    order = bot.create_order(SYMBOL, "limit", "buy", 0.02, float(price), {"postOnly": True})
    other.order("SELL", "0.005", price, "IOC")
    part = bot.fetch_order(order["id"], SYMBOL)
    assert (part["status"], part["filled"], part["remaining"]) == ("open", 0.005, 0.015)
    (trade,) = bot.fetch_order_trades(order["id"], SYMBOL)
    assert (trade["takerOrMaker"], trade["side"], trade["price"]) == ("maker", "buy", float(price))
    assert trade["fee"] == {"currency": "BTC", "cost": 0.000005}
    bot.cancel_order(order["id"], SYMBOL)
    bought = bot.create_order(SYMBOL, "market", "buy", 0.002)
    assert (bought["status"], bought["filled"], bought["fees"][0]["currency"]) == ("closed", 0.002, "BTC")
    spent = bot.create_market_buy_order_with_cost(SYMBOL, 100)
    assert (spent["status"], spent["cost"] <= 100) == ("closed", True)
    sold = bot.create_order(SYMBOL, "market", "sell", 0.002)
    assert (sold["status"], sold["fees"][0]["currency"]) == ("closed", "USDT")
    assert {bought["id"], sold["id"]} <= {each["id"] for each in bot.fetch_closed_orders(SYMBOL)}
    assert {order["id"], bought["id"]} <= {each["id"] for each in bot.fetch_orders(SYMBOL)}
    assert {order["id"], bought["id"]} <= {each["order"] for each in bot.fetch_my_trades(SYMBOL)}
    since = bot.fetch_my_trades(SYMBOL, since=bought["timestamp"])
    assert all(each["timestamp"] >= bought["timestamp"] for each in since)
    balance = bot.fetch_balance()
    assert balance["BTC"]["total"] > 0
    assert balance["USDT"]["used"] == 0.0


@pytest.mark.parametrize(
    ("kind", "side", "price", "params", "shown"),
    [
        ("limit", "buy", -20, {"timeInForce": "IOC"}, ("LIMIT", "expired")),
        ("limit", "buy", -20, {"timeInForce": "FOK"}, ("LIMIT", "expired")),
        ("limit", "buy", -20, {"icebergQty": "0.001"}, ("LIMIT", "open")),
        ("limit", "sell", 20, {"postOnly": True}, ("LIMIT_MAKER", "open")),
        ("limit", "sell", -21, {"stopLossPrice": -20}, ("STOP_LOSS_LIMIT", "open")),
        ("limit", "sell", 21, {"takeProfitPrice": 20}, ("TAKE_PROFIT_LIMIT", "open")),
        ("market", "sell", None, {"stopLossPrice": -20}, ("STOP_LOSS", "open")),
        ("market", "sell", None, {"takeProfitPrice": 20}, ("TAKE_PROFIT", "open")),
        ("market", "sell", None, {"triggerPrice": -20}, ("STOP_LOSS", "open")),
        ("STOP_LOSS", "sell", None, {"trailingDelta": 1500}, ("STOP_LOSS", "open")),
    ],
)
def test_kinds(
    bot: Any, other: Any, kind: str, side: str, price: int | None, params: dict[str, Any], shown: tuple[str, str]
) -> None:
    """Prices are percents off the market."""
    sent = {name: float(other.away(value)) if name.endswith("Price") else value for name, value in params.items()}
    at = None if price is None else float(other.away(price))
    assert bot.create_order(SYMBOL, kind, side, 0.01, at, {**sent, "test": True})
    made = bot.create_order(SYMBOL, kind, side, 0.01, at, sent)
    order = bot.fetch_order(made["id"], SYMBOL)
    assert (order["info"]["type"], order["status"]) == shown


def test_account(bot: Any) -> None:
    fees = bot.fetch_trading_fees()
    assert (fees[SYMBOL]["maker"], fees[SYMBOL]["taker"]) == (0.001, 0.001)
    assert bot.fetch_trading_fee(SYMBOL)["taker"] == 0.001
    assert bot.privateGetAccountCommission({"symbol": "BTCUSDT"})["standardCommission"]["maker"] == "0.00100000"
    assert bot.privateGetRateLimitOrder()[0]["rateLimitType"] == "ORDERS"
    assert bot.privateGetMyPreventedMatches({"symbol": "BTCUSDT", "orderId": 1}) == []
    assert bot.sapiGetAccountApiRestrictions()["enableReading"] is True
    assert bot.sapiV3PostAssetGetUserAsset()


def test_lists(bot: Any, other: Any) -> None:
    """ccxt has no unified call for lists; these are its implicit ones."""
    oco = bot.privatePostOrderListOco(
        {
            "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER",
            "abovePrice": other.away(20), "belowType": "STOP_LOSS", "belowStopPrice": other.away(-20),
        }
    )  # fmt: skip
    assert oco["contingencyType"] == "OCO"
    assert [each["orderListId"] for each in bot.privateGetOpenOrderList()] == [oco["orderListId"]]
    gone = bot.privateDeleteOrderList({"symbol": "BTCUSDT", "orderListId": oco["orderListId"]})
    assert gone["listOrderStatus"] == "ALL_DONE"
    assert bot.privateGetAllOrderList()[-1]["orderListId"] == oco["orderListId"]


def test_errors(bot: Any, other: Any, base_url: str, keys: tuple[str, str]) -> None:
    far = float(other.away(-20))
    raises: tuple[tuple[type[Exception], Callable[[], Any]], ...] = (
        (ccxt.InsufficientFunds, lambda: bot.create_order(SYMBOL, "market", "sell", 90)),
        (ccxt.InsufficientFunds, lambda: bot.create_order(SYMBOL, "limit", "buy", 200, far)),
        (ccxt.OrderNotFound, lambda: bot.cancel_order("999999999", SYMBOL)),
        (ccxt.OrderNotFound, lambda: bot.cancel_all_orders(SYMBOL)),
        (ccxt.OrderNotFound, lambda: bot.fetch_order("999999999", SYMBOL)),
        (
            ccxt.OrderImmediatelyFillable,
            lambda: bot.create_order(SYMBOL, "limit", "sell", 0.01, far, {"postOnly": True}),
        ),
        (
            ccxt.OrderImmediatelyFillable,
            lambda: bot.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": float(other.away(20))}),
        ),
        (ccxt.InvalidOrder, lambda: bot.create_order(SYMBOL, "limit", "buy", 9001, far)),
        (ccxt.BadSymbol, lambda: bot.publicGetDepth({"symbol": "NOPE"})),
        (ccxt.BadRequest, lambda: bot.create_order(SYMBOL, "limit", "buy", 0.01, far, {"timeInForce": "DAY"})),
        (ccxt.InvalidNonce, lambda: bot.privateGetAccount({"timestamp": 1})),
    )  # fmt: skip
    for number, (kind, call) in enumerate(raises):
        with pytest.raises(ccxt.BaseError) as refused:
            call()
        assert type(refused.value) is kind, (number, refused.value)
    for key, secret in ((keys[0], "x" * 64), ("x" * 64, keys[1])):
        stranger = pointed(ccxt.binance({"apiKey": key, "secret": secret}), base_url)
        with pytest.raises(ccxt.AuthenticationError):
            stranger.privateGetAccount()


def test_public_key(base_url: str, private_key: tuple[str, str], other: Any) -> None:
    """Ed25519 and RSA: the private key takes the place of the secret."""
    signer = pointed(ccxt.binance({"apiKey": private_key[0], "secret": private_key[1]}), base_url)
    signer.load_markets()
    order = signer.create_order(SYMBOL, "limit", "buy", 0.01, float(other.away(-20)))
    assert signer.cancel_order(order["id"], SYMBOL)["status"] == "canceled"


async def test_asyncio(base_url: str, keys: tuple[str, str], other: Any) -> None:
    """The same calls over aiohttp."""
    bot = pointed(ccxt.async_support.binance({"apiKey": keys[0], "secret": keys[1]}), base_url)
    try:
        await bot.load_markets()
        order = await bot.create_order(SYMBOL, "limit", "buy", 0.01, float(other.away(-20)))
        assert [each["id"] for each in await bot.fetch_open_orders(SYMBOL)] == [order["id"]]
        assert (await bot.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
        assert (await bot.fetch_balance())["BTC"]["total"] > 0
        assert (await bot.fetch_ticker(SYMBOL))["symbol"] == SYMBOL
        assert await bot.fetch_my_trades(SYMBOL) is not None
        with pytest.raises(ccxt.InsufficientFunds):
            await bot.create_order(SYMBOL, "market", "sell", 90)
    finally:
        await bot.close()
