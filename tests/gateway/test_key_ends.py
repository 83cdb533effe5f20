"""Keys that expire, the right to withdraw as the dialect shows it, and when and from where a key was used last."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey
from apps.accounts.services.keyissue import issue_hmac_key
from apps.common.clock import now_us
from apps.gateway.keyends import Ends
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import signed

REFUSED = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
DAY_US = 86_400_000_000


def with_key(exchange: Exchange, client: Client, **terms: Any) -> Client:
    """The same account by a key of these terms."""
    new = issue_hmac_key(
        account_id=client.me.account_id, terms=KeyTerms(label="ends", can_read=True, can_trade=True, **terms)
    )
    account = replace(client.me, api_key=new.key.public_key, api_secret=new.secret)
    return Client(exchange.base_url, account, tidy=False)


def test_an_expired_key_is_refused_and_its_connections_end(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = timezone.now() + timedelta(days=1)
    with (
        with_key(exchange, alice, expires_at=end) as client,
        Socket(f"{exchange.ws_url}/ws-api/v3") as socket,
        Socket(f"{exchange.ws_url}/ws-api/v3") as other,
    ):
        assert socket.ask("userDataStream.subscribe.signature", **signed(client))["status"] == 200
        rights = client.ok("GET", "/sapi/v1/account/apiRestrictions")
        assert rights["tradingAuthorityExpirationTime"] == int(end.timestamp() * 1_000_000) // 1000
        assert rights["enableWithdrawals"] is False
        listen_key = client.raw("POST", "/api/v3/userDataStream").json()["listenKey"]
        with Socket(f"{exchange.ws_url}/ws/{listen_key}") as listening:
            assert listening.control("LIST_SUBSCRIPTIONS")["result"] == [listen_key]
            monkeypatch.setattr("apps.gateway.keys.now_us", lambda: now_us() + DAY_US)
            order = {**LIMIT, "side": "BUY", "price": "40000.00", "quantity": "0.1"}
            for method, path, params in (
                ("GET", "/api/v3/account", {}), ("POST", "/api/v3/order", order),
                ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}),
            ):  # fmt: skip
                answer = client.signed(method, path, **params)
                assert (answer.status_code, answer.json()) == (401, REFUSED), path
            assert client.raw("POST", "/api/v3/userDataStream").json() == REFUSED
            refused = other.ask("account.status", **signed(client))
            assert (refused["status"], refused["error"]) == (401, REFUSED)
            assert socket.closed_with() == 4001
            assert listening.closed_with() == 4001
        # Keys without an end, such as those from before there were ends, work on.
        assert alice.signed("GET", "/api/v3/account").status_code == 200
        monkeypatch.undo()
        assert client.signed("GET", "/api/v3/account").status_code == 200


def test_ends_come_once_and_in_order() -> None:
    ends = Ends()
    for expires_us, key_id in ((30, 3), (10, 1), (20, 2), (10, 1), (30, 4)):
        ends.add(expires_us, key_id)
    assert [ends.due(at_us) for at_us in (9, 10, 10, 29, 30, 31)] == [[], [1], [], [2], [3, 4], []]


def test_the_right_to_withdraw_is_shown(exchange: Exchange, alice: Client) -> None:
    end = timezone.now() + timedelta(days=30)
    with with_key(exchange, alice, can_withdraw=True, networks=["127.0.0.1"], expires_at=end) as client:
        rights = client.ok("GET", "/sapi/v1/account/apiRestrictions")
        assert (rights["enableWithdrawals"], rights["ipRestrict"]) == (True, True)


def test_last_uses_are_written_together(exchange: Exchange, alice: Client, bob: Client) -> None:
    """Of a row that is locked at that moment the next time, without waiting; never an earlier use over a later one."""
    uses = exchange.gateway.credentials.last_uses
    loop = exchange.gateway_thread.loop

    def write() -> None:
        asyncio.run_coroutine_threadsafe(uses.write(), loop).result(60)

    def used(client: Client) -> Any:
        return ApiKey.objects.values_list("last_used_at", "last_used_address").get(public_key=client.me.api_key)

    alice.ok("GET", "/api/v3/account")
    before = timezone.now()
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        socket.ask("account.status", **signed(alice))
    version = ApiKey.objects.get(public_key=alice.me.api_key).version
    key_id = ApiKey.objects.get(public_key=bob.me.api_key).pk
    with transaction.atomic():
        earlier = used(bob)
        ApiKey.objects.select_for_update().get(pk=key_id)
        bob.ok("GET", "/api/v3/account")
        write()
        at, address = used(alice)
        assert before <= at <= timezone.now()
        assert address == "127.0.0.1"
        assert used(bob) == earlier
    write()
    at_bob, _ = used(bob)
    assert at_bob > before
    uses.note(key_id, 1, "203.0.113.9")
    write()
    assert used(bob) == (at_bob, "127.0.0.1")
    # Nobody who follows keys is woken by it.
    assert ApiKey.objects.get(public_key=alice.me.api_key).version == version


def test_uses_wait_for_a_database_that_is_away(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = exchange.gateway.credentials.last_uses
    loop = exchange.gateway_thread.loop
    alice.ok("GET", "/api/v3/account")

    async def away(*_: Any) -> Any:
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(uses, "_write", away)
        asyncio.run_coroutine_threadsafe(uses.write(), loop).result(60)
    asyncio.run_coroutine_threadsafe(uses.write(), loop).result(60)
    assert ApiKey.objects.get(public_key=alice.me.api_key).last_used_at is not None
