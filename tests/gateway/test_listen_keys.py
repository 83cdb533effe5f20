"""User data by listen keys: made, prolonged and ended over REST and the WebSocket API, listened to on streams."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.conf import settings

from apps.accounts.keyterms import KeyTerms
from apps.accounts.listenkeys import (
    FORGET_SQL,
    FORGOTTEN_MAX,
    KEPT_S,
    LIFETIME_S,
    PROLONG_OWN_SQL,
)
from apps.accounts.models import ApiKey, ListenKey
from apps.accounts.services.api_keys import limit_api_key, revoke_api_key
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.tokens import hash_token
from apps.gateway import errors
from apps.gateway.database import INDEX_ORDER
from apps.gateway.listenkeys import Listening
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sessions import new_session, ticket_of
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import REPORT_KEYS, open_socket

PATH = "/api/v3/userDataStream"


def make(client: Client) -> str:
    answer = client.raw("POST", PATH)
    assert (answer.status_code, list(answer.json())) == (200, ["listenKey"]), answer.text
    key: str = answer.json()["listenKey"]
    return key


def set_left(listen_key: str, seconds: float) -> None:
    """So long it is valid from now on."""
    with psycopg.connect(settings.DATABASE_DSN) as connection:
        connection.execute(
            "UPDATE accounts_listenkey SET expires_at = now() + make_interval(secs => %s) WHERE key_hash = %s",
            (seconds, hash_token(listen_key)),
        )


def left_s(listen_key: str) -> float:
    row = ListenKey.objects.get(key_hash=hash_token(listen_key))
    return row.expires_at.timestamp() - time.time()


def report(message: Any) -> bool:
    return isinstance(message, dict) and message.get("e") == "executionReport"


@pytest.fixture
def stream(exchange: Exchange) -> Iterator[Socket]:
    with Socket(f"{exchange.ws_url}/ws") as socket:
        yield socket


def test_a_listen_key_needs_an_api_key_and_no_signature(exchange: Exchange, public: Client, alice: Client) -> None:
    first = make(alice)
    assert len(first) == 64
    assert first.isalnum()
    # The one that is valid comes again, for an hour from now.
    set_left(first, 100)
    assert make(alice) == first
    assert 3500 < left_s(first) <= 3600
    # What a client signs all the same must be right.
    assert alice.ok("POST", PATH) == {"listenKey": first}
    assert alice.raw("POST", f"{PATH}?timestamp=1&signature={'0' * 64}").json()["code"] == -1022
    refused = public.http.post(PATH)
    assert (refused.status_code, refused.json()["code"]) == (401, -2014)
    refused = public.http.post(PATH, headers={"x-mbx-apikey": "x" * 64})
    assert (refused.status_code, refused.json()["code"]) == (401, -2015)
    # One that may not read gets none; nothing is stored in the clear.
    trade_only = issue_hmac_key(
        account_id=alice.me.account_id, terms=KeyTerms(label="t", can_read=False, can_trade=True)
    ).key
    refused = public.http.post(PATH, headers={"x-mbx-apikey": trade_only.public_key})
    assert (refused.status_code, refused.json()["code"]) == (401, -2015)
    assert first.encode() not in bytes(ListenKey.objects.get(account_id=alice.me.account_id).box)


@pytest.mark.parametrize("in_body", [True, False])
def test_prolong_and_end(exchange: Exchange, alice: Client, bob: Client, in_body: bool) -> None:
    """By the body or the query, by the account alone, and only while it is valid."""

    def send(client: Client, method: str, key: str) -> tuple[int, Any]:
        if in_body:
            form = {"content-type": "application/x-www-form-urlencoded"}
            answer = client.raw(method, PATH, f"listenKey={key}".encode(), **form)
        else:
            answer = client.raw(method, f"{PATH}?listenKey={key}")
        return answer.status_code, answer.json()

    unknown = (400, {"code": -1125, "msg": "This listenKey does not exist."})
    key = make(alice)
    set_left(key, 100)
    assert send(alice, "PUT", key) == (200, {})
    assert 3500 < left_s(key) <= 3600
    for method in ("PUT", "DELETE"):
        assert send(bob, method, key) == unknown
        assert send(alice, method, "x" * 64) == unknown
        assert alice.raw(method, PATH).json()["code"] == -1102
        assert send(alice, method, "%21")[1]["code"] == -1100
    assert send(alice, "DELETE", key) == (200, {})
    for method in ("PUT", "DELETE"):
        assert send(alice, method, key) == unknown
    after = make(alice)
    assert after != key
    set_left(after, -1)
    assert send(alice, "PUT", after) == unknown
    assert make(alice) != after


def test_over_the_websocket_api(exchange: Exchange, alice: Client, bob: Client) -> None:
    with open_socket(exchange, origin=exchange.base_url) as socket:
        key = socket.ask("userDataStream.start", apiKey=alice.me.api_key)
        assert (key["status"], set(key["result"])) == (200, {"listenKey"})
        listen_key = key["result"]["listenKey"]
        # One key, whichever way it was asked for.
        assert make(alice) == listen_key
        assert socket.ask("userDataStream.ping", apiKey=alice.me.api_key, listenKey=listen_key)["result"] == {}
        refused = socket.ask("userDataStream.ping", apiKey=bob.me.api_key, listenKey=listen_key)
        assert (refused["status"], refused["error"]["code"]) == (400, -1125)
        assert socket.ask("userDataStream.ping", apiKey=alice.me.api_key)["error"]["code"] == -1102
        assert socket.ask("userDataStream.start")["status"] == 401
        assert socket.ask("userDataStream.start", apiKey="x" * 64)["error"]["code"] == -2015
        assert socket.ask("userDataStream.stop", apiKey=alice.me.api_key, listenKey=listen_key)["result"] == {}
        assert make(alice) != listen_key
        # A page has no API key, and no need of a listen key.
        ticket = ticket_of(alice, new_session(alice.me.account_id))
        assert socket.ask("session.logon", ticket=ticket)["status"] == 200
        assert socket.ask("userDataStream.start")["error"]["code"] == -1102


def test_every_way_to_listen(exchange: Exchange, alice: Client, stream: Socket) -> None:
    """In the address, raw and combined, and by SUBSCRIBE; the fields are those of the WebSocket API."""
    key = make(alice)
    with (
        Socket(f"{exchange.ws_url}/ws/{key}") as raw,
        Socket(f"{exchange.ws_url}/stream?streams=btcusdt@depth/{key}") as combined,
        closing(stream.connection),
    ):
        assert stream.control("SUBSCRIBE", key, "btcusdt@trade")["result"] is None
        assert stream.control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade", key]
        placed = alice.limit("BUY", "40000", "0.1", newClientOrderId="mine")
        for socket in (raw, stream):
            event = socket.until(report)
            assert list(event) == REPORT_KEYS
            assert (event["x"], event["c"], event["i"]) == ("NEW", "mine", placed["orderId"])
            position = socket.until(lambda m: m.get("e") == "outboundAccountPosition")
            assert position["B"] == [{"a": "USDT", "f": "996000.00000000", "l": "4000.00000000"}]
        wrapped = combined.until(lambda m: m.get("stream") == key)
        assert (set(wrapped), wrapped["data"]["e"], wrapped["data"]["c"]) == (
            {"stream", "data"}, "executionReport", "mine",
        )  # fmt: skip
        # No more after UNSUBSCRIBE, and the connection goes on.
        assert stream.control("UNSUBSCRIBE", key)["result"] is None
        assert stream.control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade"]
        alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"])
        assert raw.until(report)["x"] == "CANCELED"
        stream.seen.clear()
        assert stream.control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade"]
        assert not any(report(message) for message in stream.seen)
    wait_until(lambda: not exchange.gateway_thread.call(lambda: exchange.gateway.user_data._feeds))
    wait_until(lambda: not exchange.gateway_thread.call(lambda: exchange.gateway.listen_keys._followers))


def test_a_listen_key_that_is_none(exchange: Exchange, alice: Client, stream: Socket) -> None:
    refused = stream.control("SUBSCRIBE", "x" * 64, make(alice), "btcusdt@trade")
    assert refused["error"] == {"code": -1125, "msg": "This listenKey does not exist."}
    assert stream.control("LIST_SUBSCRIPTIONS")["result"] == []
    with Socket(f"{exchange.ws_url}/ws/{'x' * 64}") as other:
        assert other.closed_with() == 1008
    assert not exchange.gateway_thread.call(lambda: exchange.gateway.user_data._feeds)


def test_listen_keys_that_are_none_are_counted_and_remembered(
    exchange: Exchange, alice: Client, stream: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each counts 2, valid or not; one that was asked lately costs no query, and few of them are remembered."""
    asked: list[tuple[int, int]] = []
    limits, listen_keys = exchange.gateway.limits, exchange.gateway.listen_keys
    admit, connection = limits.admit, listen_keys._connection

    def counted(address: str, weight: int, **more: Any) -> Any:
        asked.append((weight, queries))
        return admit(address, weight, **more)

    queries = 0

    def query() -> Any:
        nonlocal queries
        queries += 1
        return connection()

    monkeypatch.setattr(limits, "admit", counted)
    monkeypatch.setattr(listen_keys, "_connection", query)
    monkeypatch.setattr("apps.gateway.listenkeys.UNKNOWN_KEY_S", 1000.0)
    monkeypatch.setattr("apps.gateway.listenkeys.UNKNOWN_KEYS_MAX", 2)
    for name in ("y" * 64, "y" * 64, "z" * 64):
        assert stream.control_once("SUBSCRIBE", name, name, "btcusdt@trade")["error"]["code"] == -1125
    # Before any query.
    assert asked == [(2, 0), (2, 1), (2, 1)]
    assert queries == 2
    with Socket(f"{exchange.ws_url}/ws") as other:
        for name in ("w" * 64, "z" * 64, "y" * 64):
            assert other.control_once("SUBSCRIBE", name)["error"]["code"] == -1125
        # The third name put the first one out.
        assert queries == 4
        # A good one is no stranger afterwards, and what the limits refuse is not looked for.
        key = make(alice)
        assert other.control_once("SUBSCRIBE", key)["result"] is None


