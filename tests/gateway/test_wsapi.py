"""The WebSocket API: session by ticket, signed requests, orders, user data, and frames that are wrong."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import math
import secrets
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from websockets.exceptions import ConnectionClosed

from apps.accounts.models import ApiKey
from apps.accounts.services.api_keys import revoke_api_key
from apps.gateway.keys import Credential
from apps.gateway.socket import Socket as GatewaySocket
from apps.gateway.wsapi.connection import WsApiConnection
from apps.ledger.services import credit
from apps.markets.models import Asset
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sessions import new_session, ticket_of
from tests.gateway.sockets import Socket

REPORT_KEYS = [*"eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV"]
GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}


def open_socket(exchange: Exchange, **options: Any) -> Socket:
    return Socket(f"{exchange.ws_url}/ws-api/v3", **options)


@pytest.fixture
def session_key(alice: Client) -> str:
    return new_session(alice.me.account_id)


@pytest.fixture
def page(exchange: Exchange, alice: Client, session_key: str) -> Iterator[Socket]:
    """The trading page's socket, logged on as alice."""
    with open_socket(exchange, origin=exchange.base_url) as socket:
        answer = socket.ask("session.logon", ticket=ticket_of(alice, session_key))
        assert answer["status"] == 200, answer
        yield socket


