"""Rate limits as clients meet them, over several gateways, and when redis-edge is away."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from apps.accounts.models import ApiKey, TradingAccount
from apps.gateway.core import CoreUnanswered
from apps.gateway.limits import admission
from apps.gateway.limits.admission import LOOK_S, LOOKS_MAX, Admission
from apps.gateway.limits.counting import Usage, Verdict
from apps.gateway.limits.tiers import STANDARD, Tier, tiers
from tests.gateway.client import LIMIT, NO_TLS, Client
from tests.gateway.exchange import Exchange, GatewayThread, wait_until
from tests.gateway.limiting import early_in_the_minute, forget_counts
from tests.gateway.sessions import new_session, ticket_of
from tests.gateway.sockets import Socket

SMALL = Tier(
    weight_per_minute=50, wallet_weight_per_minute=20, requests_per_5_minutes=1000, orders_per_10_s=3, orders_per_day=4
)
FEW = {STANDARD: SMALL, "demo": SMALL}
ORDER = "/api/v3/order"
GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}


@pytest.fixture(autouse=True)
def forgotten(exchange: Exchange) -> Iterator[None]:
    """Every test begins and ends without anything counted, and not at the end of a minute."""
    forget_counts(exchange.edge_url)
    early_in_the_minute()
    yield
    forget_counts(exchange.edge_url)


def settle_in(thread: GatewayThread) -> None:
    """Until it counts with the others, and has seen the engine alive: before that it takes no orders."""
    gateway = thread.gateway
    assert gateway is not None
    wait_until(lambda: gateway.edge_pipe.connected and gateway.monitor.alive())
    # Its start may have taken long.
    early_in_the_minute()


@pytest.fixture
def small(exchange: Exchange) -> Iterator[GatewayThread]:
    with exchange.further_gateway(tiers=FEW, violations_max=10) as thread:
        settle_in(thread)
        yield thread


def url(thread: GatewayThread) -> str:
    return f"http://127.0.0.1:{thread.port}"


def test_listen_keys_that_are_named_count(small: GatewayThread) -> None:
    """Two each, before anybody looks for them."""
    with Socket(f"ws://127.0.0.1:{small.port}/ws") as socket:
        names = [f"{number:064}" for number in range(24)]
        assert socket.control_once("SUBSCRIBE", *names)["error"]["code"] == -1125
        refused = socket.control_once("SUBSCRIBE", names[0])["error"]
        assert refused["code"] == -1003
        assert refused["msg"].startswith("Too much request weight used; current limit is 50 ")
        # Names of public streams cost nothing.
        assert socket.control_once("SUBSCRIBE", "btcusdt@trade")["result"] is None


def test_too_much_weight_is_429_with_retry_after(small: GatewayThread, exchange: Exchange) -> None:
    with Client(url(small)) as client:
        used = [int(client.get("/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"]) for _ in range(2)]
        assert used == [20, 40]
        left_before_s = 60 - time.time() % 60
        refused = client.get("/api/v3/exchangeInfo")
        left_after_s = 60 - time.time() % 60
        assert (refused.status_code, refused.json()) == (
            429,
            {
                "code": -1003,
                "msg": "Too much request weight used; current limit is 50 request weight per 1 MINUTE. "
                "Please use WebSocket Streams for live updates to avoid polling the API.",
            },
        )
        assert left_after_s - 1 <= int(refused.headers["retry-after"]) <= left_before_s + 1
        assert refused.headers["x-mbx-used-weight-1m"] == "40"
        # What is lighter still fits, and the wallet's weight is another.
        assert client.get("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "41"
        wallet = client.get("/sapi/v1/system/status")
        assert (wallet.status_code, wallet.headers["x-sapi-used-ip-weight-1m"]) == (200, "1")
        assert "x-mbx-used-weight-1m" not in wallet.headers
        # A refused request counts 1, whatever was wrong with it.
        assert client.get("/api/v3/nothing").headers["x-mbx-used-weight-1m"] == "42"
        assert client.get("/api/v3/depth").headers["x-mbx-used-weight-1m"] == "43"
    # The limits of another gateway may be others; what is used is the same.
    with Client(exchange.base_url) as client:
        assert client.get("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "44"


def test_an_address_that_does_not_stop_is_banned_from_the_api_only(small: GatewayThread) -> None:
    with Client(url(small)) as client:
        answers = [client.get("/api/v3/exchangeInfo") for _ in range(13)]
        assert [answer.status_code for answer in answers] == [200] * 2 + [429] * 9 + [418] * 2
        asked_s = time.time()
        banned = client.get("/api/v3/ping")
        answered_s = time.time()
        until_ms = int(banned.json()["msg"].split("banned until ")[1].split(".")[0])
        assert (banned.status_code, banned.json()) == (
            418,
            {
                "code": -1003,
                "msg": f"Way too much request weight used; IP banned until {until_ms}. "
                "Please use WebSocket Streams for live updates to avoid bans.",
            },
        )
        until_s = until_ms / 1000
        assert 90 < until_s - asked_s <= 120
        assert until_s - answered_s - 1 <= int(banned.headers["retry-after"]) <= until_s - asked_s + 1
        assert client.get("/sapi/v1/system/status").status_code == 418
        # Pages are the site's: there is none in this test, and the gateway says so as to everybody.
        for path in ("/", "/trade/BTCUSDT", "/api/v2/status.json", "/admin/"):
            assert client.get(path).status_code == 502
    for path in ("/ws-api/v3", "/ws/btcusdt@trade", "/stream"):
        with pytest.raises(InvalidStatus) as refused, Socket(f"ws://127.0.0.1:{small.port}{path}"):
            pass
        assert (refused.value.response.status_code, refused_body(refused.value)) == (418, banned.json())


def refused_body(error: InvalidStatus) -> Any:
    assert error.response.body is not None
    return json.loads(error.response.body)


def test_a_ban_reaches_connections_that_are_open(small: GatewayThread) -> None:
    with Client(url(small)) as client, Socket(f"ws://127.0.0.1:{small.port}/ws-api/v3") as socket:
        for _ in range(13):
            banned = client.get("/api/v3/exchangeInfo")
        answer = socket.ask("ping")
        assert (answer["status"], answer["error"]["code"]) == (418, -1003)
        assert str(answer["error"]["data"]["retryAfter"]) in banned.json()["msg"]


def test_opening_a_connection_counts_and_so_do_frames_that_are_no_requests(small: GatewayThread) -> None:
    with Client(url(small)) as client:
        for path in ("/ws", "/stream?streams=btcusdt@trade", "/ws-api/v3"):
            with Socket(f"ws://127.0.0.1:{small.port}{path}"):
                pass
        assert client.get("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "7"
        with Socket(f"ws://127.0.0.1:{small.port}/ws-api/v3") as socket:
            socket.send("garbage")
            assert socket.receive()["status"] == 400
        assert client.get("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "11"
        assert client.get("/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"] == "31"
        for _ in range(9):
            with Socket(f"ws://127.0.0.1:{small.port}/ws"):
                pass
        with pytest.raises(InvalidStatus) as refused, Socket(f"ws://127.0.0.1:{small.port}/ws"):
            pass
        assert refused.value.response.status_code == 429
        assert refused_body(refused.value)["code"] == -1003
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
        # What was refused counts nothing, as a request that did not fit.
        assert client.get("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "50"


def test_orders_of_an_account(small: GatewayThread, exchange: Exchange, alice: Client, bob: Client) -> None:
    if time.time() % 10 > 2:
        time.sleep(10 - time.time() % 10)
    with Client(url(small), alice.me, tidy=False) as client:
        counts = []
        for _ in range(3):
            placed = client.signed("POST", ORDER, **GOOD)
            counts.append((placed.headers["x-mbx-order-count-10s"], placed.headers["x-mbx-order-count-1d"]))
        assert counts == [("1", "1"), ("2", "2"), ("3", "3")]
        refused = client.signed("POST", ORDER, **GOOD)
        assert (refused.status_code, refused.json()) == (
            429, {"code": -1015, "msg": "Too many new orders; current limit is 3 orders per 10 SECOND."},
        )  # fmt: skip
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert len(client.ok("GET", "/api/v3/openOrders", symbol="BTCUSDT")) == 3
        # A list counts each of its orders, so it does not fit either; a cancel is no order.
        assert client.signed(
            "POST", "/api/v3/orderList/oco", symbol="BTCUSDT", side="SELL", quantity="0.1", aboveType="LIMIT_MAKER",
            abovePrice="60000", belowType="STOP_LOSS", belowStopPrice="30000",
        ).json()["code"] == -1015  # fmt: skip
        assert client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").status_code == 200
    with Client(url(small), bob.me, tidy=False) as other:
        assert other.signed("POST", "/api/v3/order/test", **GOOD).status_code == 200
        assert "x-mbx-order-count-10s" not in other.signed("POST", "/api/v3/order/test", **GOOD).headers
    shown = alice.ok("GET", "/api/v3/rateLimit/order")
    assert shown == [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 10_000, "count": 3},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 20_000_000, "count": 3},
    ]
    assert [row["count"] for row in bob.ok("GET", "/api/v3/rateLimit/order")] == [0, 0]


def test_orders_that_trade_do_not_count(small: GatewayThread, exchange: Exchange, alice: Client, bob: Client) -> None:
    """Three orders in ten seconds and four a day are allowed; who trades may place more, taker and maker."""
    if time.time() % 10 > 2:
        time.sleep(10 - time.time() % 10)
    offer: dict[str, Any] = {**GOOD, "side": "SELL", "price": "50000", "quantity": "1"}
    with (
        Client(url(small), alice.me, tidy=False) as taker,
        Client(url(small), bob.me, tidy=False) as maker,
        redis.Redis.from_url(exchange.edge_url) as edge,
    ):

        def used(client: Client) -> list[int]:
            return [int(count or 0) for count in edge.hmget(f"limits:orders:{client.me.account_id}", "a", "b")]

        # Two that wait to be filled count until the first trade of one of them.
        for number in (1, 2):
            placed = maker.signed("POST", ORDER, **offer)
            assert (placed.status_code, placed.headers["x-mbx-order-count-1d"]) == (200, str(number))
        for _ in range(6):
            taken = taker.signed("POST", ORDER, **{**GOOD, "price": "50000"})
            assert (taken.status_code, taken.headers["x-mbx-order-count-10s"]) == (200, "1")
        wait_until(lambda: used(maker) == used(taker) == [0, 0])
        # The same order trades on: nothing more comes back.
        for _ in range(2):
            assert maker.signed("POST", ORDER, **{**offer, "price": "50001"}).status_code == 200
        assert taker.signed("POST", ORDER, **{**GOOD, "price": "50000"}).status_code == 200
        wait_until(lambda: used(taker) == [0, 0])
        assert used(maker) == [2, 2]
        # One that does not trade counts on, also when it is cancelled.
        assert taker.signed("POST", ORDER, **GOOD).headers["x-mbx-order-count-1d"] == "1"
        for client in (taker, maker):
            assert client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").status_code == 200
        assert used(taker) == [1, 1]


def test_two_gateways_share_one_limit(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody gives up on redis-edge here, however busy the machine is.
    monkeypatch.setattr(admission, "LOOKS_MAX", 1000)
    with (
        exchange.further_gateway(tiers=FEW, violations_max=1000) as first,
        exchange.further_gateway(tiers=FEW, violations_max=1000) as second,
    ):
        settle_in(first)
        settle_in(second)

        def ask(number: int) -> int:
            return httpx.get(f"{url((first, second)[number % 2])}/api/v3/ping", timeout=60, verify=NO_TLS).status_code

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ask, range(90)))
    assert (found.count(200), found.count(429)) == (50, 40)


def test_requests_of_one_tick_are_one_call(exchange: Exchange, small: GatewayThread) -> None:
    """And their verdicts come in their order."""
    gateway = small.gateway
    assert gateway is not None
    calls: list[Any] = []
    execute = gateway.edge_pipe.execute

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return execute(*arguments)

    async def ask() -> list[Usage]:
        return list(await asyncio.gather(*(gateway.limits.admit("192.0.2.1", 20) for _ in range(4))))

    gateway.edge_pipe.execute = counted  # type: ignore[method-assign]
    assert small.loop is not None
    usages = asyncio.run_coroutine_threadsafe(ask(), small.loop).result(40)
    assert [(usage.verdict, usage.weight) for usage in usages] == [
        (Verdict.ADMITTED, 20), (Verdict.ADMITTED, 40), (Verdict.WEIGHT, 40), (Verdict.WEIGHT, 40),
    ]  # fmt: skip
    assert len(calls) == 1


# -- without redis-edge -----------------------------------------------------------------------------------------------
def test_without_redis_edge_each_gateway_limits_alone(exchange: Exchange, tmp_path: Any) -> None:
    away = f"unix://{tmp_path / 'nobody.sock'}"
    with exchange.further_gateway(tiers=FEW, violations_max=5, edge_url=away) as thread, Client(url(thread)) as client:
        early_in_the_minute()
        answers = [client.get("/api/v3/ping") for _ in range(57)]
        assert [answer.status_code for answer in answers] == [200] * 50 + [429] * 4 + [418] * 3
        assert answers[49].headers["x-mbx-used-weight-1m"] == "50"


def test_redis_edge_that_goes_away_is_replaced_where_it_stood(exchange: Exchange, small: GatewayThread) -> None:
    gateway = small.gateway
    assert gateway is not None
    with Client(url(small)) as client:
        assert client.get("/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"] == "20"
        small.call(lambda: setattr(gateway.edge_pipe, "connected", False))
        assert client.get("/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"] == "40"
        assert client.get("/api/v3/exchangeInfo").status_code == 429
        small.call(lambda: setattr(gateway.edge_pipe, "connected", True))
        # redis-edge knows nothing of the one in between, and is the authority again.
        assert client.get("/api/v3/ping").headers["x-mbx-used-weight-1m"] == "21"


class SilentPipe:
    """redis-edge as it is while the server stands still."""

    connected = True

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Any]] = []

    def execute(self, *arguments: Any) -> asyncio.Future[Any]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


def test_a_frozen_redis_edge_costs_a_moment_and_no_order_of_requests() -> None:
    async def play() -> None:
        pipe = SilentPipe()
        limits = Admission(pipe, FEW, 100)  # type: ignore[arg-type]
        done: list[int] = []

        async def ask(number: int) -> Usage:
            usage = await limits.admit("192.0.2.1", 20)
            done.append(number)
            return usage

        began_s = time.monotonic()
        first = asyncio.create_task(ask(1))
        await asyncio.sleep(LOOK_S)
        second = asyncio.create_task(ask(2))
        usages = [await first, await second]
        took_s = time.monotonic() - began_s
        assert [usage.weight for usage in usages] == [20, 40]
        assert LOOK_S * LOOKS_MAX * 0.9 <= took_s < 30
        # Nothing more is sent, and nobody waits again.
        assert (await ask(3)).verdict == Verdict.WEIGHT
        assert len(pipe.answers) == 2
        assert done == [1, 2, 3]
        pipe.answers[0].set_exception(CoreUnanswered())
        pipe.answers[1].set_exception(CoreUnanswered())
        await asyncio.sleep(0)
        late = asyncio.create_task(ask(4))
        await asyncio.sleep(0.01)
        assert len(pipe.answers) == 3
        pipe.answers[2].set_exception(CoreUnanswered())
        assert (await late).verdict == Verdict.WEIGHT

    asyncio.run(play())


def test_a_connection_that_ends_changes_no_order_of_requests() -> None:
    """The one before has not been told yet that redis-edge is away."""

    async def play() -> None:
        pipe = SilentPipe()
        limits = Admission(pipe, FEW, 100)  # type: ignore[arg-type]
        first = limits.admit("192.0.2.1", 20)
        await asyncio.sleep(0)
        assert len(pipe.answers) == 1
        pipe.connected = False
        second = limits.admit("192.0.2.1", 20)
        await asyncio.sleep(0)
        assert [first.result().weight, second.result().weight] == [20, 40]
        pipe.answers[0].set_exception(CoreUnanswered())
        await asyncio.sleep(0)
        assert (await limits.admit("192.0.2.1", 20)).verdict == Verdict.WEIGHT

    asyncio.run(play())


@pytest.mark.parametrize("answer", [b"", b"\xc1", None, 7, b"\x92\x01\x90"])
def test_an_answer_that_is_no_verdict_leaves_nobody_waiting(answer: Any) -> None:
    """Garbage, or verdicts of other requests: this process decides, and asks again next time."""

    async def play() -> None:
        pipe = SilentPipe()
        limits = Admission(pipe, FEW, 100)  # type: ignore[arg-type]
        for number in (1, 2):
            waiting = limits.admit("192.0.2.1", 20)
            await asyncio.sleep(0)
            assert len(pipe.answers) == number
            pipe.answers[-1].set_result(answer)
            async with asyncio.timeout(30):
                assert (await waiting).weight == 20 * number

    asyncio.run(play())


def test_a_banned_address_costs_no_signature_check(
    exchange: Exchange, small: GatewayThread, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is known and would be checked; the verdict comes first, over both doors."""
    gateway = small.gateway
    assert gateway is not None
    checked: list[bytes] = []
    alice.tidy = False
    with Client(url(small), alice.me, tidy=False) as client, Socket(f"ws://127.0.0.1:{small.port}/ws-api/v3") as socket:
        client.ok("GET", "/api/v3/account")
        while client.get("/api/v3/exchangeInfo").status_code != 418:
            pass
        key = gateway.credentials._keys[alice.me.api_key]

        class Watched:
            def matches(self, message: bytes, signature: str) -> bool:
                checked.append(message)
                return True

        monkeypatch.setattr(key, "verifier", Watched())
        sent = {"apiKey": alice.me.api_key, "timestamp": int(time.time() * 1000), "signature": "0" * 64}
        refused = client.signed("GET", "/api/v3/account")
        assert (refused.status_code, refused.json()["code"]) == (418, -1003)
        assert int(refused.headers["retry-after"]) > 60
        answer = socket.ask("account.status", **sent)
        assert (answer["status"], answer["error"]["code"]) == (418, -1003)
        # As the dialect says, it is disconnected then.
        assert socket.closed_with() == 1008
        assert checked == []
        # A ban that redis-edge has forgotten is over with the next request.
        with redis.Redis.from_url(exchange.edge_url) as edge:
            edge.delete("limits:ip:127.0.0.1")
        assert client.get("/api/v3/ping").status_code == 200
        assert client.answered("GET", "/api/v3/account").status_code == 200
        assert checked


