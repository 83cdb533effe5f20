"""The fields of user data events, exactly, for every kind of order (clients.md section 6, the dialect's own tables)."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange
from tests.gateway.sockets import Socket
from tests.gateway.test_resuming import subscribe
from tests.gateway.test_wsapi import open_socket

MONEY, ID, FLAG, TEXT = "money", "id", "flag", "text"
# In this order; W is missing as long as an order does not work.
REPORT = {
    "e": TEXT, "E": ID, "s": TEXT, "c": TEXT, "S": TEXT, "o": TEXT, "f": TEXT, "q": MONEY, "p": MONEY, "P": MONEY,
    "F": MONEY, "g": ID, "C": TEXT, "x": TEXT, "X": TEXT, "r": TEXT, "i": ID, "l": MONEY, "z": MONEY, "L": MONEY,
    "n": MONEY, "N": TEXT, "T": ID, "t": ID, "v": ID, "I": ID, "w": FLAG, "m": FLAG, "M": FLAG, "O": ID, "Z": MONEY,
    "Y": MONEY, "Q": MONEY, "W": ID, "V": TEXT, "d": ID, "eR": TEXT, "A": MONEY, "B": MONEY, "u": ID, "U": ID,
    "Cs": TEXT, "pl": MONEY, "pL": MONEY, "pY": MONEY,
}  # fmt: skip
ALWAYS = [*"eEscSofqpPFgCxXrilzLnNTtIwmMOZYQV"]
PREVENTION = ["v", "A", "B", "u", "U", "Cs", "pl", "pL", "pY"]
IS_MONEY = re.compile(r"(0|[1-9]\d*)\.\d{8}")


def check_type(name: str, kind: str, value: Any) -> None:
    if kind == MONEY:
        assert isinstance(value, str), (name, value)
        assert IS_MONEY.fullmatch(value), (name, value)
    elif kind == ID:
        assert type(value) is int, (name, value)
    elif kind == FLAG:
        assert type(value) is bool, (name, value)
    else:
        assert isinstance(value, str) or (name == "N" and value is None), (name, value)


def check_report(event: dict[str, Any]) -> tuple[str, str, set[str]]:
    """(x, X, conditional fields) of a report whose fields are known, in their order, each of its type."""
    assert list(event) == [name for name in REPORT if name in event]
    assert set(ALWAYS) <= set(event)
    for name, value in event.items():
        check_type(name, REPORT[name], value)
    assert (event["N"] is None) == (event["x"] != "TRADE")
    assert (event["t"] == -1) == (event["x"] != "TRADE")
    assert event["M"] == (event["x"] == "TRADE")
    assert event["r"] == "NONE" or event["x"] in ("EXPIRED", "REJECTED")
    assert event["w"] == (event["X"] in ("NEW", "PARTIALLY_FILLED") and "W" in event)
    return event["x"], event["X"], set(event) - set(ALWAYS)


def command(socket: Socket) -> list[dict[str, Any]]:
    """What the next command tells."""
    found = []
    while True:
        frame = socket.until(lambda m: "event" in m)
        found.append(frame["event"])
        if "seq" in frame:
            return found


def reports(events: list[dict[str, Any]]) -> list[tuple[str, str, set[str]]]:
    """Of one command; what else it tells has exactly its own fields, and comes behind."""
    names = [event["e"] for event in events]
    assert names == sorted(names, key=["executionReport", "listStatus", "outboundAccountPosition"].index)
    for event in events:
        if event["e"] == "listStatus":
            assert list(event) == ["e", "E", "s", "g", "c", "l", "L", "r", "C", "T", "O"]
            assert all(list(order) == ["s", "i", "c"] for order in event["O"])
        elif event["e"] == "outboundAccountPosition":
            assert list(event) == ["e", "E", "u", "B"]
            assert all(list(row) == ["a", "f", "l"] for row in event["B"])
            assert len({row["a"] for row in event["B"]}) == len(event["B"])
    return [check_report(event) for event in events if event["e"] == "executionReport"]


@pytest.fixture
def told(exchange: Exchange, alice: Client) -> Iterator[Socket]:
    with open_socket(exchange) as socket:
        subscribe(socket, alice, returnSeq=True)
        yield socket


NEW = ("NEW", "NEW", {"W"})
WAITS = ("NEW", "NEW", set[str]())
BUY = {**LIMIT, "side": "BUY", "price": "49000.00", "quantity": "0.1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [NEW]),
        ({"icebergQty": "0.02"}, [NEW]),
        ({"timeInForce": "GTD", "goodTillDate": 4_000_000_000_000}, [NEW]),
        ({"type": "LIMIT_MAKER", "timeInForce": None}, [NEW]),
        ({"timeInForce": "IOC"}, [NEW, ("EXPIRED", "EXPIRED", {"W", "eR"})]),
        ({"timeInForce": "FOK"}, [NEW, ("EXPIRED", "EXPIRED", {"W", "eR"})]),
        ({"type": "MARKET", "timeInForce": None, "price": None}, [NEW, ("EXPIRED", "EXPIRED", {"W", "eR"})]),
        (
            {"type": "MARKET", "timeInForce": None, "price": None, "quantity": None, "quoteOrderQty": "100"},
            [NEW, ("EXPIRED", "EXPIRED", {"W", "eR"})],
        ),
        ({"type": "STOP_LOSS", "timeInForce": None, "price": None, "stopPrice": "51000"}, [WAITS]),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "51000"}, [WAITS]),
        ({"type": "TAKE_PROFIT", "timeInForce": None, "price": None, "stopPrice": "49000"}, [WAITS]),
        ({"type": "TAKE_PROFIT_LIMIT", "stopPrice": "49000"}, [WAITS]),
        ({"type": "STOP_LOSS_LIMIT", "trailingDelta": "100"}, [("NEW", "NEW", {"d"})]),
    ],
    ids=lambda value: value.get("type", "LIMIT") if isinstance(value, dict) else "",
)
def test_an_order_is_accepted(
    exchange: Exchange, alice: Client, bob: Client, told: Socket, changes: dict[str, Any], expected: list[Any]
) -> None:
    # A last price, for those that wait for another.
    bob.limit("BUY", "50000.00", "0.01")
    alice.limit("SELL", "50000.00", "0.01")
    command(told)
    sent = {name: value for name, value in {**BUY, **changes}.items() if value is not None}
    placed = alice.ok("POST", "/api/v3/order", **sent, newClientOrderId="mine", newOrderRespType="RESULT")
    events = command(told)
    assert reports(events) == expected
    first = events[0]
    assert (first["i"], first["c"], first["C"], first["o"], first["S"], first["g"]) == (
        placed["orderId"], "mine", "", placed["type"], "BUY", -1,
    )  # fmt: skip
    for letter, name in (("q", "origQty"), ("p", "price"), ("f", "timeInForce"), ("V", "selfTradePreventionMode"),
                         ("Q", "origQuoteOrderQty"), ("O", "transactTime"), ("T", "transactTime")):  # fmt: skip
        assert first[letter] == placed[name], letter
    assert first["P"] == placed.get("stopPrice", "0.00000000")
    assert first["F"] == placed.get("icebergQty", "0.00000000")
    assert abs(first["E"] - time.time() * 1000) < 60_000
    if len(events) > 1 and events[1]["e"] == "executionReport":
        assert events[1]["eR"] == placed["expiryReason"]
    if not sent["type"].startswith("MARKET"):
        canceled = alice.ok(
            "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"], newClientOrderId="cancel"
        ) if expected[-1][0] == "NEW" else None  # fmt: skip
        if canceled is not None:
            ended = command(told)
            assert reports(ended) == [("CANCELED", "CANCELED", expected[0][2])]
            assert (ended[0]["c"], ended[0]["C"]) == ("cancel", "mine")


def test_both_sides_of_a_trade(alice: Client, bob: Client, told: Socket) -> None:
    bob.limit("SELL", "50000.00", "0.3")
    alice.limit("BUY", "50000.00", "0.1")
    taker = command(told)
    assert reports(taker) == [NEW, ("TRADE", "FILLED", {"W"})]
    assert [row["a"] for row in taker[-1]["B"]] == ["USDT", "BTC"]
    alice.limit("BUY", "49000.00", "0.3")
    command(told)
    bob.limit("SELL", "49000.00", "0.1")
    maker = command(told)
    assert reports(maker) == [("TRADE", "PARTIALLY_FILLED", {"W"})]
    assert (maker[0]["m"], taker[1]["m"]) == (True, False)
    assert (maker[0]["N"], maker[0]["n"]) == ("BTC", maker[0]["n"])
    assert maker[0]["W"] < maker[0]["T"]


def test_a_trigger_an_amendment_and_a_replacement(alice: Client, bob: Client, told: Socket) -> None:
    bob.limit("BUY", "50000.00", "0.01")
    alice.limit("SELL", "50000.00", "0.01")
    command(told)
    stop = alice.ok(
        "POST", "/api/v3/order", symbol="BTCUSDT", side="SELL", type="STOP_LOSS_LIMIT", timeInForce="GTC",
        quantity="0.2", price="49500.00", stopPrice="49000.00", newOrderRespType="RESULT",
    )  # fmt: skip
    assert reports(command(told)) == [WAITS]
    bob.limit("BUY", "48900.00", "0.01")
    alice.limit("SELL", "48900.00", "0.01")
    events = command(told)
    while not any(event.get("i") == stop["orderId"] for event in events):
        events = command(told)
    assert [each for each in reports(events) if each not in (NEW, ("TRADE", "FILLED", {"W"}))] == []
    triggered = next(event for event in events if event.get("i") == stop["orderId"])
    assert (triggered["x"], triggered["w"], triggered["W"] > triggered["O"]) == ("NEW", True, True)
    alice.ok("PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT", orderId=stop["orderId"], newQty="0.1")
    [amended] = reports(events := command(told))
    assert amended == ("REPLACED", "NEW", {"W"})
    assert events[0]["q"] == "0.10000000"
    alice.ok(
        "POST", "/api/v3/order/cancelReplace", **{**BUY, "newClientOrderId": "next"},
        cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=stop["orderId"],
    )  # fmt: skip
    assert reports(command(told)) == [("CANCELED", "CANCELED", {"W"}), NEW]


def test_self_trade_prevention(alice: Client, told: Socket) -> None:
    maker = alice.limit("SELL", "50000.00", "0.3")
    command(told)
    taker = alice.limit("BUY", "50000.00", "0.5", selfTradePreventionMode="DECREMENT")
    events = command(told)
    prevented = {"W", *PREVENTION}
    assert reports(events) == [
        NEW, ("TRADE_PREVENTION", "NEW", prevented), ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", prevented),
    ]  # fmt: skip
    assert (events[1]["U"], events[2]["U"], events[1]["u"]) == (maker["orderId"], taker["orderId"], -1)


def test_lists(alice: Client, bob: Client, told: Socket) -> None:
    bob.limit("BUY", "50000.00", "0.01")
    alice.limit("SELL", "50000.00", "0.01")
    command(told)
    alice.ok(
        "POST", "/api/v3/orderList/oco", symbol="BTCUSDT", side="SELL", quantity="0.1", aboveType="LIMIT_MAKER",
        abovePrice="51000", belowType="STOP_LOSS", belowStopPrice="49000", listClientOrderId="mine",
    )  # fmt: skip
    events = command(told)
    assert sorted(reports(events), key=str) == sorted([NEW, WAITS], key=str)
    listed = next(event for event in events if event["e"] == "listStatus")
    assert (listed["c"], listed["l"], listed["L"], listed["r"], listed["C"], len(listed["O"])) == (
        "OCO", "EXEC_STARTED", "EXECUTING", "NONE", "mine", 2,
    )  # fmt: skip
    bob.limit("BUY", "51000.00", "0.1")
    events = command(told)
    assert sorted(reports(events), key=str) == sorted(
        [("TRADE", "FILLED", {"W"}), ("EXPIRED", "EXPIRED", {"eR"})], key=str
    )
    done = next(event for event in events if event["e"] == "listStatus")
    assert (done["l"], done["L"], done["g"], [each["i"] for each in done["O"]]) == (
        "ALL_DONE", "ALL_DONE", listed["g"], [each["i"] for each in listed["O"]],
    )  # fmt: skip
    alice.ok(
        "POST", "/api/v3/orderList/oto", symbol="BTCUSDT", workingType="LIMIT", workingSide="BUY",
        workingTimeInForce="GTC", workingPrice="49000", workingQuantity="0.1", pendingType="LIMIT", pendingSide="SELL",
        pendingPrice="52000", pendingQuantity="0.1", pendingTimeInForce="GTC",
    )  # fmt: skip
    assert reports(command(told)) == [NEW, ("NEW", "PENDING_NEW", set())]
    bob.limit("SELL", "49000.00", "0.1")
    assert reports(command(told)) == [("TRADE", "FILLED", {"W"}), NEW]


def test_a_list_from_before_the_subscription_is_told_whole(exchange: Exchange, alice: Client, bob: Client) -> None:
    """Also with the orders of it that had ended by then."""
    bob.limit("SELL", "49000.00", "0.1")
    alice.ok(
        "POST", "/api/v3/orderList/oto", symbol="BTCUSDT", workingType="LIMIT", workingSide="BUY",
        workingTimeInForce="GTC", workingPrice="49000", workingQuantity="0.1", pendingType="LIMIT", pendingSide="SELL",
        pendingPrice="52000", pendingQuantity="0.1", pendingTimeInForce="GTC", workingClientOrderId="first",
        pendingClientOrderId="second",
    )  # fmt: skip
    with open_socket(exchange) as socket:
        subscribe(socket, alice, returnSeq=True)
        alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="second")
        events = command(socket)
    assert reports(events) == [("CANCELED", "CANCELED", {"W"})]
    done = next(event for event in events if event["e"] == "listStatus")
    assert [each["c"] for each in done["O"]] == ["first", "second"]


def test_times_in_microseconds(exchange: Exchange, alice: Client) -> None:
    """Of answers and events, where the connection's address asks for them."""
    address = f"{exchange.ws_url}/ws-api/v3?timeUnit=microsecond&returnRateLimits=false"
    with open_socket(exchange) as milli, Socket(address) as micro:
        for socket in (milli, micro):
            subscribe(socket, alice, returnSeq=True)
        placed = alice.limit("BUY", "40000", "0.1")
        for one, other in zip(command(milli), command(micro), strict=True):
            times = {"E", "T", "O", "W"} if one["e"] == "executionReport" else {"E", "u"}
            for name, value in one.items():
                if name == "E":
                    assert other["E"] == value * 1000
                else:
                    assert other[name] == (value * 1000 if name in times else value), name
        assert micro.ask("time")["result"]["serverTime"] > 10**15
        status = micro.ask("session.status")
        assert set(status) == {"id", "status", "result"}
        assert status["result"]["connectedSince"] > 10**15
        asked = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
        sent = {"apiKey": alice.me.api_key, "timestamp": int(time.time() * 1_000_000), **asked}
        text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
        shown = micro.ask("order.status", **sent, signature=alice.sign(text))["result"]
        assert shown["time"] == placed["transactTime"] * 1000
    for query in (
        "timeUnit=SECOND",
        "timeUnit=",
        "returnRateLimits=perhaps",
        "timeUnit=MICROSECOND&timeUnit=MICROSECOND",
    ):
        with Client(exchange.base_url) as client:
            headers = {
                "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            }  # fmt: skip
            assert client.http.get(f"/ws-api/v3?{query}", headers=headers).status_code == 400, query
