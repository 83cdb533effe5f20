"""Events read from a replica: nothing is answered before the second site has it (architecture.md section 2)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, GatewayThread, wait_until
from tests.streams.redis_server import Line, running_redis

GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
ORDER = "/api/v3/order"


@pytest.fixture
def line(exchange: Exchange) -> Iterator[Line]:
    made = Line(exchange.core_url)
    yield made
    made.close()


@pytest.fixture
def second(exchange: Exchange, line: Line, tmp_path: Path) -> Iterator[GatewayThread]:
    """A gateway of the same exchange that reads events from a replica of its redis-core."""
    with running_redis(tmp_path / "replica", replicaof=f"127.0.0.1 {line.port}") as replica:
        client = replica.client()
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", timeout_s=30)
        with exchange.further_gateway(read_url=replica.url) as thread:
            yield thread
        client.close()


def test_an_order_is_answered_through_the_replica_and_not_without_it(
    exchange: Exchange, second: GatewayThread, line: Line, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", 0.2)
    with Client(f"http://127.0.0.1:{second.port}", alice.account, tidy=False) as far:
        first = far.limit("BUY", "40000", "0.1")
        assert [order["orderId"] for order in far.ok("GET", "/api/v3/openOrders")] == [first["orderId"]]
        line.cut()
        # Executed, as the gateway beside redis-core can tell, but not on both sites: its fate is not told.
        answer = far.signed("POST", ORDER, **GOOD, newClientOrderId="alone")
        assert (answer.status_code, answer.json()["code"]) == (504, -1007)
        near = alice.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="alone")
        assert near["status"] == "NEW"
        # Soon it is noticed that the replica does not follow any more, and nothing is taken that cannot be answered.
        refused = wait_until(
            lambda: (a := far.signed("POST", ORDER, **GOOD, newClientOrderId="late")).status_code == 503 and a.json(),
            timeout_s=30,
        )
        assert refused["code"] == -1001
        assert far.signed("GET", "/api/v3/openOrders").status_code == 503
        line.mend()
        again = wait_until(
            lambda: (a := far.signed("POST", ORDER, **GOOD, newClientOrderId="alone")).status_code == 200 and a.json(),
            timeout_s=30,
        )
        assert again["orderId"] == near["orderId"]
        names = [order["clientOrderId"] for order in far.ok("GET", "/api/v3/openOrders")]
        # 'late' was sent again and again; one of those may have been taken before the cut was noticed.
        assert sorted(set(names) - {first["clientOrderId"], "late"}) == ["alone"]
        assert len(names) == len(set(names))