# -- whose address it is ----------------------------------------------------------------------------------------------
def test_forwarded_addresses_of_a_configured_proxy(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")
    with exchange.further_gateway(tiers=FEW) as thread, Client(url(thread)) as client:
        settle_in(thread)

        def used(forwarded: str) -> str:
            answer = client.http.get("/api/v3/ping", headers={"x-forwarded-for": forwarded})
            return answer.headers["x-mbx-used-weight-1m"]

        # The last address that is no proxy of ours counts; what stands before it is the client's own invention.
        assert [used("192.0.2.1"), used("192.0.2.2"), used("192.0.2.9, 192.0.2.1"), used("192.0.2.1, 10.1.1.1")] == [
            "1", "1", "2", "3",
        ]  # fmt: skip
        assert [used("2001:db8:1:2::1"), used("2001:db8:1:2::2")] == ["1", "2"]
        with Socket(
            f"ws://127.0.0.1:{thread.port}/ws-api/v3", additional_headers={"X-Forwarded-For": "192.0.2.1"}
        ) as ws:
            # Opening it counts 2.
            assert ws.ask("ping")["rateLimits"][0]["count"] == 6


def test_forwarded_addresses_of_anybody_else_are_nothing(small: GatewayThread) -> None:
    with Client(url(small)) as client:
        for number in range(1, 4):
            answer = client.http.get("/api/v3/ping", headers={"x-forwarded-for": f"192.0.2.{number}"})
            assert answer.headers["x-mbx-used-weight-1m"] == str(number)


# -- what is shown ----------------------------------------------------------------------------------------------------
def test_exchange_info_shows_the_limits_in_force(exchange: Exchange, public: Client, small: GatewayThread) -> None:
    """Development has a hundred times production's."""
    shown = public.get("/api/v3/exchangeInfo").json()["rateLimits"]
    assert shown == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 600_000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 10_000},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 20_000_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 6_100_000},
    ]
    with Client(url(small)) as client:
        assert [row["limit"] for row in client.get("/api/v3/exchangeInfo").json()["rateLimits"]] == [50, 3, 4, 1000]


