"""Every order kind, time in force and self-trade mode over REST, with the fields that only they have."""

import time
from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until

ORDER = "/api/v3/order"
MAKER: dict[str, Any] = {"symbol": "BTCUSDT", "type": "LIMIT_MAKER"}


def status(client: Client, order: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.ok("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    return answer


def refused_in_the_engine(exchange: Exchange, client: Client, **params: Any) -> tuple[int, int, str]:
    """A refusal that is an event and changes nothing else."""
    before = client.balances(), client.ok("GET", "/api/v3/openOrders"), exchange.seq()
    refusal = client.refused("POST", ORDER, **params)
    assert (client.balances(), client.ok("GET", "/api/v3/openOrders")) == before[:2]
    assert exchange.seq() == before[2] + 1
    return refusal


# -- post-only --------------------------------------------------------------------------------------------------------
def test_limit_maker_rests_or_is_refused(exchange: Exchange, alice: Client, bob: Client) -> None:
    bob.limit("SELL", "50000.00", "1")
    placed = alice.ok("POST", ORDER, **MAKER, side="BUY", price="49999.99", quantity="0.1")
    # The dialect's default for every kind but LIMIT and MARKET is ACK.
    assert list(placed) == ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
    shown = status(alice, placed)
    assert (shown["type"], shown["timeInForce"], shown["status"]) == ("LIMIT_MAKER", "GTC", "NEW")
    full = alice.ok("POST", ORDER, **MAKER, side="BUY", price="49999", quantity="0.1", newOrderRespType="FULL")
    assert (full["status"], full["fills"]) == ("NEW", [])
    assert refused_in_the_engine(exchange, alice, **MAKER, side="BUY", price="50000", quantity="0.1") == (
        400, -2010, "Order would immediately match and take.",
    )  # fmt: skip


# -- time in force ----------------------------------------------------------------------------------------------------
def test_ioc_fills_what_it_can_and_expires(alice: Client, bob: Client) -> None:
    bob.limit("SELL", "50000.00", "0.3")
    taken = alice.limit("BUY", "50000.00", "1", timeInForce="IOC")
    assert (taken["status"], taken["executedQty"], taken["timeInForce"], taken["expiryReason"]) == (
        "EXPIRED", "0.30000000", "IOC", "UNFILLED_IOC_QUANTITY_EXPIRED",
    )  # fmt: skip
    assert status(alice, taken)["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert alice.ok("GET", "/api/v3/openOrders") == []
    assert alice.balances()["USDT"] == ("985000.00000000", "0.00000000")


def test_fok_fills_whole_or_not_at_all(alice: Client, bob: Client) -> None:
    bob.limit("SELL", "50000.00", "0.3")
    short = alice.limit("BUY", "50000.00", "0.4", timeInForce="FOK")
    assert (short["status"], short["executedQty"], short["fills"], short["expiryReason"]) == (
        "EXPIRED", "0.00000000", [], "UNFILLED_FOK_ORDER_EXPIRED",
    )  # fmt: skip
    whole = alice.limit("BUY", "50000.00", "0.3", timeInForce="FOK")
    assert (whole["status"], whole["timeInForce"]) == ("FILLED", "FOK")
    assert "expiryReason" not in whole


def test_gtd_ends_at_its_time(exchange: Exchange, alice: Client) -> None:
    """`goodTillDate` in milliseconds is ours; LIMIT_MAKER, which takes no timeInForce, takes it too."""
    end = int(time.time() * 1000) + 8_000
    order = alice.limit("BUY", "40000.00", "0.1", timeInForce="GTD", goodTillDate=end)
    assert (order["status"], order["timeInForce"], order["goodTillDate"]) == ("NEW", "GTD", end)
    maker = alice.ok("POST", ORDER, **MAKER, side="BUY", price="40000", quantity="0.1", goodTillDate=end)
    assert status(alice, maker)["timeInForce"] == "GTD"

    def ended() -> bool:
        # This exchange has no ticks: a command makes time pass.
        alice.refused("DELETE", ORDER, symbol="BTCUSDT", orderId=1)
        exchange.wait_settled()
        return alice.ok("GET", "/api/v3/openOrders") == []

    wait_until(ended)
    shown = status(alice, order)
    assert (shown["status"], shown["expiryReason"]) == ("EXPIRED", "EXPIRED_BY_TIME")
    assert shown["updateTime"] >= end
    assert alice.balances()["USDT"] == ("1000000.00000000", "0.00000000")


def test_gtd_in_the_past(exchange: Exchange, alice: Client) -> None:
    params: dict[str, Any] = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTD", "price": "40000", "quantity": "0.1",
        "goodTillDate": int(time.time() * 1000) - 1,
    }  # fmt: skip
    expected = (400, -1013, "The order's end must lie in the future.")
    assert refused_in_the_engine(exchange, alice, **params) == expected
    assert alice.refused("POST", f"{ORDER}/test", **params) == expected


# -- icebergs ---------------------------------------------------------------------------------------------------------
def test_iceberg_shows_its_tip_only(exchange: Exchange, alice: Client, bob: Client, public: Client) -> None:
    placed = alice.limit("SELL", "50000.00", "1", icebergQty="0.2")
    assert (placed["status"], placed["origQty"], placed["icebergQty"]) == ("NEW", "1.00000000", "0.20000000")
    wait_until(
        lambda: public.get("/api/v3/depth", symbol="BTCUSDT").json()["asks"] == [["50000.00000000", "0.20000000"]]
    )
    taken = bob.market("BUY", quantity="0.5")
    assert [fill["qty"] for fill in taken["fills"]] == ["0.20000000", "0.20000000", "0.10000000"]
    shown = status(alice, placed)
    assert (shown["icebergQty"], shown["executedQty"], shown["status"]) == (
        "0.20000000", "0.50000000", "PARTIALLY_FILLED",
    )  # fmt: skip
    maker = bob.ok("POST", ORDER, **MAKER, side="BUY", price="45000", quantity="1", icebergQty="0.5",
                   newOrderRespType="RESULT")  # fmt: skip
    assert maker["icebergQty"] == "0.50000000"


def test_iceberg_refusals(exchange: Exchange, alice: Client) -> None:
    """With an own client id the engine decides; the answer is the gateway's."""
    params: dict[str, Any] = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "40000", "quantity": "0.1",
        "newClientOrderId": "ice", "icebergQty": "0.00099",
    }  # fmt: skip
    assert refused_in_the_engine(exchange, alice, **params) == (400, -1013, "Filter failure: ICEBERG_PARTS")


# -- self-trade prevention --------------------------------------------------------------------------------------------
def test_expire_taker_is_the_default(alice: Client) -> None:
    maker = alice.limit("SELL", "50000.00", "0.3")
    taker = alice.limit("BUY", "50000.00", "0.5")
    assert (taker["status"], taker["selfTradePreventionMode"], taker["preventedQuantity"]) == (
        "EXPIRED_IN_MATCH", "EXPIRE_TAKER", "0.50000000",
    )  # fmt: skip
    [match] = taker["preventedMatches"]
    assert match == {
        "preventedMatchId": taker["preventedMatchId"], "makerOrderId": maker["orderId"], "price": "50000.00000000",
        "takerPreventedQuantity": "0.50000000",
    }  # fmt: skip
    assert status(alice, taker)["preventedQuantity"] == "0.50000000"
    assert status(alice, maker)["status"] == "NEW"


def test_expire_maker(alice: Client) -> None:
    maker = alice.limit("SELL", "50000.00", "0.3")
    taker = alice.limit("BUY", "50000.00", "0.5", selfTradePreventionMode="EXPIRE_MAKER")
    assert (taker["status"], taker["selfTradePreventionMode"]) == ("NEW", "EXPIRE_MAKER")
    assert "preventedQuantity" not in taker
    assert taker["preventedMatches"][0]["makerPreventedQuantity"] == "0.30000000"
    assert "takerPreventedQuantity" not in taker["preventedMatches"][0]
    shown = status(alice, maker)
    assert (shown["status"], shown["preventedQuantity"], shown["preventedMatchId"]) == (
        "EXPIRED_IN_MATCH", "0.30000000", taker["preventedMatches"][0]["preventedMatchId"],
    )  # fmt: skip


def test_expire_both(alice: Client) -> None:
    maker = alice.limit("SELL", "50000.00", "0.3")
    taker = alice.limit("BUY", "50000.00", "0.5", selfTradePreventionMode="EXPIRE_BOTH")
    assert taker["status"] == status(alice, maker)["status"] == "EXPIRED_IN_MATCH"
    [match] = taker["preventedMatches"]
    assert (match["takerPreventedQuantity"], match["makerPreventedQuantity"]) == ("0.50000000", "0.30000000")
    assert alice.balances()["BTC"] == ("10.00000000", "0.00000000")


def test_decrement(alice: Client) -> None:
    maker = alice.limit("SELL", "50000.00", "0.3")
    taker = alice.limit("BUY", "50000.00", "0.5", selfTradePreventionMode="DECREMENT")
    assert (taker["status"], taker["executedQty"], taker["preventedQuantity"]) == ("NEW", "0.00000000", "0.30000000")
    [match] = taker["preventedMatches"]
    assert match["takerPreventedQuantity"] == match["makerPreventedQuantity"] == "0.30000000"
    assert status(alice, maker)["status"] == "EXPIRED_IN_MATCH"
    assert (status(alice, taker)["status"], status(alice, taker)["preventedQuantity"]) == ("NEW", "0.30000000")
    assert alice.balances()["USDT"] == ("990000.00000000", "10000.00000000")


def test_prevented_matches_can_be_asked_for(alice: Client, bob: Client) -> None:
    maker = alice.limit("SELL", "50000.00", "0.3")
    first = alice.limit("BUY", "50000.00", "0.1", selfTradePreventionMode="DECREMENT")
    second = alice.limit("BUY", "50000.00", "0.5", selfTradePreventionMode="EXPIRE_BOTH")
    path, market = "/api/v3/myPreventedMatches", {"symbol": "BTCUSDT"}
    found = alice.ok("GET", path, **market, orderId=maker["orderId"])
    assert [match["takerOrderId"] for match in found] == [first["orderId"], second["orderId"]]
    assert found[0] == {
        "symbol": "BTCUSDT", "preventedMatchId": first["preventedMatchId"], "takerOrderId": first["orderId"],
        "makerSymbol": "BTCUSDT", "makerOrderId": maker["orderId"], "tradeGroupId": -1,
        "selfTradePreventionMode": "DECREMENT", "price": "50000.00000000", "takerPreventedQuantity": "0.10000000",
        "makerPreventedQuantity": "0.10000000", "transactTime": first["transactTime"],
    }  # fmt: skip
    assert (found[1]["takerPreventedQuantity"], found[1]["makerPreventedQuantity"]) == ("0.50000000", "0.20000000")
    number = found[1]["preventedMatchId"]
    assert alice.ok("GET", path, **market, preventedMatchId=number) == found[1:]
    assert alice.ok("GET", path, **market, orderId=maker["orderId"], fromPreventedMatchId=number) == found[1:]
    assert alice.ok("GET", path, **market, orderId=maker["orderId"], limit=1) == found[:1]
    assert bob.ok("GET", path, **market, preventedMatchId=number) == []
    assert alice.refused("GET", path, **market)[:2] == (400, -1102)
    assert alice.refused("GET", path, **market, preventedMatchId=1, fromPreventedMatchId=1)[:2] == (400, -1106)


@pytest.mark.parametrize("mode", ["NONE", "TRANSFER"])
def test_self_trade_prevention_is_never_off(alice: Client, unchanged: None, mode: str) -> None:
    refusal = alice.refused(
        "POST", ORDER, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1", selfTradePreventionMode=mode
    )
    assert refusal == (400, -1013, "This symbol does not allow the specified self-trade prevention mode.")


# -- repeats ----------------------------------------------------------------------------------------------------------
def test_a_repeat_is_answered_with_the_first_order(alice: Client, bob: Client) -> None:
    bob.limit("SELL", "50000.00", "0.3")
    params: dict[str, Any] = {"timeInForce": "IOC", "newClientOrderId": "again"}
    first = alice.limit("BUY", "50000.00", "1", **params)
    assert alice.limit("BUY", "50000.00", "1", **params) == first
    ice = {"icebergQty": "0.2", "newClientOrderId": "ice"}
    assert alice.limit("BUY", "40000", "1", **ice) == alice.limit("BUY", "40000", "1", **ice)
    other = {**ice, "icebergQty": "0.3"}
    assert alice.refused(
        "POST", ORDER, symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", price="40000", quantity="1",
        **other,
    ) == (400, -2010, "Duplicate order sent.")  # fmt: skip
