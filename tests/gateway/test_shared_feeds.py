"""Subscribers of one account share one feed, however they began and wherever settlement and the gateway's tail stand:
each is told everything after its place, once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, GatewayThread, held, wait_until
from tests.gateway.sockets import Socket
from tests.gateway.test_resuming import frames, subscribe, without_time
from tests.gateway.test_wsapi import open_socket, signed


@contextmanager
def tail_held(thread: GatewayThread) -> Iterator[None]:
    """The gateway learns of no event until the block ends; settlement goes on."""
    assert thread.gateway is not None
    with held(thread, thread.gateway.tail, "_ask") as waits:
        assert waits.wait(40)
        yield


@pytest.fixture
def other(exchange: Exchange) -> Iterator[GatewayThread]:
    """Orders go through the first gateway, so that this one may hear of them late."""
    with exchange.further_gateway() as running:
        yield running
        assert running.gateway is not None
        wait_until(lambda: not running.call(lambda: running.gateway.tail._feeds or running.gateway.user_data._feeds))


def open_at(other: GatewayThread) -> Socket:
    return Socket(f"ws://127.0.0.1:{other.port}/ws-api/v3")


def feeds(other: GatewayThread, client: Client) -> int:
    assert other.gateway is not None
    gateway = other.gateway
    return int(other.call(lambda: len(gateway.tail._feeds[client.me.account_id])))


def place(exchange: Exchange, client: Client) -> Any:
    """An order that PostgreSQL knows of."""
    order = client.limit("BUY", "40000.00", "0.1")
    exchange.wait_settled()
    return order["orderId"]


def told(socket: Socket, last_order: int) -> tuple[list[int], list[Any]]:
    """The orders that were told of until all was told of this one, and all frames."""
    while True:
        found = [message for message in socket.seen if "event" in message]
        orders = [frame["event"]["i"] for frame in found if frame["event"]["e"] == "executionReport"]
        if last_order in orders and "seq" in found[-1]:
            return orders, without_time(found)
        socket.receive()


def test_the_place_of_an_answer_where_settlement_is_ahead(
    exchange: Exchange, alice: Client, other: GatewayThread
) -> None:
    with open_at(other) as live:
        with tail_held(other):
            place(exchange, alice)
            began = subscribe(live, alice, returnSeq=True)["seq"]
        second = place(exchange, alice)
        orders, found = told(live, second)
        assert orders == [second]
    with open_socket(exchange) as again:
        subscribe(again, alice, fromSeq=began)
        assert without_time(frames(again, found[-1]["seq"])) == found


def test_who_resumes_ahead_of_the_shared_feed_hears_nothing_twice(
    exchange: Exchange, alice: Client, other: GatewayThread
) -> None:
    with open_at(other) as live, open_at(other) as again:
        began = subscribe(live, alice, returnSeq=True)["seq"]
        first = place(exchange, alice)
        told(live, first)
        with tail_held(other):
            second = place(exchange, alice)
            subscribe(again, alice, fromSeq=began)
            assert told(again, second)[0] == [first, second]
            assert feeds(other, alice) == 1
        third = place(exchange, alice)
        assert told(again, third)[0] == [first, second, third]
        assert told(live, third) == told(again, third)


def test_who_resumes_behind_the_shared_feed_misses_nothing(
    exchange: Exchange, alice: Client, other: GatewayThread
) -> None:
    """While the past is read, somebody else subscribes, as of a later event."""
    assert other.gateway is not None
    with open_socket(exchange) as socket:
        began = subscribe(socket, alice, returnSeq=True)["seq"]
    first = place(exchange, alice)
    with open_at(other) as again:
        with open_at(other) as live:
            with tail_held(other):
                with held(other, other.gateway.user_data, "_orders_at") as waits:
                    params = signed(alice, fromSeq=began)
                    again.send({"id": "a", "method": "userDataStream.subscribe.signature", "params": params})
                    assert waits.wait(40)
                    second = place(exchange, alice)
                    later = subscribe(live, alice, returnSeq=True)["seq"]
                    assert feeds(other, alice) == 2
                assert again.until(lambda m: m.get("id") == "a")["result"] == {"subscriptionId": 0, "seq": began}
                assert told(again, first)[0] == [first]
                assert feeds(other, alice) == 1
            third = place(exchange, alice)
            orders, found = told(again, third)
            assert orders == [first, second, third]
            assert began < later < found[-1]["seq"]
            assert told(live, third) == ([third], found[-2:])
        # Who listened longer goes on when the other one leaves.
        fourth = place(exchange, alice)
        assert told(again, fourth)[0] == [first, second, third, fourth]


@pytest.mark.parametrize("more", [{}, {"fromSeq": 0}])
def test_a_feed_that_cannot_begin_is_not_left_behind(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    """As where the gateway does not know the market of an order yet."""

    def fails(*_: Any) -> None:
        raise KeyError(77)

    with open_socket(exchange) as socket:
        monkeypatch.setattr("apps.gateway.accountfeed.AccountFeed.load", fails)
        answer = socket.ask("userDataStream.subscribe.signature", **signed(alice, **more))
        assert (answer["status"], answer["error"]["code"]) == (500, -1000)
        assert not exchange.gateway_thread.call(lambda: exchange.gateway.tail._feeds)
        monkeypatch.undo()
        subscribe(socket, alice)
        order_id = place(exchange, alice)
        assert socket.until(lambda m: "event" in m)["event"]["i"] == order_id


# -- Frames that wait -------------------------------------------------------------------------------------------------
def test_nothing_comes_after_the_end_of_a_subscription(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is behind ends a resumed subscription: what still waits is dropped."""
    with open_socket(exchange) as socket:
        began = subscribe(socket, alice, returnSeq=True)["seq"]
        told(socket, place(exchange, alice))
    with open_socket(exchange) as socket:
        monkeypatch.setattr("apps.gateway.heldframes.ROOM_BYTES", 0)
        subscribe(socket, alice, fromSeq=began)
        assert socket.ask("userDataStream.unsubscribe", subscriptionId=0)["result"] == {}
        assert socket.until(lambda m: "event" in m)["event"]["e"] == "eventStreamTerminated"
        monkeypatch.undo()
        # It would be sent within LOOK_AGAIN_S.
        for _ in range(10):
            time.sleep(0.02)
            socket.ask("session.status")
        assert [message["event"]["e"] for message in socket.seen if "event" in message] == ["eventStreamTerminated"]


def test_what_waits_for_a_client_is_bounded_in_bytes(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_socket(exchange) as socket:
        began = subscribe(socket, alice, returnSeq=True)["seq"]
        for _ in range(3):
            last = place(exchange, alice)
        told(socket, last)
    monkeypatch.setattr("apps.gateway.heldframes.ROOM_BYTES", 0)
    for bound, is_cut in ((100_000, False), (2_000, True)):
        monkeypatch.setattr("apps.gateway.heldframes.HELD_BYTES_MAX", bound)
        with open_socket(exchange) as socket:
            socket.send({"id": 1, "method": "userDataStream.subscribe.signature",
                         "params": signed(alice, fromSeq=began)})  # fmt: skip
            if is_cut:
                assert socket.closed_with() == 1008
            else:
                assert socket.receive()["result"]["seq"] == began
                assert socket.ask("session.status")["status"] == 200