def test_the_demo_tier_has_more_and_follows_the_account(exchange: Exchange, alice: Client) -> None:
    with exchange.further_gateway(tiers=tiers(1)) as thread, Client(url(thread), alice.me, tidy=False) as client:

        def limit() -> int:
            rows: list[dict[str, int]] = client.ok("GET", "/api/v3/rateLimit/order")
            return rows[0]["limit"]

        assert limit() == 10_000
        accounts = TradingAccount.objects.filter(pk=alice.me.account_id)
        accounts.update(tier=TradingAccount.Tier.STANDARD)
        wait_until(lambda: limit() == 100)
        accounts.update(tier=TradingAccount.Tier.DEMO)
        wait_until(lambda: limit() == 10_000)


def test_a_new_tier_reaches_an_open_session(exchange: Exchange, alice: Client) -> None:
    """Of an account without any key, so that nothing but its session can be told."""
    ApiKey.objects.filter(account_id=alice.me.account_id).update(revoked_at=timezone.now())
    alice.tidy = False
    accounts = TradingAccount.objects.filter(pk=alice.me.account_id)
    session_key = new_session(alice.me.account_id)
    with exchange.further_gateway(tiers=tiers(1)) as thread:
        settle_in(thread)
        with Socket(f"ws://127.0.0.1:{thread.port}/ws-api/v3", origin=url(thread)) as page:
            assert page.ask("session.logon", ticket=ticket_of(alice, session_key))["status"] == 200

            def limit() -> int:
                rows: list[dict[str, int]] = page.ask("account.rateLimits.orders")["result"]
                return rows[0]["limit"]

            assert limit() == 10_000
            accounts.update(tier=TradingAccount.Tier.STANDARD)
            wait_until(lambda: limit() == 100)
            accounts.update(tier=TradingAccount.Tier.DEMO)
            wait_until(lambda: limit() == 10_000)


