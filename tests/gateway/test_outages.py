"""When something behind the gateway is away: clear answers, nothing half done, recovery by itself (T16)."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from django.conf import settings

from apps.gateway import coremonitor
from apps.gateway.core import CLIENT_NAME
from apps.gateway.policy import SETTLED_TIMEOUT_S
from apps.gateway.settled import Settled
from apps.ledger.services import credit
from apps.markets.services.listing import create_asset
from apps.streams.names import ShardKeys
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import SHARD, Exchange, wait_until

ORDER = "/api/v3/order"
GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
NOT_EXECUTED = {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."}
UNKNOWN = {
    "code": -1007,
    "msg": "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
}
KEYS = ShardKeys(SHARD)


@pytest.fixture
def core(exchange: Exchange) -> Iterator[Any]:
    with redis.Redis.from_url(exchange.core_url) as client:
        yield client


def change(exchange: Exchange, target: Any, name: str, value: Any) -> Callable[[], None]:
    """Set an attribute in the gateway's loop; the returned function puts the old one back."""
    before = getattr(target, name)
    exchange.gateway_thread.call(lambda: setattr(target, name, value))
    return lambda: exchange.gateway_thread.call(lambda: setattr(target, name, before))


def test_stopped_engine_is_a_clear_503_at_once(
    exchange: Exchange, alice: Client, core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waited for an answer of the engine would wait far longer than any busy machine takes.
    monkeypatch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", 60.0)
    order = alice.limit("BUY", "40000", "0.1")
    appended = core.xlen(KEYS.commands)
    with exchange.engine_paused():
        wait_until(lambda: core.get(KEYS.lease) is None)
        wait_until(lambda: alice.get("/sapi/v1/system/status").json()["status"] == 1)
        for method, params in (("POST", GOOD), ("DELETE", {"symbol": "BTCUSDT", "orderId": order["orderId"]})):
            started_s = time.monotonic()
            answer = alice.signed(method, ORDER, **params)
            assert time.monotonic() - started_s < 30
            assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, NOT_EXECUTED, "1")
        # What needs no engine works.
        assert alice.get("/api/v3/depth", symbol="BTCUSDT").status_code == 200
        assert len(alice.ok("GET", "/api/v3/openOrders")) == 1
        assert core.xlen(KEYS.commands) == appended
    wait_until(lambda: alice.get("/sapi/v1/system/status").json()["status"] == 0)
    assert alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"


