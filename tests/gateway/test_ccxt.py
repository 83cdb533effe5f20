"""An existing bot library works by base URL only: ccxt, with its defaults and no patch."""

import re
import time
from typing import Any

import ccxt
import pytest

from apps.accounts.services.demo import DemoAccount
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until


def bot(exchange: Exchange, account: DemoAccount | None = None, **options: Any) -> Any:
    """As the bot page shows it: only the addresses change."""
    keys = {"apiKey": account.api_key, "secret": account.api_secret} if account else {}
    made = ccxt.binance({**keys, "enableRateLimit": False, **options})
    for name, url in made.urls["api"].items():
        if isinstance(url, str):
            made.urls["api"][name] = re.sub(r"^https://[^/]+", exchange.base_url, url)
    return made


@pytest.fixture
def trader(exchange: Exchange) -> Any:
    return bot(exchange, exchange.account(BTC="2", USDT="100000"))


def test_load_markets_with_keys_and_plain_defaults(trader: Any) -> None:
    """The defaults also ask for futures and margin pairs and for the coins' networks."""
    markets = trader.load_markets()
    assert set(markets) == {"BTC/USDT", "ETH/USDT", "ETH/BTC", "BNB/USDT", "LTC/USDT"}
    btc = markets["BTC/USDT"]
    assert (btc["spot"], btc["active"], btc["margin"]) == (True, True, False)
    assert (btc["precision"]["price"], btc["precision"]["amount"]) == (0.01, 0.00001)
    assert btc["limits"]["cost"]["min"] == 5.0
    assert set(trader.currencies) >= {"BTC", "USDT", "ETH"}


def test_trading(exchange: Exchange, trader: Any, bob: Client) -> None:
    trader.load_markets()
    order = trader.create_order("BTC/USDT", "limit", "buy", 0.1, 50000)
    assert (order["status"], order["filled"], order["remaining"]) == ("open", 0.0, 0.1)
    book = wait_until(lambda: (b := trader.fetch_order_book("BTC/USDT"))["bids"] and b)
    assert book["bids"][0][:2] == [50000.0, 0.1]
    bob.limit("SELL", "50000.00", "0.04")
    fetched = trader.fetch_order(order["id"], "BTC/USDT")
    assert (fetched["status"], fetched["filled"], fetched["cost"]) == ("open", 0.04, 2000.0)
    assert [each["id"] for each in trader.fetch_open_orders("BTC/USDT")] == [order["id"]]
    canceled = trader.cancel_order(order["id"], "BTC/USDT")
    assert (canceled["status"], canceled["filled"]) == ("canceled", 0.04)

    bob.limit("SELL", "50010.00", "0.5")
    bought = trader.create_order("BTC/USDT", "market", "buy", 0.2)
    assert (bought["status"], bought["filled"], bought["average"]) == ("closed", 0.2, 50010.0)
    spent = trader.create_order("BTC/USDT", "market", "buy", None, None, {"quoteOrderQty": 5001})
    assert (spent["status"], spent["filled"]) == ("closed", 0.1)
    bob.limit("BUY", "49000.00", "1")
    sold = trader.create_order("BTC/USDT", "market", "sell", 0.5)
    assert (sold["status"], sold["average"], sold["fees"][0]["currency"]) == ("closed", 49000.0, "USDT")

    trades = trader.fetch_my_trades("BTC/USDT")
    assert [(trade["side"], trade["takerOrMaker"], trade["amount"]) for trade in trades] == [
        ("buy", "maker", 0.04), ("buy", "taker", 0.2), ("buy", "taker", 0.1), ("sell", "taker", 0.5),
    ]  # fmt: skip
    assert trades[0]["fee"] == {"currency": "BTC", "cost": 0.00004}
    balance = trader.fetch_balance()
    assert balance["BTC"]["total"] == pytest.approx(2 + 0.34 * 0.999 - 0.5)
    assert balance["USDT"]["used"] == 0.0
    assert [each["status"] for each in trader.fetch_orders("BTC/USDT")] == ["canceled", "closed", "closed", "closed"]


