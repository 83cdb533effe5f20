"""Commands that the engine skipped (poison, too old at a takeover): a clear answer on both APIs, and nothing happened.

At most two INTERNAL skips to a market here: the third stops it.
"""

from typing import Any

import pytest

from apps.streams.kinds import Reason
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import open_socket, signed

ORDER = "/api/v3/order"
AGAIN = (503, {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."})
POISON = (400, {"code": -2010, "msg": "This order cannot be processed. Nothing was executed; please report it."})
POISON_CANCEL = (400, {"code": -1000, "msg": "This cancel cannot be processed. Nothing was changed; please report it."})


def order(symbol: str, **more: Any) -> dict[str, Any]:
    return {**LIMIT, "symbol": symbol, "side": "BUY", "price": "100", "quantity": "1", **more}


@pytest.mark.parametrize(
    ("reason", "expected", "symbol"),
    [(Reason.ENGINE_RESTARTED, AGAIN, "LTCUSDT"), (Reason.INTERNAL, POISON, "LTCUSDT")],
)
def test_a_skipped_order_over_rest(
    exchange: Exchange, alice: Client, reason: Reason, expected: tuple[int, Any], symbol: str
) -> None:
    before = alice.balances()
    with exchange.commands_skipped(reason):
        answer = alice.signed("POST", ORDER, **order(symbol, newClientOrderId="mine"))
    assert (answer.status_code, answer.json()) == expected
    assert answer.headers.get("retry-after") == ("1" if expected is AGAIN else None)
    # Nothing of it is anywhere, and its client id is free for another try.
    assert alice.refused("GET", ORDER, symbol=symbol, origClientOrderId="mine")[:2] == (400, -2013)
    assert alice.ok("GET", "/api/v3/openOrders") == []
    assert alice.balances() == before
    assert alice.ok("POST", ORDER, **order(symbol, newClientOrderId="mine"))["status"] == "NEW"


@pytest.mark.parametrize(("reason", "expected"), [(Reason.ENGINE_RESTARTED, AGAIN), (Reason.INTERNAL, POISON_CANCEL)])
def test_skipped_cancels_over_rest(
    exchange: Exchange, alice: Client, reason: Reason, expected: tuple[int, Any]
) -> None:
    resting = alice.ok("POST", ORDER, **order("BNBUSDT"))["orderId"]
    with exchange.commands_skipped(reason):
        one = alice.signed("DELETE", ORDER, symbol="BNBUSDT", orderId=resting)
        every = alice.signed("DELETE", "/api/v3/openOrders", symbol="BNBUSDT")
    assert (one.status_code, one.json()) == (every.status_code, every.json()) == expected
    assert [shown["orderId"] for shown in alice.ok("GET", "/api/v3/openOrders")] == [resting]
    assert alice.ok("DELETE", ORDER, symbol="BNBUSDT", orderId=resting)["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("reason", "place", "cancel"),
    [(Reason.ENGINE_RESTARTED, AGAIN, AGAIN), (Reason.INTERNAL, POISON, POISON_CANCEL)],
)
def test_skipped_commands_over_the_websocket_api(
    exchange: Exchange, alice: Client, reason: Reason, place: tuple[int, Any], cancel: tuple[int, Any]
) -> None:
    """The account's stream tells nothing of them, and what comes after is told as ever."""
    resting = alice.ok("POST", ORDER, **order("ETHUSDT", price="2500"))["orderId"]
    with open_socket(exchange) as socket:
        assert socket.ask("userDataStream.subscribe.signature", **signed(alice))["status"] == 200
        with exchange.commands_skipped(reason):
            placed = socket.ask_once("order.place", **signed(alice, **order("ETHUSDT", price="2500")))
            canceled = socket.ask_once("order.cancel", **signed(alice, symbol="ETHUSDT", orderId=resting))
        assert (placed["status"], placed["error"]) == place
        assert (canceled["status"], canceled["error"]) == cancel
        alice.ok("DELETE", ORDER, symbol="ETHUSDT", orderId=resting)
        report = first_event(socket)
        assert (report["x"], report["i"]) == ("CANCELED", resting)


def first_event(socket: Socket) -> dict[str, Any]:
    """The first user data event of the connection."""
    seen = [message["event"] for message in socket.seen if "event" in message]
    return seen[0] if seen else socket.until(lambda message: "event" in message)["event"]  # type: ignore[no-any-return]