def test_an_answer_that_does_not_come_is_unknown(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appended, but the engine does not answer in time: 504, and a repeat with the same id finds the order."""
    exchange.gateway_thread.give_up_after(0.3, monkeypatch)
    with exchange.engine_paused(keep_lease=True):
        answer = alice.signed("POST", ORDER, **GOOD, newClientOrderId="maybe")
        assert (answer.status_code, answer.json()) == (504, UNKNOWN)
    monkeypatch.undo()
    again = alice.ok("POST", ORDER, **GOOD, newClientOrderId="maybe")
    [only] = alice.ok("GET", "/api/v3/openOrders")
    assert only["orderId"] == again["orderId"]


def test_settlement_lag_is_the_age_of_the_oldest_unsettled_head(exchange: Exchange) -> None:
    gateway = exchange.gateway
    monitor = coremonitor.CoreMonitor(gateway.pipe, gateway.tail, KEYS, gateway.config.limits)
    now = time.monotonic()
    monitor._unsettled.extend([(now - 3.0, 10), (now - 1.0, 20)])
    assert 3.0 <= monitor.settlement_lag_s <= 3.0 + time.monotonic() - now
    monitor._unsettled.popleft()
    assert 1.0 <= monitor.settlement_lag_s <= 1.0 + time.monotonic() - now
    monitor._unsettled.clear()
    assert monitor.settlement_lag_s == 0.0


def test_lost_connections_to_redis_core_come_back(exchange: Exchange, alice: Client, core: Any) -> None:
    """All client connections are cut; orders work again soon, and none was made twice."""

    def ours() -> list[str]:
        return [client["id"] for client in core.client_list() if client["name"] == CLIENT_NAME]

    # Of orders, of events, of what settlement announces, and of the past; those of a gateway before go in a moment.
    wait_until(lambda: len(ours()) == 4)
    for number in ours():
        core.client_kill_filter(_id=number)
    answers: list[int] = []

    def taken() -> bool:
        answer = alice.signed("POST", ORDER, **GOOD, newClientOrderId=f"try{len(answers)}")
        answers.append(answer.status_code)
        assert answer.status_code in (200, 503, 504), answer.text
        return answer.status_code == 200

    wait_until(taken)
    names = [order["clientOrderId"] for order in alice.ok("GET", "/api/v3/openOrders")]
    # 504 leaves it open whether the order was made; 503 says that it was not.
    unknown = {f"try{number}" for number, status in enumerate(answers) if status == 504}
    assert set(names) - unknown == {f"try{len(answers) - 1}"}
    assert len(names) == len(set(names))


@pytest.fixture
def usual_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of private reads with settlement."""
    monkeypatch.setattr(Settled.wait, "__defaults__", (SETTLED_TIMEOUT_S,))


@pytest.mark.usefixtures("usual_patience")
def test_reads_wait_for_settlement_and_say_so_when_it_hangs(exchange: Exchange, alice: Client) -> None:
    """Settlement is held by a lock on its table: 503 after 500 ms, never a stale answer; afterwards all is there."""
    from django.conf import settings

    with psycopg.connect(settings.DATABASE_DSN) as blocker:
        blocker.execute("LOCK TABLE orders_order IN SHARE MODE")
        order = alice.limit("BUY", "40000", "0.1")
        started_s = time.monotonic()
        answer = alice.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
        assert (answer.status_code, answer.json()) == (503, NOT_EXECUTED)
        assert time.monotonic() - started_s > 0.4
        # An amendment reads the order first.
        amended = alice.signed(
            "PUT", f"{ORDER}/amend/keepPriority", symbol="BTCUSDT", orderId=order["orderId"], newQty="0.05"
        )
        assert (amended.status_code, amended.json()) == (503, NOT_EXECUTED)
        blocker.rollback()
    shown = wait_until(
        lambda: (a := alice.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])).status_code == 200 and a
    )
    assert (shown.json()["status"], shown.json()["origQty"]) == ("NEW", "0.10000000")


def test_postgresql_away(exchange: Exchange, alice: Client, bob: Client) -> None:
    """Known keys trade on for a minute; unknown keys get 503 at once; after that only cancels of known keys pass."""
    order = alice.limit("BUY", "40000", "0.1")
    gateway, call = exchange.gateway, exchange.gateway_thread.call
    stranger = Client(exchange.base_url, exchange.account(), tidy=False)

    def broken(*args: Any, **options: Any) -> Any:
        raise psycopg.OperationalError("the server is away")

    restore = [
        change(exchange, gateway.pool, "connection", broken),
        change(exchange, gateway.credentials, "refresh", broken),
    ]
    try:
        assert alice.answered("POST", ORDER, **GOOD).status_code == 200
        answer = stranger.signed("GET", "/api/v3/account")
        assert (answer.status_code, answer.json()) == (503, NOT_EXECUTED)
        assert alice.signed("GET", "/api/v3/account").status_code == 503
        call(lambda: setattr(gateway.credentials, "_fresh_s", time.monotonic() - 61))
        assert alice.signed("POST", ORDER, **GOOD).json() == NOT_EXECUTED
        assert alice.answered("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"]).status_code == 200
    finally:
        for undo in restore:
            undo()
        stranger.http.close()
    wait_until(lambda: alice.signed("GET", "/api/v3/account").status_code == 200)


