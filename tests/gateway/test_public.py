"""Public market data over REST: shapes, types, padding, and content that is right."""

import re
import time
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until

DECIMAL = re.compile(r"-?\d+\.\d{8}")
LONG_AGO = 1_600_000_000_000


def depth(client: Client, symbol: str = "BTCUSDT", limit: int = 5) -> Any:
    return client.get("/api/v3/depth", symbol=symbol, limit=limit).json()


def wait_for_trades(client: Client, number: int, symbol: str = "BTCUSDT") -> None:
    wait_until(lambda: client.get("/api/v3/aggTrades", symbol=symbol).json()[-1:] and client.get(
        "/api/v3/trades", symbol=symbol).json()[-1]["id"] >= number)  # fmt: skip


@pytest.fixture
def traded(exchange: Exchange, alice: Client, bob: Client) -> int:
    """Two prints of one taker order at two prices, and a book around them; the last trade's id."""
    alice.limit("SELL", "50000.00", "0.1")
    alice.limit("SELL", "50100.00", "0.2")
    alice.limit("BUY", "49000.00", "0.5")
    fills = bob.market("BUY", quantity="0.2")["fills"]
    wait_for_trades(alice, fills[-1]["tradeId"])
    exchange.wait_settled()
    return int(fills[-1]["tradeId"])


def test_depth_is_the_book(alice: Client, bob: Client, public: Client, traded: int) -> None:
    shown = wait_until(lambda: (d := depth(public))["asks"] == [["50100.00000000", "0.10000000"]] and d)
    assert shown["bids"] == [["49000.00000000", "0.50000000"]]
    alice.limit("BUY", "48999.99", "0.4")
    later = wait_until(lambda: (d := depth(public, limit=1))["lastUpdateId"] > shown["lastUpdateId"] and d)
    assert later["bids"] == [["49000.00000000", "0.50000000"]]
    assert len(depth(public, limit=10_000)["bids"]) == 2


def test_trades_and_aggregates(public: Client, traded: int) -> None:
    shown = public.get("/api/v3/trades", symbol="BTCUSDT", limit=2).json()
    assert [(row["id"], row["price"], row["qty"], row["quoteQty"], row["isBuyerMaker"]) for row in shown] == [
        (traded - 1, "50000.00000000", "0.10000000", "5000.00000000", False),
        (traded, "50100.00000000", "0.10000000", "5010.00000000", False),
    ]
    newest = public.get("/api/v3/aggTrades", symbol="BTCUSDT", limit=2).json()
    assert [(row["p"], row["q"], row["f"], row["l"], row["m"], row["M"]) for row in newest] == [
        ("50000.00000000", "0.10000000", traded - 1, traded - 1, False, True),
        ("50100.00000000", "0.10000000", traded, traded, False, True),
    ]


def test_older_aggregates_from_postgresql(public: Client, traded: int) -> None:
    path, newest = "/api/v3/aggTrades", public.get("/api/v3/aggTrades", symbol="BTCUSDT", limit=2).json()
    assert public.get(path, symbol="BTCUSDT", fromId=newest[0]["a"]).json() == newest
    everything = public.get(path, symbol="BTCUSDT", startTime=LONG_AGO).json()
    assert everything[-2:] == newest
    assert [row["a"] for row in everything] == sorted(row["a"] for row in everything)
    assert public.get(path, symbol="BTCUSDT", endTime=newest[1]["T"], limit=2).json() == newest
    assert public.get(path, symbol="BTCUSDT", startTime=LONG_AGO, limit=1).json() == everything[:1]
    assert public.get(path, symbol="BTCUSDT", startTime=newest[1]["T"] + 1).json() == []


def test_klines(public: Client, traded: int) -> None:
    bars = wait_until(
        lambda: (
            (b := public.get("/api/v3/klines", symbol="BTCUSDT", interval="1m").json())
            and b[-1][4] == "50100.00000000"
            and b
        )
    )
    for bar in bars:
        assert [type(value) for value in bar] == [int, str, str, str, str, str, int, str, int, str, str, str]
        assert bar[6] - bar[0] == 59_999
        assert bar[11] == "0"
        assert all(DECIMAL.fullmatch(value) for value in [*bar[1:6], bar[7], *bar[9:11]])
    assert [bar[0] for bar in bars] == list(range(bars[0][0], bars[-1][0] + 1, 60_000))
    first = public.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=0, limit=1).json()
    assert [bar[0] for bar in first] == [bars[0][0]]
    newest = {"symbol": "BTCUSDT", "interval": "1m", "limit": 1}
    # A minute may begin between the two.
    wait_until(lambda: public.get("/api/v3/uiKlines", **newest).json() == public.get("/api/v3/klines", **newest).json())
    seconds = public.get("/api/v3/klines", symbol="BTCUSDT", interval="1s", limit=5).json()
    assert [bar[0] for bar in seconds] == list(range(seconds[0][0], seconds[0][0] + 1000 * len(seconds), 1000))
    assert public.get("/api/v3/klines", symbol="BTCUSDT", interval="1M").json()[-1][4] == "50100.00000000"
    for far_ms in (253_400_000_000_000, 300_000_000_000_000):
        assert public.get("/api/v3/klines", symbol="BTCUSDT", interval="1M", startTime=far_ms * 1000).json() == []
        zoned = {"symbol": "BTCUSDT", "interval": "1M", "timeZone": "-12:00", "startTime": far_ms * 1000}
        assert public.get("/api/v3/uiKlines", **zoned).json() == []
    refused = public.get("/api/v3/klines", symbol="BTCUSDT", interval="7m")
    assert (refused.status_code, refused.json()) == (400, {"code": -1120, "msg": "Invalid interval."})
    # No bars before the first trade; whether there was one depends on the tests before this.
    has_traded = bool(public.get("/api/v3/trades", symbol="LTCUSDT").json())
    assert bool(public.get("/api/v3/klines", symbol="LTCUSDT", interval="1m").json()) is has_traded
    assert public.get("/api/v3/klines", symbol="LTCUSDT", interval="1m", endTime=LONG_AGO).json() == []