def signed(client: Client, *, encode: bool = False, **params: Any) -> dict[str, Any]:
    """Parameters of a signed request, signed as clients do: sorted by name."""
    params = {"apiKey": client.me.api_key, "timestamp": int(time.time() * 1000), "recvWindow": 60000, **params}
    text = "&".join(f"{name}={_text(value)}" for name, value in sorted(params.items()))
    digest = hmac.new(client.me.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {**params, "signature": digest}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- session ----------------------------------------------------------------------------------------------------------
def test_a_page_trades_without_signatures(alice: Client, page: Socket) -> None:
    status = page.ask("session.status")["result"]
    assert status["authorizedSince"] is not None
    placed = page.ask("order.place", **GOOD)
    assert placed["status"] == 200
    order = placed["result"]
    assert (order["status"], order["fills"]) == ("NEW", [])
    [shown] = page.ask("openOrders.status", symbol="BTCUSDT")["result"]
    assert shown["orderId"] == order["orderId"]
    balances = {row["asset"]: row["locked"] for row in page.ask("account.status")["result"]["balances"]}
    assert balances["USDT"] == "4000.00000000"
    canceled = page.ask("order.cancel", symbol="BTCUSDT", orderId=order["orderId"])
    assert canceled["result"]["status"] == "CANCELED"
    again = page.ask("order.cancel", symbol="BTCUSDT", orderId=order["orderId"])
    assert (again["status"], again["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
    page.ask("order.place", **GOOD)
    assert len(page.ask("openOrders.cancelAll", symbol="BTCUSDT")["result"]) == 1
    assert len(page.ask("allOrders", symbol="BTCUSDT")["result"]) == 2
    assert page.ask("myTrades", symbol="BTCUSDT")["result"] == []
    assert page.ask("order.test", **GOOD)["result"] == {}
    assert page.ask("session.logout")["result"]["authorizedSince"] is None
    assert page.ask("order.place", **GOOD)["status"] == 401


def test_public_methods(exchange: Exchange) -> None:
    with open_socket(exchange) as socket:
        assert socket.ask("ping")["result"] == {}
        asked_ms = int(time.time() * 1000)
        assert asked_ms <= socket.ask("time")["result"]["serverTime"] <= time.time() * 1000
        assert len(socket.ask("exchangeInfo")["result"]["symbols"]) == 5
        two = socket.ask("exchangeInfo", symbols=["BTCUSDT", "ETHBTC"])["result"]["symbols"]
        assert [row["symbol"] for row in two] == ["BTCUSDT", "ETHBTC"]
        assert "lastUpdateId" in socket.ask("depth", symbol="BTCUSDT", limit=5)["result"]
        for method in ("ticker.24hr", "ticker.price", "ticker.book", "avgPrice", "trades.recent", "trades.aggregate"):
            assert socket.ask(method, symbol="BTCUSDT")["status"] == 200, method
        assert socket.ask("klines", symbol="BTCUSDT", interval="1m")["status"] == 200
        refused = socket.ask("depth", symbol="NOPE")
        assert (refused["status"], refused["error"]["code"]) == (400, -1121)
        assert socket.ask("no.such.method")["status"] == 400
        # A method may be named with its version, the only one that there is.
        assert socket.ask("v3/ping")["result"] == {}
        for name in ("v4/ping", "v3/", "v3/v3/ping"):
            assert socket.ask(name)["status"] == 400, name


# clients.md section 6, one by one, and what of the dialect's other methods this exchange has.
METHODS = """
ping time exchangeInfo depth trades.recent trades.historical trades.aggregate klines uiKlines avgPrice ticker
ticker.24hr ticker.price ticker.book ticker.tradingDay order.place order.test order.status order.cancel
order.cancelReplace order.amend.keepPriority openOrders.status openOrders.cancelAll orderList.place orderList.place.oco
orderList.place.oto orderList.place.otoco orderList.status orderList.cancel openOrderLists.status allOrders
allOrderLists myTrades account.status account.commission account.rateLimits.orders session.logon session.status
session.logout session.subscriptions userDataStream.subscribe.signature userDataStream.subscribe
userDataStream.unsubscribe userDataStream.start userDataStream.ping userDataStream.stop myPreventedMatches
myAllocations myFilters
"""


def test_every_method_is_there(exchange: Exchange) -> None:
    """Asked without anything: whatever is missing, it is not the method."""
    with open_socket(exchange) as socket:
        missing = []
        for method in METHODS.split():
            answer = socket.ask(method)
            assert answer["status"] in (200, 400, 401), answer
            if answer.get("error", {}).get("msg") == "There is no such method.":
                missing.append(method)
        assert missing == []
        assert socket.ask("order.sor")["error"]["msg"] == "There is no such method."


def test_tickets_work_once_and_only_from_our_own_pages(exchange: Exchange, alice: Client, session_key: str) -> None:
    ticket = ticket_of(alice, session_key)
    port = exchange.port
    for origin in ("http://evil.example", "null", "https://127.0.0.1", f"http://127.0.0.1:{port + 1}",
                   f"https://127.0.0.1:{port}", f"http://sub.localhost:{port}", None):  # fmt: skip
        with open_socket(exchange, origin=origin) as foreign:
            answer = foreign.ask("session.logon", ticket=ticket)
            assert (answer["status"], answer["error"]["code"]) == (403, -2015), origin
    with open_socket(exchange, origin=exchange.base_url) as page:
        assert page.ask("session.logon", ticket=ticket)["status"] == 200
        assert page.ask("session.logon", ticket=ticket)["error"]["code"] == -1106
    for wrong in (ticket, "x" * 43, secrets.token_urlsafe(32)):
        with open_socket(exchange, origin=exchange.base_url) as other:
            assert other.ask("session.logon", ticket=wrong)["status"] == 401
            assert other.ask("account.status")["status"] == 401
    with open_socket(exchange, origin=exchange.base_url) as other:
        for malformed in ("", "short", "a b" * 20, 5, None, ["x" * 43]):
            assert other.ask("session.logon", ticket=malformed)["status"] == 400
        assert other.ask("session.logon")["error"]["code"] == -1102


def test_guessing_tickets_is_cut_off(exchange: Exchange) -> None:
    with open_socket(exchange, origin=exchange.base_url) as socket:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(20):
                socket.ask("session.logon", ticket=secrets.token_urlsafe(32))
        assert socket.closed_with() == 1008


def test_logging_out_on_the_site_closes_the_socket(page: Socket, session_key: str) -> None:
    page.ask("userDataStream.subscribe")
    SessionStore(session_key).delete()
    assert page.closed_with() == 4001


def test_a_session_that_nobody_uses_ends(
    exchange: Exchange, alice: Client, session_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probes of a page that somebody left open are no use of it; a request of theirs is."""
    call, followers = exchange.gateway_thread.call, exchange.gateway.credentials._followers
    idle_s = 600
    monkeypatch.setattr("apps.gateway.wsapi.connection.SESSION_IDLE_S", idle_s)
    with (
        open_socket(exchange, origin=exchange.base_url) as used,
        open_socket(exchange, origin=exchange.base_url) as left,
    ):
        for page in (used, left):
            assert page.ask("session.logon", ticket=ticket_of(alice, session_key))["status"] == 200
        pages = call(lambda: [each for some in followers.values() for each in some if _is_logged_on(each, alice)])
        assert len(pages) == 2

        def pass_time() -> None:
            for each in pages:
                each._used_s -= idle_s

        call(pass_time)
        assert used.ask("account.status")["status"] == 200
        assert left.ask("ping")["status"] == 200
        call(lambda: [each._look_for_use(math.inf) for each in pages])
        assert left.closed_with() == 4001
        assert used.ask("account.status")["status"] == 200
    monkeypatch.setattr("apps.gateway.wsapi.connection.SESSION_IDLE_S", 0.2)
    with open_socket(exchange, origin=exchange.base_url) as page:
        assert page.ask("session.logon", ticket=ticket_of(alice, session_key))["status"] == 200
        assert page.closed_with() == 4001


def _is_logged_on(follower: Any, who: Client) -> bool:
    session = getattr(follower, "session", None)
    return session is not None and session.account_id == who.me.account_id


def test_revoking_a_key_closes_its_user_data(exchange: Exchange, alice: Client) -> None:
    with open_socket(exchange) as socket:
        answer = socket.ask("userDataStream.subscribe.signature", **signed(alice))
        assert answer["status"] == 200, answer
        revoke_api_key(account_id=alice.me.account_id, key_id=ApiKey.objects.get(public_key=alice.me.api_key).pk)
        assert socket.closed_with() == 4001
    alice.tidy = False


# -- signed requests --------------------------------------------------------------------------------------------------
def test_signed_orders(exchange: Exchange, alice: Client) -> None:
    with open_socket(exchange) as socket:
        order = socket.ask("order.place", **signed(alice, **GOOD))
        assert order["result"]["status"] == "NEW", order
        status = socket.ask("order.status", **signed(alice, symbol="BTCUSDT", orderId=order["result"]["orderId"]))
        assert status["result"]["clientOrderId"] == order["result"]["clientOrderId"]
        assert socket.ask("account.status", **signed(alice, omitZeroBalances=True))["status"] == 200


def test_money_may_be_a_json_number_and_keeps_its_literal(exchange: Exchange, alice: Client) -> None:
    """The literal is what is signed and parsed: 0.10 is "0.10", 1e3 is refused, 0.1000000000000000055 is not 0.1."""
    with open_socket(exchange) as socket:
        for literal, code in (
            ("0.10", None), ("1e-1", -1100), ("0.1000000000000000055", -1100), ("0.100000000000000055", -1111),
            ("NaN", -1100), ("true", -1100), ("null", -1105), ("[]", -1100), ("{}", -1100), ("-0.1", -1100),
        ):  # fmt: skip
            params = {**GOOD, "apiKey": alice.me.api_key, "timestamp": int(time.time() * 1000), "quantity": "@"}
            text = "&".join(f"{name}={value}" for name, value in sorted(params.items())).replace("@", literal)
            text = text.replace("quantity=null", "quantity=")
            digest = hmac.new(alice.me.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            frame = json.dumps({"id": literal, "method": "order.place", "params": {**params, "signature": digest}})
            socket.send(frame.replace('"@"', literal))
            answer = socket.receive()
            assert answer.get("error", {}).get("code") == code, (literal, answer)
        assert len(alice.ok("GET", "/api/v3/openOrders")) == 1


def test_signed_requests_that_are_wrong(exchange: Exchange, alice: Client, bob: Client) -> None:
    before = exchange.state_hash()
    good = signed(alice, **GOOD)
    cases: list[tuple[dict[str, Any], int]] = [
        ({**good, "price": "40001"}, -1022),
        ({**good, "signature": "0" * 64}, -1022),
        ({**good, "apiKey": bob.me.api_key}, -1022),
        ({**good, "apiKey": "x" * 64}, -2015),
        ({**good, "apiKey": "short"}, -2014),
        ({name: value for name, value in good.items() if name != "signature"}, -1102),
        ({name: value for name, value in good.items() if name != "apiKey"}, -1102),
        (signed(alice, **GOOD, recvWindow="60001"), -1131),
        ({**signed(alice), **GOOD}, -1022),
    ]
    old = {"apiKey": alice.me.api_key, **GOOD, "timestamp": int(time.time() * 1000) - 60_000}
    text = "&".join(f"{name}={value}" for name, value in sorted(old.items()))
    old["signature"] = hmac.new(alice.me.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    with open_socket(exchange) as socket:
        for params, code in [*cases, (old, -1021)]:
            answer = socket.ask("order.place", **params)
            assert answer["error"]["code"] == code, (params, answer)
    assert exchange.state_hash() == before


# -- user data --------------------------------------------------------------------------------------------------------
def events(socket: Socket, last: str, kind: str = "executionReport") -> list[Any]:
    """Events up to the first one of `kind` whose X (or asset) is `last`, then the account position after it."""
    found: list[Any] = []
    while True:
        message = socket.receive()
        if "event" not in message:
            continue
        found.append(message["event"])
        event = message["event"]
        if event["e"] == "outboundAccountPosition" and any(e.get("X") == last for e in found):
            return found


def test_user_data_of_taker_and_maker(exchange: Exchange, alice: Client, bob: Client, page: Socket) -> None:
    older = alice.limit("SELL", "50000.00", "0.1", newClientOrderId="older")
    exchange.wait_settled()
    assert page.ask("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    page.seen.clear()
    # A maker order that is older than the subscription.
    filled = bob.market("BUY", quantity="0.1")
    maker = events(page, "FILLED")
    assert [event["e"] for event in maker] == ["executionReport", "outboundAccountPosition"]
    report = maker[0]
    assert list(report) == REPORT_KEYS
    assert (report["x"], report["X"], report["c"], report["i"], report["m"], report["t"]) == (
        "TRADE", "FILLED", "older", older["orderId"], True, filled["fills"][0]["tradeId"],
    )  # fmt: skip
    assert (report["l"], report["z"], report["L"], report["Y"], report["Z"], report["n"], report["N"]) == (
        "0.10000000", "0.10000000", "50000.00000000", "5000.00000000", "5000.00000000", "5.00000000", "USDT",
    )  # fmt: skip
    assert maker[1]["B"] == [
        {"a": "BTC", "f": "9.90000000", "l": "0.00000000"},
        {"a": "USDT", "f": "1004995.00000000", "l": "0.00000000"},
    ]
    # A taker: NEW comes before TRADE.
    bob.limit("SELL", "50000.00", "0.05")
    bob.limit("SELL", "50001.00", "0.05")
    page.ask("order.place", **{**GOOD, "price": "50001.00", "quantity": "0.1", "newClientOrderId": "taker"})
    taker = [e for e in (m["event"] for m in page.seen if "event" in m) if e.get("c") == "taker"]
    if not taker or taker[-1]["X"] != "FILLED":
        taker += [event for event in events(page, "FILLED") if event.get("c") == "taker"]
    assert [(event["x"], event["X"]) for event in taker] == [
        ("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED"),
    ]  # fmt: skip
    assert (taker[0]["N"], taker[0]["t"], taker[0]["w"]) == (None, -1, True)
    assert (taker[2]["N"], taker[2]["n"], taker[2]["m"], taker[2]["z"]) == ("BTC", "0.00005000", False, "0.10000000")


def test_cancel_report_has_both_ids(alice: Client, page: Socket) -> None:
    page.ask("userDataStream.subscribe")
    alice.limit("BUY", "40000", "0.1", newClientOrderId="the-order")
    alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="the-order", newClientOrderId="the-cancel")
    found = events(page, "CANCELED")
    report = next(event for event in found if event.get("X") == "CANCELED")
    assert (report["x"], report["C"], report["c"], report["w"]) == ("CANCELED", "the-order", "the-cancel", False)
    assert found[-1]["B"] == [{"a": "USDT", "f": "1000000.00000000", "l": "0.00000000"}]


def test_market_order_by_budget_ends_filled(alice: Client, bob: Client, page: Socket) -> None:
    bob.limit("SELL", "50000.00", "1")
    page.ask("userDataStream.subscribe")
    alice.market("BUY", quoteOrderQty="1000.3")
    reports = [event for event in events(page, "FILLED") if event["e"] == "executionReport"]
    assert [(report["x"], report["X"]) for report in reports] == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert (reports[-1]["Q"], reports[-1]["Z"]) == ("1000.30000000", "1000.00000000")


def test_expired_market_order(alice: Client, page: Socket) -> None:
    page.ask("userDataStream.subscribe")
    alice.market("SELL", quantity="0.1")
    reports = [event for event in events(page, "EXPIRED") if event["e"] == "executionReport"]
    assert [(report["x"], report["X"]) for report in reports] == [("NEW", "NEW"), ("EXPIRED", "EXPIRED")]


def test_report_of_an_iceberg_that_expires_by_its_own_order(alice: Client, page: Socket) -> None:
    """Both sides of prevented matches, with what they lost; the taker goes on after a DECREMENT."""
    page.ask("userDataStream.subscribe")
    maker = alice.limit("SELL", "50000.00", "0.3", icebergQty="0.1")
    taker = alice.limit("BUY", "50000.00", "0.5", selfTradePreventionMode="DECREMENT")
    found = [message["event"] for message in page.seen if "event" in message]
    while not any(event.get("X") == "EXPIRED_IN_MATCH" for event in found):
        found += [page.until(lambda m: "event" in m)["event"]]
    reports = [event for event in found if event["e"] == "executionReport"]
    assert (reports[0]["F"], reports[0]["x"]) == ("0.10000000", "NEW")
    prevented = [event for event in reports if event["x"] == "TRADE_PREVENTION"]
    assert [(event["i"], event["X"], event["B"], event["A"]) for event in prevented] == [
        (taker["orderId"], "NEW", "0.10000000", "0.10000000"),
        (maker["orderId"], "NEW", "0.10000000", "0.10000000"),
        (taker["orderId"], "NEW", "0.10000000", "0.20000000"),
        (maker["orderId"], "NEW", "0.10000000", "0.20000000"),
        (taker["orderId"], "NEW", "0.10000000", "0.30000000"),
        (maker["orderId"], "EXPIRED_IN_MATCH", "0.10000000", "0.30000000"),
    ]  # fmt: skip
    assert (prevented[0]["U"], prevented[1]["U"], prevented[0]["v"], prevented[0]["pL"], prevented[0]["pY"]) == (
        maker["orderId"], taker["orderId"], prevented[1]["v"], "50000.00000000", "5000.00000000",
    )  # fmt: skip


def test_report_of_a_taker_that_its_own_order_ends(alice: Client, page: Socket) -> None:
    page.ask("userDataStream.subscribe")
    maker = alice.limit("SELL", "50000.00", "0.3")
    alice.limit("BUY", "50000.00", "0.5")
    report = next(event for event in events(page, "EXPIRED_IN_MATCH") if event.get("X") == "EXPIRED_IN_MATCH")
    assert (report["x"], report["B"], report["A"], report["pl"], report["U"], report["V"]) == (
        "TRADE_PREVENTION", "0.50000000", "0.50000000", "0.30000000", maker["orderId"], "EXPIRE_TAKER",
    )  # fmt: skip


def test_report_says_why_an_order_expired(alice: Client, page: Socket) -> None:
    page.ask("userDataStream.subscribe")
    alice.limit("BUY", "50000.00", "0.5", timeInForce="IOC")
    report = next(event for event in events(page, "EXPIRED") if event.get("X") == "EXPIRED")
    assert (report["x"], report["f"], report["eR"]) == ("EXPIRED", "IOC", "UNFILLED_IOC_QUANTITY_EXPIRED")


def test_deposits_are_balance_updates(exchange: Exchange, alice: Client, page: Socket) -> None:
    page.ask("userDataStream.subscribe")
    usdt = Asset.objects.get(code="USDT").pk
    credit(account_id=alice.me.account_id, asset_id=usdt, amount_units=150_000_000, key=secrets.token_hex(8))
    update = page.until(lambda m: "event" in m)["event"]
    assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "USDT", "1.50000000")
    position = page.until(lambda m: "event" in m)["event"]
    assert position["B"] == [{"a": "USDT", "f": "1000001.50000000", "l": "0.00000000"}]


def test_user_data_is_complete_in_order_and_of_this_account_only(
    exchange: Exchange, alice: Client, bob: Client, page: Socket
) -> None:
    """100 orders of two accounts at once: the reports add up to the balance, and none is of the other account."""
    page.ask("userDataStream.subscribe")
    page.seen.clear()
    numbers = []
    for n in range(50):
        numbers.append(alice.limit("BUY", f"{49000 + n}.00", "0.01")["orderId"])
        bob.limit("SELL", f"{49000 + n}.00", "0.01")
    reports: dict[int, list[str]] = {}
    while sum(states[-1] == "FILLED" for states in reports.values()) < 50:
        event = page.until(lambda m: "event" in m)["event"]
        if event["e"] == "executionReport":
            reports.setdefault(event["i"], []).append(event["X"])
    assert list(reports) == numbers
    assert all(states == ["NEW", "FILLED"] for states in reports.values())


def test_subscriptions_of_two_accounts_and_their_ends(exchange: Exchange, alice: Client, bob: Client) -> None:
    with open_socket(exchange) as socket:
        for number, client in enumerate((alice, bob)):
            answer = socket.ask("userDataStream.subscribe.signature", **signed(client))
            assert answer["result"] == {"subscriptionId": number}
        again = socket.ask("userDataStream.subscribe.signature", **signed(bob))
        assert (again["status"], again["error"]) == (
            400, {"code": -2035, "msg": "User Data Stream subscription already active."},
        )  # fmt: skip
        assert socket.ask("session.subscriptions")["result"] == [{"subscriptionId": 0}, {"subscriptionId": 1}]
        assert socket.ask("session.status")["result"]["userDataStream"] is True
        bob.limit("BUY", "40000", "0.1")
        alice.limit("BUY", "40000", "0.1")
        got = [socket.until(lambda m: m.get("event", {}).get("x") == "NEW")["subscriptionId"] for _ in range(2)]
        assert got == [1, 0]
        socket.seen.clear()
        assert socket.ask("userDataStream.unsubscribe", subscriptionId=0)["result"] == {}
        ended = socket.until(lambda m: m.get("event", {}).get("e") == "eventStreamTerminated")
        assert (set(ended), ended["subscriptionId"], set(ended["event"])) == (
            {"subscriptionId", "event"}, 0, {"e", "E"},
        )  # fmt: skip
        # The answer comes first.
        places = [n for n, m in enumerate(socket.seen) if m.get("result") == {} or m is ended]
        assert socket.seen[places[0]].get("result") == {}
        assert socket.ask("userDataStream.unsubscribe", subscriptionId=0)["error"]["code"] == -2036
        # A number is never used again.
        assert socket.ask("userDataStream.subscribe.signature", **signed(alice))["result"] == {"subscriptionId": 2}
        assert socket.ask("userDataStream.unsubscribe")["result"] == {}
        assert socket.ask("session.subscriptions")["result"] == []
        assert socket.ask("session.status")["result"]["userDataStream"] is False
        assert socket.ask("userDataStream.subscribe")["status"] == 401
    wait_until(lambda: not exchange.gateway_thread.call(lambda: exchange.gateway.user_data._feeds))


def test_logging_out_ends_the_subscription_of_the_session_only(
    exchange: Exchange, alice: Client, bob: Client, page: Socket
) -> None:
    assert page.ask("userDataStream.subscribe.signature", **signed(bob))["result"] == {"subscriptionId": 0}
    assert page.ask("userDataStream.subscribe")["result"] == {"subscriptionId": 1}
    assert page.ask("session.logout")["result"]["userDataStream"] is True
    ended = page.until(lambda m: m.get("event", {}).get("e") == "eventStreamTerminated")
    assert ended["subscriptionId"] == 1
    alice.limit("BUY", "40000", "0.1")
    bob.limit("BUY", "40000", "0.1")
    assert page.until(lambda m: "event" in m)["subscriptionId"] == 0
    assert page.ask("session.subscriptions")["result"] == [{"subscriptionId": 0}]


def test_the_number_of_subscriptions_is_bounded(
    exchange: Exchange, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.gateway.wsapi.subscriptions.ACTIVE_MAX", 1)
    monkeypatch.setattr("apps.gateway.wsapi.subscriptions.NUMBERS_MAX", 2)
    with open_socket(exchange) as socket:
        assert socket.ask("userDataStream.subscribe.signature", **signed(alice))["status"] == 200
        refused = socket.ask("userDataStream.subscribe.signature", **signed(bob))
        assert refused["error"] == {
            "code": -1191, "msg": "Too many subscriptions. Connection may create up to '1' subscriptions at a time.",
        }  # fmt: skip
        socket.ask("userDataStream.unsubscribe")
        assert socket.ask("userDataStream.subscribe.signature", **signed(bob))["result"] == {"subscriptionId": 1}
        socket.ask("userDataStream.unsubscribe")
        assert socket.ask("userDataStream.subscribe.signature", **signed(bob))["error"]["code"] == -2042


# -- frames that are wrong --------------------------------------------------------------------------------------------
def test_garbage_gets_errors_and_then_the_door(exchange: Exchange) -> None:
    with open_socket(exchange) as socket:
        socket.send("{")
        assert socket.receive()["error"]["code"] == -1135
        socket.send({"id": 5, "method": "order.place", "params": []})
        answer = socket.receive()
        assert (answer["id"], answer["status"]) == (5, 400)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(50):
                socket.send(b"\x00")
        assert socket.closed_with() == 1008


def test_oversized_frames_are_cut_off(exchange: Exchange) -> None:
    with open_socket(exchange) as socket:
        socket.send(json.dumps({"id": 1, "method": "ping", "params": {"a": "x" * 70_000}}))
        assert socket.closed_with() == 1009


def test_a_flood_is_cut_off(exchange: Exchange) -> None:
    with open_socket(exchange) as socket:
        with contextlib.suppress(ConnectionClosed):
            for n in range(5_000):
                socket.send({"id": n, "method": "ping"})
        assert socket.closed_with() == 1008


def test_one_request_too_many_at_once_is_refused_and_the_connection_goes_on(exchange: Exchange, alice: Client) -> None:
    """64 cancels wait for an engine that stands still; the next request is not kept, and not the end either."""
    with open_socket(exchange) as socket:
        with exchange.engine_paused(keep_lease=True):
            for n in range(64):
                sent = signed(alice, symbol="BTCUSDT", origClientOrderId=f"none{n}")
                socket.send({"id": n, "method": "order.cancel", "params": sent})
            socket.send({"id": "more", "method": "ping"})
            refused = socket.until(lambda message: message["id"] == "more")
            assert (refused["status"], refused["error"]["code"]) == (429, -1003)
            assert [message["id"] for message in socket.seen] == ["more"]
        answers = [socket.receive() for _ in range(64)]
        assert {message["id"] for message in answers} == set(range(64))
        assert {message["error"]["code"] for message in answers} == {-2011}
        assert socket.ask("ping")["status"] == 200


def test_order_of_frames_is_the_order_in_the_log(page: Socket) -> None:
    """Place and cancel sent without waiting: the cancel always finds the order."""
    for n in range(30):
        page.send({"id": f"p{n}", "method": "order.place", "params": {**GOOD, "newClientOrderId": f"o{n}"}})
        cancel = {"symbol": "BTCUSDT", "origClientOrderId": f"o{n}"}
        page.send({"id": f"c{n}", "method": "order.cancel", "params": cancel})
        answers = {message["id"]: message["status"] for message in (page.receive(), page.receive())}
        assert answers == {f"p{n}": 200, f"c{n}": 200}


def test_a_hole_in_the_history_ends_the_stream(exchange: Exchange, alice: Client, page: Socket) -> None:
    """The client is told and cut off, so that it loads what it missed; nothing goes on as if complete."""
    page.ask("userDataStream.subscribe")
    feed = exchange.gateway.user_data._feeds[alice.me.account_id]
    seen: list[Any] = []

    async def lose_and_come_again() -> Any:
        feed.on_lost()
        # Before the old stream's connection is gone.
        return await exchange.gateway.user_data.subscribe(
            alice.me.account_id, lambda told: seen.extend(told.events), lambda: None
        )

    assert exchange.gateway_thread.loop is not None
    subscribed = asyncio.run_coroutine_threadsafe(lose_and_come_again(), exchange.gateway_thread.loop).result(40)
    assert page.until(lambda m: "event" in m)["event"]["e"] == "eventStreamTerminated"
    assert page.closed_with() == 1012
    assert exchange.gateway.user_data._feeds[alice.me.account_id] is not feed
    alice.limit("BUY", "40000", "0.1")
    wait_until(lambda: [event["e"] for event in seen] == ["executionReport", "outboundAccountPosition"])
    exchange.gateway_thread.call(subscribed.leave)
    wait_until(lambda: not exchange.gateway.user_data._feeds and not exchange.gateway.tail._feeds)


def test_what_arrives_after_the_connection_ended_is_not_followed(exchange: Exchange, alice: Client) -> None:
    """A log-on or subscription may still be under way when its connection ends; nothing may keep that connection."""

    async def late() -> bool:
        socket = GatewaySocket({}, None, None)  # type: ignore[arg-type]
        connection = WsApiConnection(exchange.gateway, socket, address="", own_origin=True, shows_limits=True)
        credential = Credential("ticket", 10**12, alice.me.account_id, 1, can_read=True, can_trade=True, tier="demo")
        socket.close(1000, "")
        connection.leave()
        connection.log_on(credential)
        return ("ticket", 10**12) in exchange.gateway.credentials._followers

    assert exchange.gateway_thread.loop is not None
    assert not asyncio.run_coroutine_threadsafe(late(), exchange.gateway_thread.loop).result(40)


def test_a_subscription_that_cannot_be_loaded_is_refused(
    exchange: Exchange, page: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settlement hangs: 503 and nothing is left behind; it works once settlement does."""
    monkeypatch.setattr("apps.gateway.userdata.LOAD_TIMEOUT_S", 0.3)
    with psycopg.connect(settings.DATABASE_DSN) as blocker:
        blocker.execute("LOCK TABLE orders_order IN SHARE MODE")
        page.ask("order.place", **GOOD)
        answer = page.ask_once("userDataStream.subscribe")
        assert (answer["status"], answer["error"]["code"]) == (503, -1001)
        assert not exchange.gateway.tail._feeds
        blocker.rollback()
    monkeypatch.undo()
    assert page.ask("userDataStream.subscribe")["status"] == 200
