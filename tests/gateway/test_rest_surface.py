"""Endpoints that clients ask for beside trading: shapes as the dialect has them, content that is right."""

import time
from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.models import ApiKey
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until

GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
NO_DISCOUNT = {
    "enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.00000000",
}  # fmt: skip
ZERO = {"maker": "0.00000000", "taker": "0.00000000"}
DAY = 86_400_000


@pytest.fixture
def traded(exchange: Exchange, alice: Client, bob: Client) -> list[int]:
    """The ids of two prints, at 50000 and 50100."""
    alice.limit("SELL", "50000.00", "0.1")
    alice.limit("SELL", "50100.00", "0.2")
    ids = [fill["tradeId"] for fill in bob.market("BUY", quantity="0.2")["fills"]]
    wait_until(lambda: [row["id"] for row in alice.get("/api/v3/trades", symbol="BTCUSDT", limit=2).json()] == ids)
    exchange.wait_settled()
    return ids


def test_historical_trades(public: Client, traded: list[int]) -> None:
    path, newest = "/api/v3/historicalTrades", public.get("/api/v3/trades", symbol="BTCUSDT", limit=2).json()
    assert [row["id"] for row in newest] == traded
    assert public.get(path, symbol="BTCUSDT", limit=2).json() == newest
    assert public.get(path, symbol="BTCUSDT", fromId=traded[0]).json() == newest
    assert public.get(path, symbol="BTCUSDT", fromId=traded[0], limit=1).json() == newest[:1]
    assert public.get(path, symbol="BTCUSDT", fromId=traded[1] + 1).json() == []
    first = public.get(path, symbol="BTCUSDT", fromId=0, limit=1000).json()
    assert [row["id"] for row in first] == list(range(first[0]["id"], first[0]["id"] + len(first)))
    assert public.get(path, symbol="NOPE").json()["code"] == -1121


def test_window_tickers(public: Client, traded: list[int]) -> None:
    def of(path: str, **params: Any) -> Any:
        return public.get(path, symbol="BTCUSDT", **params).json()

    ticker = wait_until(lambda: (t := of("/api/v3/ticker", windowSize="1h"))["lastId"] == traded[-1] and t)
    assert list(ticker) == [
        "symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "openPrice", "highPrice", "lowPrice",
        "lastPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count",
    ]  # fmt: skip
    assert ticker["openTime"] % 60_000 == 0
    assert 3_600_000 <= ticker["closeTime"] - ticker["openTime"] < 3_660_000
    assert ticker["lastPrice"] == "50100.00000000"
    assert Decimal(ticker["priceChange"]) == Decimal(ticker["lastPrice"]) - Decimal(ticker["openPrice"])
    # The same prints as the trades say that memory has, within the last hour.
    prints = [
        row for row in public.get("/api/v3/trades", symbol="BTCUSDT", limit=1000).json()
        if row["time"] >= ticker["openTime"]
    ]  # fmt: skip
    assert (ticker["firstId"], ticker["count"]) == (prints[0]["id"], len(prints))
    assert Decimal(ticker["volume"]) == sum(Decimal(row["qty"]) for row in prints)
    assert Decimal(ticker["quoteVolume"]) == sum(Decimal(row["quoteQty"]) for row in prints)
    assert Decimal(ticker["highPrice"]) == max(Decimal(row["price"]) for row in prints)
    assert Decimal(ticker["lowPrice"]) == min(Decimal(row["price"]) for row in prints)
    mini = of("/api/v3/ticker", type="MINI")
    assert "priceChange" not in mini
    assert list(mini) == [
        name for name in ticker if name not in ("priceChange", "priceChangePercent", "weightedAvgPrice")
    ]
    day = of("/api/v3/ticker/tradingDay")
    assert (day["openTime"] % DAY, day["closeTime"] - day["openTime"], list(day)) == (0, DAY - 1, list(ticker))


def test_window_tickers_without_trades_and_their_weights(public: Client) -> None:
    quiet = public.get("/api/v3/ticker", symbol="BNBUSDT", windowSize="1m").json()
    assert (quiet["count"], quiet["firstId"], quiet["volume"], quiet["priceChangePercent"]) == (
        0, -1, "0.00000000", "0.000",
    )  # fmt: skip
    assert quiet["lastPrice"] == public.get("/api/v3/ticker/price", symbol="BNBUSDT").json()["price"]

    def used() -> int:
        return int(public.get("/api/v3/ping").headers["x-mbx-used-weight-1m"])

    if time.time() % 60 > 50:
        time.sleep(60 - time.time() % 60)
    before = used()
    two = public.raw("GET", '/api/v3/ticker/tradingDay?symbols=["BTCUSDT","LTCUSDT"]&timeZone=0')
    assert ([row["symbol"] for row in two.json()], used() - before) == (["BTCUSDT", "LTCUSDT"], 9)
    for path in ("/api/v3/ticker", "/api/v3/ticker/tradingDay"):
        assert public.get(path).json()["code"] == -1102
        assert public.get(path, symbol="NOPE").json()["code"] == -1121
    for size in ("0m", "60m", "24h", "8d", "1d2h", "1", "1M"):
        assert public.get("/api/v3/ticker", symbol="BTCUSDT", windowSize=size).json()["code"] == -1130, size