def test_any_number_of_ended_listen_keys_costs_nothing(exchange: Exchange, alice: Client) -> None:
    """The valid one is found, and the oldest ones go, by an index that passes none of the others."""
    first = make(alice)
    assert alice.raw("DELETE", f"{PATH}?listenKey={first}").status_code == 200
    assert left_s(first) <= 0
    row = ListenKey.objects.get(key_hash=hash_token(first))
    with psycopg.connect(settings.DATABASE_DSN, options=INDEX_ORDER) as connection:
        connection.execute(
            "INSERT INTO accounts_listenkey"
            " (key_hash, box, account_id, api_key_id, created_at, revoked_at, expires_at, version)"
            " SELECT sha256((%s || n)::bytea), '', %s, %s, now(), at, at, 0"
            " FROM (SELECT n, now() - make_interval(secs => 100 * n) AS at FROM generate_series(1, 2000) n) ended",
            (first, row.account_id, row.api_key_id),
        )
        connection.commit()
        for query, parameters in (
            (PROLONG_OWN_SQL, (LIFETIME_S, row.api_key_id)), (FORGET_SQL, (row.api_key_id, KEPT_S, FORGOTTEN_MAX)),
        ):  # fmt: skip
            [plan] = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", parameters).fetchone() or []
            connection.rollback()
            [scan] = [node for node in nodes(plan[0]["Plan"]) if node.get("Index Name") == "accounts_listenkey_of_key"]
            assert "expires_at" in scan["Index Cond"]
            assert scan.get("Rows Removed by Filter", 0) == 0
            assert scan["Actual Rows"] <= FORGOTTEN_MAX
    make(alice)
    left = ListenKey.objects.filter(api_key_id=row.api_key_id)
    assert left.count() == 2 + 2000 - FORGOTTEN_MAX
    assert left.earliest("expires_at").expires_at.timestamp() == pytest.approx(time.time() - 199_000, abs=600)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def test_an_ended_listen_key_ends_its_streams_at_every_gateway(
    exchange: Exchange, alice: Client, stream: Socket
) -> None:
    key = make(alice)
    stream.control("SUBSCRIBE", key, "btcusdt@trade")
    with exchange.further_gateway() as other, Socket(f"ws://127.0.0.1:{other.port}/ws/{key}") as there:
        alice.limit("BUY", "40000", "0.1")
        there.until(report)
        assert alice.raw("DELETE", f"{PATH}?listenKey={key}").status_code == 200
        # Nothing else was listened to on this connection; there is on the other.
        assert there.closed_with() == 1000
    wait_until(lambda: not exchange.gateway_thread.call(lambda: exchange.gateway.user_data._feeds))
    assert stream.control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade"]
    assert not any(message.get("e") == "listenKeyExpired" for message in stream.seen)