def test_what_is_wrong_with_a_signed_request_does_not_change_its_limits(exchange: Exchange, alice: Client) -> None:
    """Its address has used more than everybody may, and less than the account's tier allows."""
    with (
        exchange.further_gateway(tiers={STANDARD: SMALL, "demo": SMALL.times(10)}) as thread,
        Client(url(thread), alice.me, tidy=False) as client,
        Socket(f"ws://127.0.0.1:{thread.port}/ws-api/v3") as socket,
    ):
        settle_in(thread)
        for _ in range(3):
            client.ok("GET", "/api/v3/account")
        wrong = {**GOOD, "price": "x"}
        refused = client.signed("POST", ORDER, **wrong)
        assert (refused.status_code, refused.json()["code"]) == (400, -1100)
        sent = {**wrong, "apiKey": alice.me.api_key, "timestamp": int(time.time() * 1000)}
        proof = alice.sign("&".join(f"{name}={value}" for name, value in sorted(sent.items())))
        assert socket.ask("order.place", **sent, signature=proof)["error"]["code"] == -1100
        # Without a valid signature nobody knows whose it is.
        assert socket.ask("order.place", **sent, signature="0" * 64)["error"]["code"] == -1003
        assert client.get("/api/v3/ping").status_code == 429


def test_the_websocket_api_shows_them_in_its_answers(small: GatewayThread, alice: Client) -> None:
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 50}
    address = f"ws://127.0.0.1:{small.port}/ws-api/v3"
    with Socket(address) as socket, Socket(f"{address}?returnRateLimits=false") as quiet:
        # Opening each of them counted 2.
        assert socket.ask("ping")["rateLimits"] == [{**weight, "count": 5}]
        assert socket.ask("exchangeInfo")["rateLimits"] == [{**weight, "count": 25}]
        assert socket.ask("session.status")["rateLimits"] == [{**weight, "count": 27}]
        assert socket.ask("no.such.method")["rateLimits"] == [{**weight, "count": 28}]
        assert "rateLimits" not in socket.ask("ping", returnRateLimits=False)
        assert socket.ask("ping", returnRateLimits="maybe")["error"]["code"] == -1100
        sent = {**GOOD, "apiKey": alice.me.api_key, "timestamp": int(time.time() * 1000), "returnRateLimits": True}
        text = "&".join(
            f"{name}={str(value).lower() if value is True else value}" for name, value in sorted(sent.items())
        )
        placed = socket.ask("order.place", **sent, signature=alice.sign(text))
        assert placed["status"] == 200, placed
        assert [(row["rateLimitType"], row["interval"], row["count"]) for row in placed["rateLimits"]] == [
            ("ORDERS", "SECOND", 1), ("ORDERS", "DAY", 1), ("REQUEST_WEIGHT", "MINUTE", 31),
        ]  # fmt: skip
        refused = socket.ask("exchangeInfo")
        assert (refused["status"], refused["error"]["code"]) == (429, -1003)
        assert refused["error"]["data"]["retryAfter"] % 60_000 == 0
        assert abs(refused["error"]["data"]["serverTime"] - time.time() * 1000) < 30_000
        assert refused["rateLimits"] == [{**weight, "count": 31}]
        assert set(quiet.ask("ping")) == {"id", "status", "result"}
        assert quiet.ask("session.status")["result"]["returnRateLimits"] is False
        assert "rateLimits" in quiet.ask("ping", returnRateLimits=True)


def test_an_unknown_key_beyond_the_limit_costs_no_query(small: GatewayThread, monkeypatch: Any) -> None:
    gateway = small.gateway
    assert gateway is not None
    asked: list[str] = []
    load = gateway.credentials._load

    async def counted(public_key: str) -> Any:
        asked.append(public_key)
        return await load(public_key)

    monkeypatch.setattr(gateway.credentials, "_load", counted)
    with Client(url(small)) as client:
        found = [
            client.http.get("/api/v3/account", headers={"x-mbx-apikey": f"{number:064d}"}).status_code
            for number in range(58)
        ]
    assert found == [401] * 50 + [429] * 8
    assert len(asked) == 50