def test_commission(alice: Client) -> None:
    [fee] = alice.ok("GET", "/sapi/v1/asset/tradeFee", symbol="BTCUSDT")
    assert list(fee) == ["symbol", "makerCommission", "takerCommission"]
    rates = {"maker": fee["makerCommission"], "taker": fee["takerCommission"]}
    assert Decimal(rates["taker"]) > 0
    none = {**ZERO, "buyer": "0.00000000", "seller": "0.00000000"}
    assert alice.ok("GET", "/api/v3/account/commission", symbol="BTCUSDT") == {
        "symbol": "BTCUSDT", "standardCommission": {**none, **rates}, "specialCommission": none, "taxCommission": none,
        "discount": NO_DISCOUNT,
    }  # fmt: skip
    assert alice.ok("POST", "/api/v3/order/test", **GOOD) == {}
    assert alice.ok("POST", "/api/v3/order/test", **GOOD, computeCommissionRates="true") == {
        "standardCommissionForOrder": rates, "specialCommissionForOrder": ZERO, "taxCommissionForOrder": ZERO,
        "discount": NO_DISCOUNT,
    }  # fmt: skip
    assert alice.refused("POST", "/api/v3/order/test", **{**GOOD, "price": "40000.001"}, computeCommissionRates="true")[
        1
    ] in (-1013, -1111)
    assert alice.ok("GET", "/api/v3/openOrders") == []
    assert {row["symbol"] for row in alice.ok("GET", "/sapi/v1/asset/tradeFee")} == {
        "BTCUSDT", "ETHUSDT", "ETHBTC", "BNBUSDT", "LTCUSDT",
    }  # fmt: skip
    for path in ("/sapi/v1/asset/tradeFee", "/api/v3/account/commission"):
        assert alice.refused("GET", path, symbol="NOPE") == (400, -1121, "Invalid symbol.")


def test_user_assets(alice: Client) -> None:
    alice.limit("SELL", "60000.00", "1")
    rows = {row["asset"]: row for row in alice.ok("POST", "/sapi/v3/asset/getUserAsset")}
    assert set(rows) == {"BTC", "ETH", "USDT"}
    assert rows["BTC"] == {
        "asset": "BTC", "free": "9.00000000", "locked": "1.00000000", "freeze": "0.00000000",
        "withdrawing": "0.00000000", "ipoable": "0.00000000", "btcValuation": "0.00000000",
    }  # fmt: skip
    [bnb] = alice.ok("POST", "/sapi/v3/asset/getUserAsset", asset="BNB")
    assert (bnb["free"], bnb["locked"]) == ("0.00000000", "0.00000000")
    valued = {row["asset"]: row for row in alice.ok("POST", "/sapi/v3/asset/getUserAsset", needBtcValuation="true")}
    prices = {row["symbol"]: Decimal(row["price"]) for row in alice.get("/api/v3/ticker/price").json()}
    for asset, value in (
        ("BTC", Decimal(10)),
        ("ETH", 100 * prices["ETHBTC"]),
        ("USDT", 1_000_000 / prices["BTCUSDT"]),
    ):
        assert abs(Decimal(valued[asset]["btcValuation"]) - value) <= Decimal("0.00000001"), asset


def test_an_asset_without_a_bitcoin_market_is_valued_through_another(exchange: Exchange) -> None:
    with Client(exchange.base_url, exchange.account(LTC="7")) as client:
        [row] = client.ok("POST", "/sapi/v3/asset/getUserAsset", asset="LTC", needBtcValuation="true")
        prices = {row["symbol"]: Decimal(row["price"]) for row in client.get("/api/v3/ticker/price").json()}
        value = 7 * prices["LTCUSDT"] / prices["BTCUSDT"]
        assert abs(Decimal(row["btcValuation"]) - value) <= Decimal("0.00000001")


def test_what_the_key_may_do(alice: Client) -> None:
    rights = alice.ok("GET", "/sapi/v1/account/apiRestrictions")
    made = ApiKey.objects.get(public_key=alice.me.api_key).created_at
    assert rights == {
        "ipRestrict": False, "createTime": int(made.timestamp() * 1000), "enableReading": True,
        "enableWithdrawals": False, "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
        "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enableFixApiTrade": False,
        "enableFixReadOnly": False, "enableSpotAndMarginTrading": True, "enablePortfolioMarginTrading": False,
    }  # fmt: skip
    assert alice.ok("GET", "/sapi/v1/account/status") == {"data": "Normal"}


def test_what_there_is_none_of(alice: Client, public: Client) -> None:
    assert alice.ok("GET", "/api/v3/myAllocations", symbol="BTCUSDT", limit=5) == []
    assert alice.refused("GET", "/api/v3/myAllocations", symbol="NOPE")[1] == -1121
    assert public.get("/sapi/v1/spot/delist-schedule").json() == []
    for path in ("/sapi/v1/asset/tradeFee", "/sapi/v1/account/status", "/sapi/v1/account/apiRestrictions"):
        assert public.get(path).json()["code"] == -2014
