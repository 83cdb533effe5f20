"""Parameters that choose among markets, zones and what happens beyond the order limit."""

import json
import time
from typing import Any

import pytest

from apps.gateway.limits.tiers import STANDARD, Tier
from apps.markets.services import MarketAction, set_market_state
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket

DAY = 86_400_000
HOUR = 3_600_000
TICKERS = ("/api/v3/ticker/24hr", "/api/v3/ticker/price", "/api/v3/ticker/bookTicker")
WINDOWS = ("/api/v3/ticker", "/api/v3/ticker/tradingDay")
REPLACE = "/api/v3/order/cancelReplace"
FEW = Tier(
    weight_per_minute=10**6, wallet_weight_per_minute=10**6, requests_per_5_minutes=10**6, orders_per_10_s=1,
    orders_per_day=1,
)  # fmt: skip


def test_symbol_status(exchange: Exchange, public: Client) -> None:
    def state(action: MarketAction) -> None:
        set_market_state(symbol="LTCUSDT", action=action, reason="test", requested_by="test")
        exchange.wait_settled()

    two = json.dumps(["BTCUSDT", "LTCUSDT"], separators=(",", ":"))
    state(MarketAction.HALT)
    try:
        wait_until(
            lambda: public.get("/api/v3/exchangeInfo", symbol="LTCUSDT").json()["symbols"][0]["status"] == "HALT"
        )
        for path in (*TICKERS, *WINDOWS):
            assert public.get(path, symbol="LTCUSDT", symbolStatus="HALT").json()["symbol"] == "LTCUSDT"
            answer = public.get(path, symbol="LTCUSDT", symbolStatus="TRADING")
            assert (answer.status_code, answer.json()) == (
                400, {"code": -1220, "msg": "The symbol's status does not match the requested symbolStatus."},
            )  # fmt: skip
            for status, expected in (("TRADING", ["BTCUSDT"]), ("HALT", ["LTCUSDT"]), ("BREAK", [])):
                rows = public.get(path, symbols=two, symbolStatus=status).json()
                assert [row["symbol"] for row in rows] == expected, (path, status)
            assert public.get(path, symbol="BTCUSDT", symbolStatus="trading").json() == {
                "code": -1122, "msg": "Invalid symbolStatus.",
            }  # fmt: skip
        for path in TICKERS:
            assert [row["symbol"] for row in public.get(path, symbolStatus="HALT").json()] == ["LTCUSDT"]
            assert len(public.get(path, symbolStatus="TRADING").json()) == 4
        assert public.get("/api/v3/depth", symbol="LTCUSDT", symbolStatus="HALT").status_code == 200
        assert public.get("/api/v3/depth", symbol="LTCUSDT", symbolStatus="TRADING").json()["code"] == -1220

        info = "/api/v3/exchangeInfo"
        assert [row["symbol"] for row in public.get(info, symbolStatus="HALT").json()["symbols"]] == ["LTCUSDT"]
        assert public.get(info, symbolStatus="BREAK").json()["symbols"] == []
        assert public.get(info, symbolStatus="BREAK", symbol="LTCUSDT").json() == {
            "code": -1128, "msg": "Combination of optional parameters invalid.",
        }  # fmt: skip
    finally:
        state(MarketAction.OPEN)


def test_permissions_of_exchange_info(public: Client) -> None:
    def symbols(permissions: str) -> int:
        return len(public.get("/api/v3/exchangeInfo", permissions=permissions).json()["symbols"])

    assert symbols("SPOT") == symbols('["SPOT","MARGIN"]') == symbols('["LEVERAGED","SPOT"]') == 5
    assert symbols("MARGIN") == symbols('["TRD_GRP_002"]') == 0
    for bad in ("NOPE", "[]", '["SPOT",1]', "[", '["SPOT"', '["spot"]', "[" * 2000):
        assert public.get("/api/v3/exchangeInfo", permissions=bad).json()["code"] in (-1100, -1130), bad
    assert public.get("/api/v3/exchangeInfo", permissions="SPOT", symbol="BTCUSDT").json()["code"] == -1128