def test_newer_settings_are_taken_and_the_order_is_tried_again(exchange: Exchange, alice: Client) -> None:
    """The gateway knows an older settings version than the engine: the order still works, once."""
    markets, call = exchange.gateway.markets, exchange.gateway_thread.call
    btc = markets.get("BTCUSDT")
    stale = msgspec.structs.replace(btc, settings_version=btc.settings_version - 1)
    call(lambda: markets.by_symbol.update({"BTCUSDT": stale}))
    alice.limit("BUY", "40000", "0.1")
    assert markets.get("BTCUSDT").settings_version == btc.settings_version
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 1


def test_an_unexpected_failure_promises_nothing(exchange: Exchange, alice: Client) -> None:
    def broken(*args: Any) -> Any:
        raise ZeroDivisionError

    restore = change(exchange, exchange.gateway.orders, "place", broken)
    try:
        answer = alice.signed("POST", ORDER, **GOOD)
        assert (answer.status_code, answer.json()) == (504, UNKNOWN)
    finally:
        restore()


@pytest.mark.usefixtures("usual_patience")
def test_a_repeat_that_cannot_be_read_is_unknown_and_not_refused(exchange: Exchange, alice: Client) -> None:
    """The first order was executed, so 'not executed' would be a lie while settlement hangs."""
    with psycopg.connect(settings.DATABASE_DSN) as blocker:
        blocker.execute("LOCK TABLE orders_order IN SHARE MODE")
        alice.limit("BUY", "40000", "0.1", newClientOrderId="once")
        again = alice.answered(
            "POST", ORDER, **LIMIT, side="BUY", price="40000", quantity="0.1", newClientOrderId="once"
        )
        assert (again.status_code, again.json()["code"]) == (504, -1007)
        blocker.rollback()
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 1


def test_an_asset_without_a_market_is_shown(exchange: Exchange, alice: Client) -> None:
    """Assets are listed before their first market, and may be credited from then on."""
    asset = create_asset(code="NEWCOIN", name="New coin")
    exchange.wait_settled()
    credit(account_id=alice.me.account_id, asset_id=asset.pk, amount_units=5, key=secrets.token_hex(8))
    wait_until(lambda: asset.pk in exchange.gateway.markets.assets)
    shown = wait_until(
        lambda: (
            {row["asset"]: row["free"] for row in alice.ok("GET", "/api/v3/account")["balances"]}.get("NEWCOIN")
            == "0.00000005"
        )
    )
    assert shown


def test_the_crash_points_of_an_order(exchange: Exchange, alice: Client, core: Any, monkeypatch: Any) -> None:
    """The rig kills here, so each point must stand where its name says: before and after the durable append and the
    answer.
    """
    passed: list[tuple[str, bool]] = []
    before = int(core.get(KEYS.frames_in))

    def reach(point: str) -> None:
        passed.append((point, int(core.get(KEYS.frames_in)) > before))

    for module in ("batcher", "http"):
        monkeypatch.setattr(f"apps.gateway.{module}.reach", reach)
    alice.limit("BUY", "40000", "0.1")
    wait_until(lambda: len(passed) >= 4)
    assert passed == [
        ("gateway.append.before", False), ("gateway.append.after", True),
        ("gateway.reply.before", True), ("gateway.reply.after", True),
    ]  # fmt: skip


def test_a_full_redis_core_refuses_and_nothing_happened(exchange: Exchange, alice: Client, core: Any) -> None:
    """Beyond every limit: not even a cancel can be appended, and the answer says that nothing was executed."""
    order = alice.limit("BUY", "40000", "0.1")
    limit = core.config_get("maxmemory")["maxmemory"]
    core.config_set("maxmemory", 1)
    try:
        last = core.xinfo_stream(KEYS.commands)["last-generated-id"]
        for method, params in (("POST", GOOD), ("DELETE", {"symbol": "BTCUSDT", "orderId": order["orderId"]})):
            answer = alice.signed(method, ORDER, **params)
            assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, NOT_EXECUTED, "1")
        assert core.xinfo_stream(KEYS.commands)["last-generated-id"] == last
    finally:
        core.config_set("maxmemory", limit)
    wait_until(lambda: not exchange.gateway.monitor.pressure.causes)
    assert alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
