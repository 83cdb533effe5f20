"""`<symbol>@marketState`: clients hear of halts and reopenings without asking again and again (T10)."""

from typing import Any

import pytest

from apps.markets.services import MarketAction, change_market_settings, set_market_state
from apps.streams.kinds import BreakerMeasure
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket


def set_breakers(exchange: Exchange, symbol: str, rules: list[list[int]]) -> None:
    change_market_settings(symbol=symbol, changes={"breaker_rules": rules}, reason="test", requested_by="test")
    exchange.wait_settled()


def change(exchange: Exchange, symbol: str, action: MarketAction) -> None:
    set_market_state(symbol=symbol, action=action, reason="test", requested_by="test")
    exchange.wait_settled()


@pytest.mark.parametrize(
    ("action", "status", "state"),
    [(MarketAction.HALT, "HALT", "HALTED"), (MarketAction.CANCEL_ONLY, "CANCEL_ONLY", "CANCEL_ONLY")],
)
def test_state_changes_are_streamed_and_rest_agrees(
    exchange: Exchange, public: Client, action: MarketAction, status: str, state: str
) -> None:
    with (
        Socket(f"{exchange.ws_url}/ws/btcusdt@marketState") as stream,
        Socket(f"{exchange.ws_url}/ws/ethbtc@marketState") as other,
    ):
        for wanted, expected in ((action, (status, state)), (MarketAction.OPEN, ("TRADING", "OPEN"))):
            change(exchange, "BTCUSDT", wanted)
            message = stream.until(lambda told, expected=expected: told["cause"] and told["marketState"] == expected[1])
            assert list(message) == [
                "e", "E", "s", "status", "marketState", "cause", "rule", "until", "resumesAt",
                "indicativePrice", "indicativeQty", "haltAbove", "haltBelow",
            ]  # fmt: skip
            assert (message["e"], message["s"]) == ("marketState", "BTCUSDT")
            assert (message["status"], message["marketState"]) == expected
            assert (message["cause"], message["rule"], message["until"], message["resumesAt"]) == (
                "STAFF", None, None, None,
            )  # fmt: skip
            asked = public.get("/api/v3/marketState", symbol="BTCUSDT").json()
            assert asked == {"symbol": "BTCUSDT"} | {name: message[name] for name in list(message)[3:]}
            row = public.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"][0]
            assert (row["status"], row["marketState"]) == expected
        # The other market said nothing: its first message is the answer to this.
        assert other.control("LIST_SUBSCRIPTIONS")["result"] == ["ethbtc@marketState"]
        assert len(other.seen) == 1


def test_a_circuit_breaker_halts_and_says_until_when(
    exchange: Exchange, public: Client, alice: Client, bob: Client
) -> None:
    """5 % in a minute: the print at 80 stands, the one at 90 does not happen, and the market halts for 2 minutes."""
    ltc = {"symbol": "LTCUSDT", "timeInForce": "GTC", "type": "LIMIT"}
    set_breakers(exchange, "LTCUSDT", [[9, int(BreakerMeasure.PRICE), 500, 60_000, 120]])
    with Client(exchange.base_url, exchange.account(LTC="100")) as seller:
        try:
            for price in ("80", "90"):
                seller.ok("POST", "/api/v3/order", **ltc, side="SELL", price=price, quantity="1")
            # One print opens the window; a tick tells how far it is to a halt.
            alice.ok("POST", "/api/v3/order", **ltc, side="BUY", price="80", quantity="0.5")
            taken = alice.ok("POST", "/api/v3/order", **ltc, side="BUY", price="90", quantity="2")
            assert (taken["status"], taken["executedQty"], taken["expiryReason"]) == (
                "EXPIRED", "0.50000000", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
            )  # fmt: skip

            def halted() -> Any:
                told = public.get("/api/v3/marketState", symbol="LTCUSDT").json()
                return told if told["cause"] == "BREAKER" else None

            told = wait_until(halted)
            assert (told["symbol"], told["status"], told["marketState"], told["rule"]) == (
                "LTCUSDT", "HALT", "HALTED", 9,
            )  # fmt: skip
            assert told["resumesAt"] == taken["transactTime"] + 120_000
            assert told["until"] <= told["resumesAt"]
            assert (told["indicativePrice"], told["haltAbove"], told["haltBelow"]) == (None, None, None)
            assert bob.refused("POST", "/api/v3/order", **ltc, side="BUY", price="80", quantity="1") == (
                400, -2010, "Market is closed.",
            )  # fmt: skip
        finally:
            set_breakers(exchange, "LTCUSDT", [])
            change(exchange, "LTCUSDT", MarketAction.OPEN)


def test_an_auction_shows_what_it_would_trade(exchange: Exchange, public: Client, alice: Client, bob: Client) -> None:
    """Halted and resumed by staff through a call auction of 10 s, in which two orders cross."""
    ltc = {"symbol": "LTCUSDT", "timeInForce": "GTC", "type": "LIMIT", "quantity": "1"}

    def told() -> dict[str, Any]:
        answer: dict[str, Any] = public.get("/api/v3/marketState", symbol="LTCUSDT").json()
        return answer

    change_market_settings(symbol="LTCUSDT", changes={"call_s": 10}, reason="test", requested_by="test")
    try:
        change(exchange, "LTCUSDT", MarketAction.HALT)
        with (
            Client(exchange.base_url, exchange.account(LTC="100")) as seller,
            Socket(f"{exchange.ws_url}/ws/ltcusdt@marketState") as stream,
        ):
            change(exchange, "LTCUSDT", MarketAction.AUCTION)
            assert alice.refused("POST", "/api/v3/order", **{**ltc, "timeInForce": "IOC"}, side="BUY", price="81")[
                :2
            ] == (400, -2010)
            alice.ok("POST", "/api/v3/order", **ltc, side="BUY", price="81")
            seller.ok("POST", "/api/v3/order", **ltc, side="SELL", price="79")
            found = stream.until(lambda message: message["indicativePrice"] is not None)
            assert (found["marketState"], found["status"], found["indicativeQty"]) == ("AUCTION", "HALT", "1.00000000")
            assert 79 <= float(found["indicativePrice"]) <= 81
            assert found["resumesAt"] == found["until"]

            def opened() -> bool:
                # This exchange has no ticks: a command makes time pass.
                bob.refused("DELETE", "/api/v3/order", symbol="LTCUSDT", orderId=1)
                exchange.wait_settled()
                return told()["marketState"] == "OPEN"

            wait_until(opened)
            [trade] = alice.ok("GET", "/api/v3/myTrades", symbol="LTCUSDT")
            assert trade["price"] == found["indicativePrice"]
    finally:
        change_market_settings(symbol="LTCUSDT", changes={"call_s": 0}, reason="test", requested_by="test")
        change(exchange, "LTCUSDT", MarketAction.OPEN)
