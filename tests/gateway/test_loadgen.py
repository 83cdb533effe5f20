"""loadgen against a running exchange: what it sends is taken, counted, and gone afterwards."""

import json
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import call_command

from apps.accounts.keyterms import KeyTerms
from apps.accounts.services.keyissue import issue_public_key
from apps.gateway.loadgen.driver import run
from apps.gateway.loadgen.histogram import top_of
from apps.gateway.loadgen.outcome import Outcome
from apps.gateway.loadgen.plan import ApiKeyPair, Plan, PlanError
from apps.gateway.loadgen.processes import run_in_processes
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange


@pytest.fixture(autouse=True)
def nothing_is_left(exchange: Exchange) -> Iterator[None]:
    """Orders of accounts that the load generator made by itself would meet those of the next file."""
    yield
    exchange.cancel_everything()


def pair(client: Client) -> ApiKeyPair:
    return ApiKeyPair(key=client.me.api_key, secret=client.me.api_secret)


def ed25519_pair(client: Client) -> ApiKeyPair:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = issue_public_key(
        account_id=client.me.account_id, pem=pem, terms=KeyTerms(label="load", can_read=True, can_trade=True)
    )
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return ApiKeyPair(key=key.public_key, secret=secret)


def plan_of(exchange: Exchange, **changes: Any) -> Plan:
    # Answers may take long on a loaded machine; no figure of these tests depends on it.
    return Plan(**{"url": exchange.base_url, "seconds": 1, "timeout_ms": 60_000, "cancel_after_ms": 100, **changes})


def shown(outcome: Outcome) -> dict[str, Any]:
    print(outcome.report())
    return {kind: (tally.due, tally.succeeded, tally.errors) for kind, tally in outcome.kinds.items()}


@pytest.mark.parametrize("over", ["rest", "ws-api", "session"])
def test_orders_and_reads(exchange: Exchange, alice: Client, bob: Client, over: str) -> None:
    make = ed25519_pair if over == "session" else pair
    plan = plan_of(
        exchange, orders_per_s=40, reads_per_s=30, keys=(make(alice), make(bob)), fills_percent=50,
        over="rest" if over == "rest" else "ws-api", quantity="0.001",
    )  # fmt: skip
    seq = exchange.seq()
    outcome = run(plan)
    counts = shown(outcome)
    assert counts["orders"] == (40, 40, {})
    assert counts["reads"] == (30, 30, {})
    # Whatever rested was cancelled; both sides of a pair may rest where the book had a better price for one of them.
    assert counts["cancels"] == (20, 20, {})
    assert outcome.statuses["NEW"] >= 20
    assert outcome.statuses["FILLED"] >= 10
    assert outcome.left_open == 0
    assert outcome.reconnects == 0
    assert exchange.seq() > seq
    for client in (alice, bob):
        assert client.ok("GET", "/api/v3/openOrders") == []
    assert sum(len(client.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")) for client in (alice, bob)) >= 20


def test_what_is_left_is_cancelled_and_other_orders_are_not(exchange: Exchange, alice: Client) -> None:
    mine = alice.limit("BUY", "40000", "0.1")["orderId"]
    outcome = run(plan_of(exchange, orders_per_s=10, keys=(pair(alice),), cancel_after_ms=0))
    assert shown(outcome) == {"orders": (10, 10, {})}
    assert outcome.left_open == 0
    assert [order["orderId"] for order in alice.ok("GET", "/api/v3/openOrders")] == [mine]


def test_refusals_are_counted_by_code(exchange: Exchange) -> None:
    poor = exchange.account()
    key = ApiKeyPair(key=poor.api_key, secret=poor.api_secret)
    for over in ("rest", "ws-api"):
        counts = shown(run(plan_of(exchange, orders_per_s=10, keys=(key,), over=over)))
        text = "400 -2010 Account has insufficient balance for requested action."
        assert counts == {"orders": (10, 0, {text: 10})}


@pytest.mark.parametrize("over", ["rest", "ws-api"])
def test_a_stall_is_seen_by_every_request_that_it_delays(
    exchange: Exchange, alice: Client, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one connection a client that waited for answers would have seen it once."""
    # Orders get their answers however long the stall is on a busy machine.
    monkeypatch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", 50.0)
    found: list[Outcome] = []
    start_ns = time.monotonic_ns() + 500_000_000
    plan = plan_of(
        exchange, orders_per_s=20, seconds=2, keys=(pair(alice),), over=over, connections=1, start_ns=start_ns
    )
    load = threading.Thread(target=lambda: found.append(run(plan)))
    with exchange.engine_paused(keep_lease=True):
        load.start()
        time.sleep(max(start_ns + 1_500_000_000 - time.monotonic_ns(), 0) / 1e9)
    load.join(60)
    [outcome] = found
    orders = outcome.kinds["orders"]
    assert (orders.due, orders.succeeded) == (40, 40)
    # Ten were due in the half second that ended a whole second before the engine went on.
    assert sum(count for bucket, count in orders.latency.counts.items() if top_of(bucket) >= 1_000_000) >= 10


def test_requests_without_an_answer_end(exchange: Exchange, alice: Client) -> None:
    for over in ("rest", "ws-api"):
        with exchange.engine_paused(keep_lease=True):
            outcome = run(
                plan_of(exchange, orders_per_s=5, keys=(pair(alice),), over=over, timeout_ms=1_000, connections=1)
            )
        orders = outcome.kinds["orders"]
        shown(outcome)
        assert orders.due == 5
        assert orders.unsent + orders.unanswered + sum(orders.errors.values()) == 5
        assert orders.unanswered
        # Each of them is in the percentiles, with no less than its time limit.
        assert orders.latency.total == 5
        waited = sum(count for bucket, count in orders.latency.counts.items() if top_of(bucket) >= 1_000_000)
        assert waited >= orders.unsent + orders.unanswered


def test_processes_share_a_run(exchange: Exchange, alice: Client, bob: Client) -> None:
    outcome = run_in_processes(
        plan_of(exchange, orders_per_s=20, reads_per_s=20, keys=(pair(alice), pair(bob)), fills_percent=100, parts=2)
    )
    counts = shown(outcome)
    assert (counts["orders"], counts["reads"]) == ((20, 20, {}), (20, 20, {}))
    with pytest.raises(PlanError, match="Invalid symbol"):
        run_in_processes(plan_of(exchange, reads_per_s=20, parts=2, symbol="NOPE"))


def test_the_command(exchange: Exchange, alice: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    call_command("loadgen", exchange.base_url, "--reads", "20", "--seconds", "1", "--timeout-ms", "60000", stdout=out)
    assert "reads" in out.getvalue()
    assert "p99.9" in out.getvalue()
    assert "REQUEST_WEIGHT in 1 MINUTE" in out.getvalue()
    keys = tmp_path / "keys"
    keys.write_text(json.dumps({"api_key": alice.me.api_key, "api_secret": alice.me.api_secret}) + "\n")
    common = ["loadgen", exchange.base_url, "--orders", "10", "--seconds", "1", "--timeout-ms", "60000", "--json"]
    out = StringIO()
    call_command(*common, "--keys", str(keys), stdout=out)
    assert json.loads(out.getvalue())["kinds"]["orders"]["succeeded"] == 10
    monkeypatch.setenv("LOADGEN_KEY", alice.me.api_key)
    monkeypatch.setenv("LOADGEN_SECRET", "wrong")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(*common, stdout=out)
    assert ended.value.code == 1
    assert json.loads(out.getvalue())["kinds"]["orders"]["errors"] == {
        "400 -1022 Signature for this request is not valid.": 10
    }