def test_weights_and_codes_of_tickers(public: Client) -> None:
    def weight(**params: Any) -> int:
        if time.time() % 60 > 50:
            time.sleep(60 - time.time() % 60)
        before = int(public.get("/api/v3/ping").headers["x-mbx-used-weight-1m"])
        return int(public.get("/api/v3/ticker/24hr", **params).headers["x-mbx-used-weight-1m"]) - before

    two = '["BTCUSDT","LTCUSDT"]'
    assert (weight(symbol="BTCUSDT"), weight(symbols=two), weight()) == (2, 2, 80)
    for path in ("/api/v3/ticker/24hr", *WINDOWS):
        assert public.get(path, symbol="BTCUSDT", type="SMALL").json() == {
            "code": -1139, "msg": "Invalid ticker type.",
        }  # fmt: skip
    assert public.get("/api/v3/ticker/price", symbols='["BTCUSDT","BTCUSDT"]').json() == {
        "code": -1151, "msg": "Symbol is present multiple times in the list.",
    }  # fmt: skip


def test_bars_and_days_of_a_time_zone(exchange: Exchange, public: Client, alice: Client, bob: Client) -> None:
    alice.limit("SELL", "50000.00", "0.3")
    trade_id = bob.market("BUY", quantity="0.3")["fills"][0]["tradeId"]

    def bars(**params: Any) -> list[list[Any]]:
        found: list[list[Any]] = public.get("/api/v3/klines", symbol="BTCUSDT", **params).json()
        return found

    wait_until(lambda: public.get("/api/v3/ticker", symbol="BTCUSDT").json()["lastId"] == trade_id)
    hours = bars(interval="1h", limit=1000)
    for zone, offset in (("8", 8 * HOUR), ("-1:00", -HOUR), ("05:45", 5 * HOUR + 45 * 60_000), ("+14:00", 14 * HOUR)):
        days = bars(interval="1d", timeZone=zone, limit=1000)
        assert all((day[0] + offset) % DAY == 0 for day in days)
        assert all(day[6] == day[0] + DAY - 1 for day in days)
        # Everything that traded is in one of them.
        assert sum(day[8] for day in days) == sum(hour[8] for hour in hours)
        assert (days[0][1], days[-1][4]) == (hours[0][1], hours[-1][4])
        until = {"interval": "1m", "endTime": days[-1][0] + DAY - 1, "limit": 5}
        assert bars(timeZone=zone, **until) == bars(**until)
        day = public.get("/api/v3/ticker/tradingDay", symbol="BTCUSDT", timeZone=zone).json()
        assert ((day["openTime"] + offset) % DAY, day["closeTime"]) == (0, day["openTime"] + DAY - 1)
    assert bars(interval="1h", timeZone="0", endTime=hours[-1][0]) == bars(interval="1h", endTime=hours[-1][0])
    for bad, code in (("15", -1130), ("-12:01", -1130), ("14:01", -1130), ("1:60", -1100), ("UTC", -1100), ("", -1105)):
        assert public.get("/api/v3/klines", symbol="BTCUSDT", interval="1d", timeZone=bad).json()["code"] == code, bad


def test_filters_of_an_account(alice: Client) -> None:
    [market] = alice.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"]
    mine = alice.ok("GET", "/api/v3/myFilters", symbol="BTCUSDT")
    assert list(mine) == ["exchangeFilters", "symbolFilters", "assetFilters"]
    counting = ("MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ORDER_LISTS", "MAX_NUM_ICEBERG_ORDERS")
    assert [each["filterType"] for each in mine["symbolFilters"]] == list(counting)
    assert mine["symbolFilters"] == [each for each in market["filters"] if each["filterType"] in counting]
    assert (mine["exchangeFilters"], mine["assetFilters"]) == ([], [])
    assert alice.refused("GET", "/api/v3/myFilters", symbol="NOPE")[1] == -1121
    assert alice.refused("GET", "/api/v3/myFilters")[1] == -1102


