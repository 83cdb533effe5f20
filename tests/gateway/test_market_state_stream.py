"""`<symbol>@marketState`: clients hear of halts and reopenings without asking again and again (T10)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings

from apps.gateway import feedage
from apps.markets.services import MarketAction, change_market_settings, set_market_state
from apps.streams.kinds import BreakerMeasure
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket

LONG_S = 3_600


def set_breakers(exchange: Exchange, symbol: str, rules: list[list[int]]) -> None:
    change_market_settings(symbol=symbol, changes={"breaker_rules": rules}, reason="test", requested_by="test")
    exchange.wait_settled()


def change(exchange: Exchange, symbol: str, action: MarketAction) -> None:
    set_market_state(symbol=symbol, action=action, reason="test", requested_by="test")
    exchange.wait_settled()


@pytest.fixture(autouse=True)
def no_machine_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedage, "SILENT_S", LONG_S)


@contextmanager
def no_state_settled() -> Iterator[None]:
    """Settlement stands still at the next change of a market's state."""
    with psycopg.connect(settings.DATABASE_DSN) as blocker:
        blocker.execute("LOCK TABLE markets_market IN SHARE MODE")
        yield


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
        for wanted, expected in (
            (action, (status, state, "STAFF")), (MarketAction.OPEN, ("TRADING", "OPEN", None)),
        ):  # fmt: skip
            change(exchange, "BTCUSDT", wanted)
            message = stream.until(lambda told, expected=expected: told["marketState"] == expected[1])
            assert list(message) == [
                "e", "E", "s", "status", "marketState", "cause", "rule", "until", "resumesAt",
                "indicativePrice", "indicativeQty", "haltAbove", "haltBelow", "staleSince",
            ]  # fmt: skip
            assert (message["e"], message["s"]) == ("marketState", "BTCUSDT")
            assert (message["status"], message["marketState"], message["cause"]) == expected
            assert (message["rule"], message["until"], message["resumesAt"]) == (None, None, None)
            asked = public.get("/api/v3/marketState", symbol="BTCUSDT").json()
            assert asked == {"symbol": "BTCUSDT"} | {name: message[name] for name in list(message)[3:]}
            row = public.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()["symbols"][0]
            assert (row["status"], row["marketState"]) == expected[:2]
        # The other market said nothing: its first message is the answer to this.
        assert other.control("LIST_SUBSCRIPTIONS")["result"] == ["ethbtc@marketState"]
        assert len(other.seen) == 1


def test_a_circuit_breaker_halts_and_says_until_when(
    exchange: Exchange, public: Client, alice: Client, bob: Client
) -> None:
    """5 % in a minute: the print at 80 stands, the one at 90 does not happen, and the market halts for 2 minutes.

    All of it is told while settlement stands still.
    """
    ltc = {"symbol": "LTCUSDT", "timeInForce": "GTC", "type": "LIMIT"}
    set_breakers(exchange, "LTCUSDT", [[9, int(BreakerMeasure.PRICE), 500, 60_000, 120]])
    with (
        Client(exchange.base_url, exchange.account(LTC="100")) as seller,
        Socket(f"{exchange.ws_url}/ws/ltcusdt@marketState") as stream,
    ):
        try:
            for price in ("80", "90"):
                seller.ok("POST", "/api/v3/order", **ltc, side="SELL", price=price, quantity="1")
            # One print opens the window; a tick tells how far it is to a halt.
            alice.ok("POST", "/api/v3/order", **ltc, side="BUY", price="80", quantity="0.5")
            with no_state_settled():
                taken = alice.ok("POST", "/api/v3/order", **ltc, side="BUY", price="90", quantity="2")
                assert (taken["status"], taken["executedQty"], taken["expiryReason"]) == (
                    "EXPIRED", "0.50000000", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
                )  # fmt: skip
                told = stream.until(lambda message: message["marketState"] != "OPEN")
                assert (told["s"], told["status"], told["marketState"], told["cause"], told["rule"]) == (
                    "LTCUSDT", "HALT", "HALTED", "BREAKER", 9,
                )  # fmt: skip
                assert told["resumesAt"] == taken["transactTime"] + 120_000
                assert told["until"] <= told["resumesAt"]
                assert (told["indicativePrice"], told["haltAbove"], told["haltBelow"]) == (None, None, None)
                asked = public.get("/api/v3/marketState", symbol="LTCUSDT").json()
                assert asked == {"symbol": "LTCUSDT"} | {name: told[name] for name in list(told)[3:]}
                row = public.get("/api/v3/exchangeInfo", symbol="LTCUSDT").json()["symbols"][0]
                assert (row["status"], row["marketState"]) == ("HALT", "HALTED")
                assert row["circuitBreakers"] == [
                    {"rule": 9, "measure": "PRICE", "distance": "0.0500", "windowMs": 60_000, "haltMs": 120_000}
                ]
                halted = public.get("/api/v3/depth", symbol="LTCUSDT", symbolStatus="HALT")
                assert halted.status_code == 200, halted.text
                for path in ("/api/v3/order", "/api/v3/order/test"):
                    assert bob.refused("POST", path, **ltc, side="BUY", price="80", quantity="1") == (
                        400, -2010, "Market is closed.",
                    )  # fmt: skip
            exchange.wait_settled()
            # What PostgreSQL has by now was told before; what follows comes from the next change.
            assert stream.control("LIST_SUBSCRIPTIONS")["result"] == ["ltcusdt@marketState"]
            assert [message["marketState"] for message in stream.seen[:-1] if message["marketState"] != "OPEN"] == [
                "HALTED"
            ]
        finally:
            set_breakers(exchange, "LTCUSDT", [])
            change(exchange, "LTCUSDT", MarketAction.OPEN)


def test_silent_market_data_is_told_to_those_who_listen_and_in_every_public_answer(
    exchange: Exchange, public: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here nobody may be silent for any time at all; feedage.py has its own tests."""
    with Socket(f"{exchange.ws_url}/ws/btcusdt@marketState") as stream:
        monkeypatch.setattr(feedage, "SILENT_S", -1)
        told = stream.until(lambda message: message["staleSince"] is not None)
        assert (told["marketState"], told["staleSince"] <= told["E"]) == ("OPEN", True)
        answer = public.get("/api/v3/depth", symbol="BTCUSDT")
        assert answer.status_code == 200
        assert int(answer.headers["x-market-data-stale-since"]) >= told["staleSince"]
        assert public.get("/api/v3/marketState", symbol="BTCUSDT").json()["staleSince"] >= told["staleSince"]
        monkeypatch.setattr(feedage, "SILENT_S", LONG_S)
        stream.until(lambda message: message["staleSince"] is None)
    answer = public.get("/api/v3/depth", symbol="BTCUSDT")
    assert "x-market-data-stale-since" not in answer.headers


def test_an_auction_shows_what_it_would_trade(exchange: Exchange, public: Client, alice: Client, bob: Client) -> None:
    """Halted and resumed by staff through a call auction of 10 s, in which two orders cross.

    What it would trade is told while settlement stands still.
    """
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
            with no_state_settled():
                set_market_state(symbol="LTCUSDT", action=MarketAction.AUCTION, reason="test", requested_by="test")
                stream.until(lambda message: message["marketState"] == "AUCTION")
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
