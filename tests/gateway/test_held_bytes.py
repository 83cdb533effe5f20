"""What waits for clients of a gateway is bounded over all of them, and given back however a subscription ends."""

from dataclasses import replace
from typing import Any

import pytest

from apps.gateway import errors
from apps.gateway.listenkeys import Listening
from apps.gateway.streams.userstreams import UserStreams
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket
from tests.gateway.test_listen_keys import make, set_left
from tests.gateway.test_resuming import subscribe
from tests.gateway.test_shared_feeds import place, told
from tests.gateway.test_wsapi import open_socket, signed

METHOD = "userDataStream.subscribe.signature"
BUSY = {"code": -1008, "msg": "Too many subscriptions are reading what was missed (fromSeq). Please try again."}


@pytest.fixture
def began(exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch) -> int:
    """A place with three orders behind it; from now on what waits for a client goes on waiting."""
    with open_socket(exchange) as socket:
        seq: int = subscribe(socket, alice, returnSeq=True)["seq"]
        for _ in range(3):
            last = place(exchange, alice)
        told(socket, last)
    monkeypatch.setattr("apps.gateway.heldframes.ROOM_BYTES", 0)
    return seq


def waits(exchange: Exchange) -> int:
    return int(exchange.gateway_thread.call(lambda: exchange.gateway.held_bytes.count))


def test_from_half_of_the_bound_nobody_resumes_and_beyond_it_who_waits_is_cut_off(
    exchange: Exchange, alice: Client, bob: Client, began: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert waits(exchange) == 0
    with open_socket(exchange) as slow, open_socket(exchange) as second:
        subscribe(slow, alice, fromSeq=began)
        held = waits(exchange)
        assert held > 1_000
        bound = "apps.gateway.heldframes.ALL_HELD_BYTES_MAX"
        monkeypatch.setattr(bound, 2 * held)
        answer = second.ask_once(METHOD, **signed(bob, fromSeq=began))
        assert (answer["status"], answer["error"]) == (503, BUSY)
        # Who does not look back adds nothing.
        assert second.ask(METHOD, **signed(bob))["status"] == 200
        second.ask("userDataStream.unsubscribe", subscriptionId=0)
        monkeypatch.setattr(bound, 2 * held + 2)
        assert subscribe(second, bob, fromSeq=began)["seq"] == began
        monkeypatch.setattr(bound, held)
        alice.limit("BUY", "40000.00", "0.1")
        assert slow.closed_with() == 1008
        # Of whom it was, not only of whom it would have been too much for.
        assert second.ask("session.status")["status"] == 200
    wait_until(lambda: waits(exchange) == 0)


def test_ends_of_subscriptions_give_it_back(exchange: Exchange, alice: Client, began: int) -> None:
    with open_socket(exchange) as socket:
        subscribe(socket, alice, fromSeq=began)
        assert waits(exchange) > 1_000
        assert socket.ask("userDataStream.unsubscribe", subscriptionId=0)["result"] == {}
        assert waits(exchange) == 0
        subscribe(socket, alice, fromSeq=began)
        assert waits(exchange) > 1_000
    wait_until(lambda: waits(exchange) == 0)


def test_a_subscription_that_fails_at_its_end_gives_it_back(
    exchange: Exchange, alice: Client, began: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_data, held = exchange.gateway.user_data, []
    resume = user_data.resume

    async def fails_afterwards(*arguments: Any) -> Any:
        (await resume(*arguments)).leave()
        held.append(exchange.gateway.held_bytes.count)
        raise errors.not_executed()

    monkeypatch.setattr(user_data, "resume", fails_afterwards)
    with open_socket(exchange) as socket:
        assert socket.ask_once(METHOD, **signed(alice, fromSeq=began))["status"] == 503
        assert held[0] > 1_000
        assert waits(exchange) == 0


def test_a_listen_key_that_expires_before_its_answer_gives_it_back(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = exchange.gateway.listen_keys.find

    async def soon_over(listen_key: str) -> Listening | None:
        found = await find(listen_key)
        return found and replace(found, left_s=0.05)

    monkeypatch.setattr(exchange.gateway.listen_keys, "find", soon_over)
    monkeypatch.setattr(UserStreams, "release", lambda self: None)
    key = make(alice)
    with Socket(f"ws://127.0.0.1:{exchange.gateway_thread.port}/ws/{key}"):
        wait_until(lambda: bool(exchange.gateway_thread.call(lambda: exchange.gateway.user_data._feeds)))
        alice.limit("BUY", "40000.00", "0.1")
        wait_until(lambda: waits(exchange) > 0)
        set_left(key, -1)
        wait_until(lambda: waits(exchange) == 0)
