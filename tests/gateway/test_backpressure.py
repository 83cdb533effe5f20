"""Every limit of back-pressure on a running exchange: new orders are refused, cancels pass, and it ends by itself.

Each test has a gateway of its own with one tight limit, and passes that limit for real: by an engine that stands still,
settlement that is locked out, a redis-core with little memory, a reported disk.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
import redis
from django.conf import settings
from prometheus_client import REGISTRY

from apps.gateway.gateway import Gateway
from apps.gateway.pressure import Cause
from apps.streams.bus.redis import RedisBus
from apps.streams.names import ShardKeys
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import SHARD, Exchange, GatewayThread, wait_until

ORDER = "/api/v3/order"
GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
NOT_EXECUTED = {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."}
KEYS = ShardKeys(SHARD)

Tight = Callable[..., AbstractContextManager["Scene"]]


class Scene:
    """A gateway with a tight limit and a customer of it who has orders to cancel."""

    def __init__(self, exchange: Exchange, thread: GatewayThread, client: Client) -> None:
        self.exchange = exchange
        self.thread = thread
        self.client = client
        self.orders = [self._placed() for _ in range(9)]
        self._senders = ThreadPoolExecutor(16)

    def _placed(self) -> int:
        """Id of a new order. A machine that is slow passes the tight limit by itself, for a moment."""
        answer = wait_until(
            lambda: (a := self.client.signed("POST", ORDER, **GOOD)).status_code == 200 and a.json(),
            what="a gateway that takes orders",
        )
        return int(answer["orderId"])

    @property
    def gateway(self) -> Gateway:
        assert self.thread.gateway is not None
        return self.thread.gateway

    @property
    def causes(self) -> frozenset[Cause]:
        return self.gateway.monitor.pressure.causes

    @property
    def backlog(self) -> int:
        return self.gateway.monitor.readings.backlog_frames

    def later(self, method: str, **params: Any) -> "Future[httpx.Response]":
        """Send now, answer whenever the engine gives one. On a connection of its own."""

        def send() -> httpx.Response:
            with Client(str(self.client.http.base_url), self.client.account, tidy=False) as own:
                return own.signed(method, ORDER, **params)

        return self._senders.submit(send)

    def check_refused(self, cause: Cause) -> None:
        """New orders are refused because of `cause`, and everybody can see why."""
        wait_until(lambda: cause in self.causes, what=cause)
        before = refused(cause)
        answer = self.client.signed("POST", ORDER, **GOOD)
        assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, NOT_EXECUTED, "1")
        assert refused(cause) == before + 1
        assert REGISTRY.get_sample_value("nebannpet_gateway_pressure", {"cause": cause}) == 1
        ok, details = self.gateway.health()
        assert ok
        assert cause in details["refuses_new_orders"]

    def check_cancel(self) -> None:
        canceled = self.client.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=self.orders.pop())
        assert canceled["status"] == "CANCELED"

    def check_over(self) -> None:
        wait_until(lambda: not self.causes, what="the end of the refusals")
        assert REGISTRY.get_sample_value("nebannpet_gateway_pressure", {"cause": "disk"}) == 0
        self._placed()

    def close(self) -> None:
        self._senders.shutdown()


def refused(cause: Cause) -> float:
    return REGISTRY.get_sample_value("nebannpet_gateway_refused_orders_total", {"cause": cause}) or 0.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that wait while the engine stands still get their answer however slow this machine is."""
    monkeypatch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", 50.0)


@pytest.fixture
def tight(exchange: Exchange) -> Tight:
    @contextmanager
    def make(**limits: int) -> Iterator[Scene]:
        changed = replace(exchange.gateway.config.limits, **limits)
        with (
            exchange.further_gateway(limits=changed) as thread,
            Client(f"http://127.0.0.1:{thread.port}", exchange.account(USDT="1000000")) as client,
        ):
            scene = Scene(exchange, thread, client)
            yield scene
            scene.close()

    return make


def test_backlog(tight: Tight) -> None:
    with tight(backlog_frames_max=3, engine_silent_s_max=60) as scene:
        with scene.exchange.engine_paused(keep_lease=True):
            waiting = [scene.later("POST", **GOOD) for _ in range(4)]  # one above the limit: none of them is refused
            wait_until(lambda: scene.backlog == len(waiting))
            scene.check_refused(Cause.BACKLOG)
            cancel = scene.later("DELETE", symbol="BTCUSDT", orderId=scene.orders.pop())
            wait_until(lambda: scene.backlog > len(waiting))
        assert cancel.result().json()["status"] == "CANCELED"
        # What was taken before the limit was passed is executed.
        assert [answer.result().status_code for answer in waiting] == [200] * len(waiting)
        scene.check_over()


def test_silent_engine(tight: Tight) -> None:
    """The lease is there, but nothing is finished: as long as a worker recovers, say."""
    with tight(engine_silent_s_max=1) as scene:
        with scene.exchange.engine_paused(keep_lease=True):
            waiting = scene.later("POST", **GOOD)
            scene.check_refused(Cause.ENGINE_SILENT)
            cancel = scene.later("DELETE", symbol="BTCUSDT", orderId=scene.orders.pop())
            wait_until(lambda: scene.backlog == 2)
        assert waiting.result().status_code == 200
        assert cancel.result().json()["status"] == "CANCELED"
        scene.check_over()


@pytest.mark.parametrize(
    ("limits", "cause"),
    [({"settlement_lag_s_max": 3}, Cause.SETTLEMENT_LAG), ({"unsettled_events_max": 3}, Cause.UNSETTLED)],
)
def test_settlement_behind(tight: Tight, limits: dict[str, int], cause: Cause) -> None:
    with tight(**limits) as scene:
        with psycopg.connect(settings.DATABASE_DSN) as blocker:
            blocker.execute("LOCK TABLE orders_order IN SHARE MODE")
            for _ in range(4):
                scene.check_cancel()
            scene.check_refused(cause)
            scene.check_cancel()
            blocker.rollback()
        scene.check_over()


def test_memory(tight: Tight) -> None:
    """redis-core is nearly full and empties again, as by trimming."""
    with tight() as scene, redis.Redis.from_url(scene.exchange.core_url) as core:
        limit = core.config_get("maxmemory")["maxmemory"]
        core.setrange("ballast", 16 * 1024 * 1024, "x")
        small = int(core.info("memory")["used_memory"]) * 2
        core.config_set("maxmemory", small)
        try:
            core.setrange("filler", small * 3 // 10, "x")
            scene.check_refused(Cause.MEMORY)
            scene.check_cancel()
            core.delete("filler")
            scene.check_over()
        finally:
            core.config_set("maxmemory", limit)
            core.delete("filler", "ballast")


def test_disk(tight: Tight) -> None:
    with tight(disk_free_mb_min=512) as scene, redis.Redis.from_url(scene.exchange.core_url) as core:
        bus = RedisBus(scene.exchange.core_url, SHARD)
        try:
            bus.report_disk(511 * 1024 * 1024, ttl_ms=60_000)
            scene.check_refused(Cause.DISK)
            scene.check_cancel()
            bus.report_disk(600 * 1024 * 1024, ttl_ms=60_000)
            scene.check_over()
            # A report that ran out is no reason to refuse: the disk is not known to be full.
            bus.report_disk(0, ttl_ms=60_000)
            scene.check_refused(Cause.DISK)
            core.pexpire(KEYS.disk_free, 1)
            scene.check_over()
        finally:
            core.delete(KEYS.disk_free)
            bus.close()