def test_asset_details(alice: Client) -> None:
    nothing = {
        "minWithdrawAmount": "0.00000000", "depositStatus": False, "withdrawFee": "0.00000000",
        "withdrawStatus": False,
    }  # fmt: skip
    everything = alice.ok("GET", "/sapi/v1/asset/assetDetail")
    assert set(everything) >= {"BTC", "ETH", "USDT", "BNB", "LTC"}
    assert all(row == nothing for row in everything.values())
    assert alice.ok("GET", "/sapi/v1/asset/assetDetail", asset="BTC") == {"BTC": nothing}
    assert alice.ok("GET", "/sapi/v1/asset/assetDetail", asset="NOPE") == {}


@pytest.mark.parametrize("mode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"])
def test_beyond_the_order_limit_the_cancel_alone(exchange: Exchange, alice: Client, mode: str) -> None:
    """The account has sent its one order of the day: a replacement does nothing, or cancels where it may."""
    order = alice.limit("BUY", "40000.00", "0.1")
    again = {
        **LIMIT, "side": "BUY", "price": "41000.00", "quantity": "0.1", "cancelReplaceMode": mode,
        "cancelOrderId": order["orderId"],
    }  # fmt: skip
    with exchange.further_gateway(tiers={STANDARD: FEW}) as thread:
        gateway = thread.gateway
        assert gateway is not None
        wait_until(lambda: gateway.edge_pipe.connected and gateway.monitor.alive())
        with Client(f"http://127.0.0.1:{thread.port}", alice.me, tidy=False) as client:
            for asked in ({}, {"orderRateLimitExceededMode": "DO_NOTHING"}):
                refused = client.signed("POST", REPLACE, **again, **asked)
                assert (refused.status_code, refused.json()["code"]) == (429, -1015)
            cancel_only = {**again, "orderRateLimitExceededMode": "CANCEL_ONLY"}
            assert client.refused("POST", REPLACE, **{**cancel_only, "orderRateLimitExceededMode": "x"})[1] == -1130
            # The new order's own form comes first: nothing happens where it is wrong.
            wrong = client.signed("POST", REPLACE, **{**cancel_only, "price": "0.00"}).json()
            assert (wrong["code"], wrong["data"]["cancelResult"]) == (-2022, "NOT_ATTEMPTED")
            assert len(alice.ok("GET", "/api/v3/openOrders")) == 1

            half = client.signed("POST", REPLACE, **cancel_only)
            limit = {"code": -1015, "msg": half.json()["data"]["newOrderResponse"]["msg"]}
            assert limit["msg"].startswith("Too many new orders; current limit is 1 orders per ")
            stops = mode == "STOP_ON_FAILURE"
            assert (half.status_code, half.json()["code"]) == (429 if stops else 409, -2021)
            assert ("retry-after" in half.headers) == stops
            data = half.json()["data"]
            assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
            assert data["cancelResponse"]["orderId"] == order["orderId"]
            assert data["newOrderResponse"] == limit
            assert alice.ok("GET", "/api/v3/openOrders") == []

            nothing = client.signed("POST", REPLACE, **cancel_only)
            data = nothing.json()["data"]
            assert (nothing.status_code, nothing.json()["code"]) == (429 if stops else 400, -2022)
            assert (data["cancelResult"], data["newOrderResult"]) == (
                ("FAILURE", "NOT_ATTEMPTED") if stops else ("FAILURE", "FAILURE")
            )
            assert data["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
            assert data["newOrderResponse"] == (None if stops else limit)
    assert [row["status"] for row in alice.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT")] == ["CANCELED"]


def test_the_websocket_api_takes_them_too(exchange: Exchange) -> None:
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("ticker.price", symbol="BTCUSDT", symbolStatus="BREAK")["error"]["code"] == -1220
        assert socket.ask("exchangeInfo", permissions=["MARGIN"])["result"]["symbols"] == []
        assert socket.ask("klines", symbol="BTCUSDT", interval="1d", timeZone="8")["status"] == 200