def test_a_listen_key_expires_unless_it_is_prolonged(
    exchange: Exchange, alice: Client, stream: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its time is over as far as the gateway knows, it asks: the key may have been prolonged elsewhere."""
    asked: list[bool] = []
    find = exchange.gateway.listen_keys.find

    async def soon_over(listen_key: str) -> Listening | None:
        found = await find(listen_key)
        asked.append(found is not None)
        return found and replace(found, left_s=0.05)

    monkeypatch.setattr(exchange.gateway.listen_keys, "find", soon_over)
    key = make(alice)
    assert stream.control("SUBSCRIBE", key, "btcusdt@trade")["result"] is None
    wait_until(lambda: len(asked) > 4)
    alice.limit("BUY", "40000", "0.1")
    stream.until(report)
    set_left(key, -1)
    expired = stream.until(lambda m: m.get("e") == "listenKeyExpired")
    assert set(expired) == {"e", "E", "listenKey"}
    assert expired["listenKey"] == key
    assert asked[-1] is False
    assert stream.control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade"]
    assert stream.control("SUBSCRIBE", key)["error"]["code"] == -1125


def test_postgres_away_ends_no_stream(
    exchange: Exchange, alice: Client, stream: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the key is still valid cannot be asked: the stream goes on, and new ones are refused."""
    monkeypatch.setattr("apps.gateway.streams.userstreams.ASK_AGAIN_S", 0.05)
    key, asked = make(alice), 0
    find = exchange.gateway.listen_keys.find

    async def once(listen_key: str) -> Listening | None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise errors.not_executed()
        found = await find(listen_key)
        return found and replace(found, left_s=0.05)

    monkeypatch.setattr(exchange.gateway.listen_keys, "find", once)
    assert stream.control("SUBSCRIBE", key)["result"] is None
    wait_until(lambda: asked > 5)
    assert stream.control("LIST_SUBSCRIPTIONS")["result"] == [key]
    with Socket(f"{exchange.ws_url}/ws") as other:
        assert other.control_once("SUBSCRIBE", key)["error"]["code"] == -1001
    alice.limit("BUY", "40000", "0.1")
    stream.until(report)


def test_a_revoked_api_key_ends_what_it_listens_to(exchange: Exchange, alice: Client, stream: Socket) -> None:
    stream.control("SUBSCRIBE", make(alice))
    alice.tidy = False
    revoke_api_key(account_id=alice.me.account_id, key_id=ApiKey.objects.get(public_key=alice.me.api_key).pk)
    assert stream.closed_with() == 4001


def test_a_listen_key_works_from_where_its_api_key_does(exchange: Exchange, alice: Client, stream: Socket) -> None:
    key = make(alice)
    stream.control("SUBSCRIBE", key)
    key_id = ApiKey.objects.get(public_key=alice.me.api_key).pk
    why = {"reason": "tests", "requested_by": "tests"}
    limit_api_key(account_id=alice.me.account_id, key_id=key_id, networks=["192.0.2.0/24"], **why)
    assert stream.closed_with() == 4001
    with Socket(f"{exchange.ws_url}/ws") as other:
        refused = other.control("SUBSCRIBE", key)
        assert refused["error"] == {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    refused_post = alice.raw("POST", PATH)
    assert (refused_post.status_code, refused_post.json()["code"]) == (401, -2015)
    limit_api_key(account_id=alice.me.account_id, key_id=key_id, networks=[], **why)
    wait_until(lambda: alice.raw("POST", PATH).status_code == 200)


def test_times_in_microseconds(exchange: Exchange, alice: Client) -> None:
    key = make(alice)
    with (
        Socket(f"{exchange.ws_url}/ws/{key}") as milli,
        Socket(f"{exchange.ws_url}/ws/{key}?timeUnit=microsecond") as micro,
    ):
        placed = alice.limit("BUY", "40000", "0.1")
        for kind, times in (("executionReport", "ETOW"), ("outboundAccountPosition", "Eu")):
            one, other = (socket.until(lambda m, kind=kind: m.get("e") == kind) for socket in (milli, micro))
            assert {name: value * 1000 if name in times else value for name, value in one.items()} == other
        assert other["u"] == placed["transactTime"] * 1000
