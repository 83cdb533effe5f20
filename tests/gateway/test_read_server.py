"""Events read from a replica: nothing is answered before the second site has it (architecture.md section 2)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.gateway.pressure import Cause
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, GatewayThread, wait_until
from tests.streams.redis_server import Line, RedisServer, running_redis

GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
ORDER = "/api/v3/order"


@pytest.fixture
def line(exchange: Exchange) -> Iterator[Line]:
    made = Line(exchange.core_url)
    yield made
    made.close()


@pytest.fixture
def replica(line: Line, tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "replica", replicaof=f"127.0.0.1 {line.port}") as server:
        with server.client() as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield server


@pytest.fixture
def second(exchange: Exchange, replica: RedisServer) -> Iterator[GatewayThread]:
    """A gateway of the same exchange that reads events from a replica of its redis-core."""
    limits = replace(exchange.gateway.config.limits, events_behind_s_max=1)
    with (
        exchange.further_gateway(core_read_url=replica.url, limits=limits) as thread,
        Client(f"http://127.0.0.1:{thread.port}") as public,
    ):
        wait_until(lambda: public.get("/sapi/v1/system/status").json()["status"] == 0)
        yield thread


def test_an_order_is_answered_through_the_replica_and_not_without_it(
    exchange: Exchange, second: GatewayThread, line: Line, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(f"http://127.0.0.1:{second.port}", alice.account, tidy=False) as far:
        first = far.limit("BUY", "40000", "0.1")
        assert [order["orderId"] for order in far.ok("GET", "/api/v3/openOrders")] == [first["orderId"]]

        def sent_into_the_cut() -> bool:
            """Whether the order was taken; where the cut was noticed before, the line is mended for another try."""
            second.give_up_after(0.2, monkeypatch)
            line.cut()
            answer = far.signed("POST", ORDER, **GOOD, newClientOrderId="alone")
            monkeypatch.undo()
            if answer.status_code == 503:
                line.mend()
                wait_until(lambda: far.get("/sapi/v1/system/status").json()["status"] == 0)
                return False
            assert (answer.status_code, answer.json()["code"]) == (504, -1007)
            return True

        # Executed, as the gateway beside redis-core can tell, but not on both sites: its fate is not told.
        wait_until(sent_into_the_cut)
        near = alice.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="alone")
        assert near["status"] == "NEW"
        # Soon it is noticed that the replica does not follow any more, and nothing is taken that cannot be answered.
        refused = wait_until(
            lambda: (a := far.signed("POST", ORDER, **GOOD, newClientOrderId="late")).status_code == 503 and a.json(),
        )
        assert refused["code"] == -1001
        assert far.signed("GET", "/api/v3/openOrders").status_code == 503
        line.mend()
        again = wait_until(
            lambda: (a := far.signed("POST", ORDER, **GOOD, newClientOrderId="alone")).status_code == 200 and a.json(),
        )
        assert again["orderId"] == near["orderId"]
        names = [order["clientOrderId"] for order in far.ok("GET", "/api/v3/openOrders")]
        # 'late' was sent again and again; one of those may have been taken before the cut was noticed.
        assert sorted(set(names) - {first["clientOrderId"], "late"}) == ["alone"]
        assert len(names) == len(set(names))


def test_no_more_orders_than_can_be_answered_while_the_replica_hangs(
    second: GatewayThread, replica: RedisServer, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection stands, so only the distance from redis-core's own head shows that nothing arrives any more."""
    # Nobody gives the connection up meanwhile, however long all this takes.
    monkeypatch.setattr("apps.gateway.core.PIPE_SILENT_MAX_S", 60.0)
    assert second.gateway is not None
    monitor = second.gateway.monitor
    with Client(f"http://127.0.0.1:{second.port}", alice.account, tidy=False) as far:
        order = far.limit("BUY", "40000", "0.1")
        second.give_up_after(0.2, monkeypatch)
        with replica.frozen():
            alone = far.signed("POST", ORDER, **GOOD, newClientOrderId="alone")
            assert (alone.status_code, alone.json()["code"]) == (504, -1007)
            wait_until(lambda: Cause.EVENTS_BEHIND in monitor.pressure.causes)
            refused = far.signed("POST", ORDER, **GOOD, newClientOrderId="never")
            assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, -1001, "1")
            # A cancel is taken, though nobody can be told before the second site has it.
            cancel = far.signed("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
            assert (cancel.status_code, cancel.json()["code"]) == (504, -1007)
        wait_until(lambda: not monitor.pressure.causes)
        [left] = wait_until(lambda: (a := far.signed("GET", "/api/v3/openOrders")).status_code == 200 and a.json())
        assert left["clientOrderId"] == "alone"