def test_tickers(public: Client, traded: int) -> None:
    ticker = wait_until(
        lambda: (t := public.get("/api/v3/ticker/24hr", symbol="BTCUSDT").json())["lastId"] == traded and t
    )
    assert list(ticker) == [
        "symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty",
        "bidPrice", "bidQty", "askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume",
        "openTime", "closeTime", "firstId", "lastId", "count",
    ]  # fmt: skip
    assert (ticker["lastPrice"], ticker["bidPrice"], ticker["askPrice"]) == (
        "50100.00000000", "49000.00000000", "50100.00000000",
    )  # fmt: skip
    quotient = Decimal(ticker["quoteVolume"]) / Decimal(ticker["volume"])
    assert abs(Decimal(ticker["weightedAvgPrice"]) - quotient) < Decimal("0.00000001")
    assert re.fullmatch(r"-?\d+\.\d{3}", ticker["priceChangePercent"])
    everything = public.get("/api/v3/ticker/24hr").json()
    assert {row["symbol"] for row in everything} == {"BTCUSDT", "ETHUSDT", "ETHBTC", "BNBUSDT", "LTCUSDT"}
    two = public.raw("GET", '/api/v3/ticker/24hr?symbols=["BTCUSDT","LTCUSDT"]&type=MINI').json()
    assert [row["symbol"] for row in two] == ["BTCUSDT", "LTCUSDT"]
    assert "bidPrice" not in two[0]
    assert public.get("/api/v3/ticker/price", symbol="BTCUSDT").json() == {
        "symbol": "BTCUSDT", "price": "50100.00000000",
    }  # fmt: skip
    assert len(public.get("/api/v3/ticker/price").json()) == 5
    assert public.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT").json() == {
        "symbol": "BTCUSDT", "bidPrice": "49000.00000000", "bidQty": "0.50000000", "askPrice": "50100.00000000",
        "askQty": "0.10000000",
    }  # fmt: skip
    average = public.get("/api/v3/avgPrice", symbol="BTCUSDT").json()
    assert average["mins"] == 5
    assert DECIMAL.fullmatch(average["price"])


def test_symbol_and_symbols_together(public: Client) -> None:
    for path in ("/api/v3/exchangeInfo", "/api/v3/ticker/24hr", "/api/v3/ticker/price"):
        answer = public.raw("GET", f'{path}?symbol=BTCUSDT&symbols=["BTCUSDT"]')
        assert answer.json()["code"] == -1106
        for bad in ("[]", "BTCUSDT", '["btcusdt"]', '["BTCUSDT","BTCUSDT"]', "[1]", '["BTCUSDT"', "[" * 5000):
            assert public.raw("GET", f"{path}?symbols={bad}").json()["code"] in (-1100, -1130, -1151), bad
        assert public.raw("GET", f'{path}?symbols=["NOPE"]').json() == {"code": -1121, "msg": "Invalid symbol."}


def test_exchange_info(public: Client) -> None:
    info = public.get("/api/v3/exchangeInfo").json()
    assert info["timezone"] == "UTC"
    assert abs(info["serverTime"] - time.time() * 1000) < 60_000
    assert len(info["symbols"]) == 5
    [btc] = public.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"]
    assert btc in info["symbols"]
    assert (btc["status"], btc["baseAsset"], btc["quoteAsset"], btc["orderTypes"], btc["permissionSets"]) == (
        "TRADING", "BTC", "USDT", [
            "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
        ], [["SPOT"]],
    )  # fmt: skip
    filters = {each["filterType"]: each for each in btc["filters"]}
    assert filters["PRICE_FILTER"] == {
        "filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
        "tickSize": "0.01000000",
    }  # fmt: skip
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert filters["PERCENT_PRICE_BY_SIDE"]["bidMultiplierDown"] == "0.2000"
    assert filters["ICEBERG_PARTS"] == {"filterType": "ICEBERG_PARTS", "limit": 100}
    assert btc["icebergAllowed"] is btc["cancelReplaceAllowed"] is btc["amendAllowed"] is True
    assert (btc["defaultSelfTradePreventionMode"], btc["allowedSelfTradePreventionModes"]) == (
        "EXPIRE_TAKER", ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    )  # fmt: skip
    assert filters["MAX_NUM_ORDERS"] == {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200}
    assert filters["MAX_NUM_ORDER_AMENDS"] == {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10}


def test_ping_time_and_drop_in_answers(public: Client) -> None:
    assert public.get("/api/v3/ping").json() == {}
    assert abs(public.get("/api/v3/time").json()["serverTime"] - time.time() * 1000) < 60_000
    assert public.get("/sapi/v1/system/status").json() == {"status": 0, "msg": "normal"}
    assert public.get("/fapi/v1/exchangeInfo").json() == public.get("/dapi/v1/exchangeInfo").json() == {"symbols": []}
    for path in ("/sapi/v1/margin/allPairs", "/sapi/v1/margin/isolated/allPairs"):
        assert public.get(path).json() == []


def test_capital_config(alice: Client) -> None:
    coins = alice.ok("GET", "/sapi/v1/capital/config/getall")
    [btc] = [coin for coin in coins if coin["coin"] == "BTC"]
    assert (btc["free"], btc["locked"], btc["networkList"], btc["isLegalMoney"]) == (
        "10.00000000", "0.00000000", [], False,
    )  # fmt: skip