def test_public_data(exchange: Exchange, trader: Any, bob: Client) -> None:
    public = bot(exchange)
    public.load_markets()
    bob.limit("SELL", "50000.00", "0.5")
    trader.create_order("BTC/USDT", "market", "buy", 0.1)
    ticker = wait_until(lambda: (t := public.fetch_ticker("BTC/USDT"))["last"] == 50000.0 and t)
    assert ticker["ask"] == 50000.0
    assert set(public.fetch_tickers()) == set(public.symbols)
    assert public.fetch_trades("BTC/USDT")[-1]["amount"] == 0.1
    wait_until(lambda: public.fetch_ohlcv("BTC/USDT", "1m")[-1][4] == 50000.0)
    assert abs(public.fetch_time() - time.time() * 1000) < 60_000
    assert public.fetch_status()["status"] == "ok"
    assert set(public.fetch_bids_asks()) == set(public.symbols)
    assert set(public.fetch_last_prices()) == set(public.symbols)


def test_every_kind(exchange: Exchange, trader: Any) -> None:
    """Post-only, immediate, icebergs, and an edit, which is a cancel-replace."""
    trader.load_markets()
    resting = trader.create_order("BTC/USDT", "limit", "buy", 0.1, 40000, {"postOnly": True})
    shown = trader.fetch_order(resting["id"], "BTC/USDT")
    assert (shown["type"], shown["postOnly"], shown["status"]) == ("limit", True, "open")
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        trader.create_order("BTC/USDT", "limit", "sell", 0.1, 40000, {"postOnly": True})
    for time_in_force in ("IOC", "FOK"):
        ended = trader.create_order("BTC/USDT", "limit", "buy", 0.1, 39000, {"timeInForce": time_in_force})
        assert (ended["status"], ended["timeInForce"], ended["filled"]) == ("expired", time_in_force, 0)
    iceberg = trader.create_order("BTC/USDT", "limit", "buy", 1, 40000, {"icebergQty": "0.1"})
    assert iceberg["info"]["icebergQty"] == "0.10000000"
    edited = trader.edit_order(iceberg["id"], "BTC/USDT", "limit", "buy", 0.5, 41000)
    assert (edited["status"], edited["amount"], edited["price"]) == ("open", 0.5, 41000)
    assert {order["id"] for order in trader.fetch_open_orders("BTC/USDT")} == {resting["id"], edited["id"]}
    trader.cancel_all_orders("BTC/USDT")


def test_stop_orders(trader: Any) -> None:
    """By ccxt's unified names, which become the dialect's types, and by these themselves."""
    trader.load_markets()
    stop = trader.create_order("BTC/USDT", "limit", "sell", 0.1, 20000, {"stopLossPrice": 20100})
    shown = trader.fetch_order(stop["id"], "BTC/USDT")
    assert (shown["status"], shown["stopPrice"], shown["info"]["type"]) == ("open", 20100, "STOP_LOSS_LIMIT")
    profit = trader.create_order("BTC/USDT", "market", "sell", 0.1, None, {"takeProfitPrice": 240000})
    trailing = trader.create_order("BTC/USDT", "STOP_LOSS", "sell", 0.1, None, {"trailingDelta": 1500})
    assert {order["id"] for order in trader.fetch_open_orders("BTC/USDT")} == {
        stop["id"], profit["id"], trailing["id"],
    }  # fmt: skip
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        trader.create_order("BTC/USDT", "limit", "sell", 0.1, 20000, {"stopLossPrice": 240000})
    trader.cancel_all_orders("BTC/USDT")


def test_errors_become_the_right_exceptions(exchange: Exchange, trader: Any) -> None:
    trader.load_markets()
    with pytest.raises(ccxt.InsufficientFunds):
        trader.create_order("BTC/USDT", "market", "sell", 50)
    with pytest.raises(ccxt.InsufficientFunds):
        trader.create_order("BTC/USDT", "limit", "buy", 50, 50000)
    with pytest.raises(ccxt.OrderNotFound):
        trader.cancel_order("999999999", "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        trader.fetch_order("999999999", "BTC/USDT")
    with pytest.raises(ccxt.InvalidOrder):
        trader.create_order("BTC/USDT", "limit", "buy", 9001, 50000)
    with pytest.raises(ccxt.BadSymbol):
        trader.publicGetDepth({"symbol": "NOPE"})
    with pytest.raises(ccxt.BadRequest, match=r"Supported here: GTC"):
        trader.create_order("BTC/USDT", "limit", "buy", 0.1, 50000, {"timeInForce": "DAY"})
    wrong = bot(exchange, trader_account(exchange), secret="x" * 64)
    with pytest.raises(ccxt.AuthenticationError):
        wrong.fetch_balance()
    unknown = bot(exchange, None, apiKey="x" * 64, secret="x" * 64)
    with pytest.raises(ccxt.AuthenticationError):
        unknown.fetch_balance()


def trader_account(exchange: Exchange) -> DemoAccount:
    return exchange.account(USDT="1")
