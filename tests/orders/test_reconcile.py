"""Reconcile says 'equal' after real traffic, and names every planted difference (T13, F4)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from apps.matching import snapshots
from apps.orders import policy
from apps.orders.models import Reconciliation
from apps.orders.reconciliation import service
from apps.orders.reconciliation.service import Result, reconcile, save
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from apps.streams.records import FRAME_SIZE
from tests.orders.live import SHARD, LiveShard, Traffic, enqueue_set_up, until
from tests.orders.tampering import tampered

FEES = [(800, 1_000), (-200, 1_000)]


@pytest.fixture
def shard(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    """A shard with some hundred random orders settled."""
    enqueue_set_up(FEES)
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        traffic = Traffic(seed=10)
        for _ in range(20):
            live.bus.append_commands(traffic.frames(25))
        live.until_settled()
        yield live


def run(live: LiveShard) -> Result:
    return reconcile(bus=live.bus, directory=live.directory, shard=SHARD)


def test_equal_after_random_traffic_from_empty_and_from_snapshots(shard: LiveShard) -> None:
    first = run(shard)
    assert first.differences == []
    assert first.counts["trades"] > 50
    assert first.counts["open orders"] > 10
    assert first.counts["accounts with a family or tier"] == 5
    assert first.counts["allocation rules"] == 1
    assert first.counts["events replayed"] == first.engine_seq
    traffic = Traffic(seed=8)
    for _ in range(4):
        shard.bus.append_commands(traffic.frames(60))
        again = run(shard)
        assert again.differences == []
    until(lambda: len(snapshots.kept(shard.directory)) == 3, "older snapshots deleted")
    assert again.counts["events replayed"] < (again.engine_seq or 0)


def test_an_idle_market_is_equal_too(shard: LiveShard) -> None:
    for _ in range(3):
        assert run(shard).differences == []


PARKED = "SELECT min(o.id) FROM orders_order o JOIN orders_parkedorder p ON p.id = o.id WHERE o.status = 8"
PLANTED = [
    ("UPDATE accounts_accountsettings SET family_id = account_id WHERE account_id = 1002",
     ["family and tier of account 1002: engine family_id=1001, fee_tier=0, PostgreSQL nothing"]),
    ("UPDATE accounts_accountsettings SET fee_tier = 5 WHERE account_id = 1003",
     ["family and tier of account 1003: engine family_id=1001, fee_tier=1"]),
    ("UPDATE accounts_allocationrule SET accounts = '[1001, 1003, 1002]'",
     ["allocation rule 1 of account 1001: engine method=3, accounts=(1001, 1002, 1003)"]),
    ("DELETE FROM accounts_allocationrule", ["allocation rule 1 of account 1001: engine method=3"]),
    ("INSERT INTO markets_asset (id, code, name, asset_class) VALUES (1, 'BTC', 'Bitcoin', 'coin')",
     ["class of asset 1: engine nothing, PostgreSQL asset_class=coin"]),
    ("UPDATE ledger_balance SET available_units = available_units + 1, posted_units = posted_units + 1 WHERE "
     "account_id = 1001 AND asset_id = 1",
     ["balance of account 1001, asset 1: engine", "account 1001, asset 1: entries add up to"]),
    ("UPDATE ledger_balance SET available_units = available_units - 1, held_units = held_units + 1 WHERE "
     "account_id = 1001 AND asset_id = 1", ["balance of account 1001, asset 1: engine"]),
    ("DELETE FROM ledger_balance WHERE account_id = 1003 AND asset_id = 5",
     ["balance of account 1003, asset 5: engine", "account 1003, asset 5: entries add up to"]),
    ("UPDATE ledger_housetotal SET posted_units = posted_units + 1 WHERE kind = 2 AND asset_id = 5",
     ["fees and external of asset 5: engine fee_units=", "house account 2, asset 5: entries add up to"]),
    ("UPDATE ledger_housetotal SET posted_units = posted_units - 1 WHERE kind = 4 AND asset_id = 1",
     ["fees and external of asset 1: engine", "house account 4, asset 1: entries add up to"]),
    ("UPDATE ledger_entry SET amount_units = amount_units + 1 WHERE id = (SELECT max(id) FROM ledger_entry)",
     ["entries of", "ledger transaction", "entries add up to"]),
    # The same account and asset in two transactions: sums stay, each transaction is off.
    ("UPDATE ledger_entry SET amount_units = amount_units + CASE WHEN id = (SELECT min(id) FROM ledger_entry WHERE "
     "kind = 4 AND asset_id = 1) THEN 1 ELSE -1 END WHERE id IN ((SELECT min(id) FROM ledger_entry WHERE kind = 4 AND "
     "asset_id = 1), (SELECT max(id) FROM ledger_entry WHERE kind = 4 AND asset_id = 1))", ["ledger transaction"]),
    ("DELETE FROM ledger_entry WHERE seq = (SELECT max(seq) FROM ledger_entry)",
     ["entries add up to", "its ledger entries say something else"]),
    ("UPDATE orders_order SET filled_lots = filled_lots + 1 WHERE id = "
     "(SELECT min(id) FROM orders_order WHERE status = 1 AND quantity_lots > 1)",
     ["open order", "trades fill 0 lots for 0, its row says 1 for 0"]),
    ("UPDATE orders_order SET status = 4 WHERE id = (SELECT min(id) FROM orders_order WHERE status = 1)",
     ["open order"]),
    ("UPDATE orders_order SET status = 1 WHERE id = (SELECT min(id) FROM orders_order WHERE status = 4)",
     ["open order"]),
    ("UPDATE orders_order SET price_ticks = price_ticks + 1 WHERE id = "
     "(SELECT max(id) FROM orders_order WHERE status = 1)",
     ["open order"]),
    (f"UPDATE orders_order SET status = 1 WHERE id = ({PARKED})", ["open order", "parked=True", "parked=False"]),
    (f"DELETE FROM orders_parkedorder WHERE id = ({PARKED})",
     ["parked=True", "parked=False"]),
    ("UPDATE orders_trade SET quantity_lots = quantity_lots + 1 WHERE trade_id = 3",
     ["trade 1/3", "its row says"]),
    ("UPDATE orders_trade SET quote_units = quote_units + 1 WHERE trade_id = 3", ["trade 1/3", "its row says"]),
    ("UPDATE orders_trade SET taker_account_id = 1, maker_account_id = 1 WHERE trade_id = 3", ["trade 1/3"]),
    ("DELETE FROM orders_trade WHERE trade_id = 2", ["not gapless from 1", "trades fill"]),
    ("DELETE FROM orders_trade WHERE trade_id = (SELECT max(trade_id) FROM orders_trade)",
     ["last trade id of market 1: engine"]),
    ("UPDATE orders_ordershare SET allocated_lots = allocated_lots - 1 WHERE id = (SELECT max(id) FROM"
     " orders_ordershare WHERE allocated_lots > 0)", ["lots allocated, its row says"]),
    ("DELETE FROM orders_ordershare WHERE id = (SELECT max(s.id) FROM orders_ordershare s JOIN orders_order o"
     " ON o.id = s.order_id WHERE o.status = 1)", ["share of account", "lots allocated, its row says"]),
    ("UPDATE orders_allocatedfill SET fee_units = fee_units + 1 WHERE id = (SELECT max(id) FROM orders_allocatedfill"
     " WHERE account_id <> owner_account_id)", ["does not add up to it", "its ledger entries say something else"]),
    ("DELETE FROM orders_allocatedfill WHERE id = (SELECT max(a.id) FROM orders_allocatedfill a JOIN"
     " orders_allocatedfill b ON a.market_id = b.market_id AND a.trade_id = b.trade_id AND a.order_id = b.order_id AND"
     " a.id > b.id)", ["what its sub-accounts got does not add up"]),
    ("UPDATE orders_order SET status = 1 WHERE id = (SELECT min(id) FROM orders_order WHERE status = 8 AND"
     " order_list_id > 0)", ["open order", "is_pending=True", "is_pending=False"]),
    ("UPDATE orders_order SET order_list_id = 1 WHERE id = (SELECT min(id) FROM orders_order WHERE status = 1 AND"
     " order_list_id > 1)", ["open order", "order_list_id=1"]),
    ("UPDATE orders_orderlist SET status = 3 WHERE id = (SELECT min(id) FROM orders_orderlist WHERE status < 3)",
     ["open order list", "PostgreSQL nothing"]),
    ("UPDATE orders_orderlist SET status = 2 WHERE id = (SELECT min(id) FROM orders_orderlist WHERE status = 1 AND"
     " kind > 1)", ["open order list", "has_entered=False", "has_entered=True"]),
    ("UPDATE matching_watermark SET chain = repeat('0', 64) WHERE reader = 'settlement'",
     ["PostgreSQL has chain 0000"]),
]  # fmt: skip


def test_every_planted_difference_is_named(shard: LiveShard) -> None:
    """The owner of the database changes one thing with the triggers off; nothing else is reported wrong."""
    for statement, expected in PLANTED:
        with tampered(statement):
            found = run(shard).differences
        for part in expected:
            assert any(part in line for line in found), (statement, part, found)
        assert not [line for line in found if "state hash" in line], (statement, found)
    assert run(shard).differences == []


def test_a_changed_log_is_named(shard: LiveShard) -> None:
    """A command that was altered after it was applied gives other events than those published."""
    commands = shard.bus._log.commands  # type: ignore[attr-defined]
    at = next(index for index, entry in enumerate(commands) if len(entry.frames) > 1_000)
    original = commands[at]
    commands[at] = replace(original, frames=original.frames[: -2 * FRAME_SIZE])
    try:
        found = run(shard).differences
    finally:
        commands[at] = original
    assert len(found) == 1
    assert found[0].startswith("log: ")


def test_a_silent_engine_is_named(shard: LiveShard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SNAPSHOT_WAIT_S", 0.2)
    shard.worker.stop()
    until(lambda: shard.bus.lease_holder() is None, "lease released")
    assert run(shard).differences == [
        "engine: No snapshot of the engine within 0.2 s because no matching worker is active."
    ]


def test_settlement_that_is_behind_is_named(shard: LiveShard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SETTLEMENT_WAIT_S", 0.2)
    shard._stop.set()
    shard._threads[2].join(timeout=60)
    shard.bus.append_commands(Traffic(seed=9).frames(5))
    (found,) = run(shard).differences
    assert found.startswith("ledger: settled up to")


def test_the_command_prints_and_stores_the_result(shard: LiveShard, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.orders.management.commands import reconcile as command

    monkeypatch.setattr(command, "RedisBus", lambda url, shard_name: shard.bus)
    monkeypatch.setattr(command, "shard_dir", lambda data_dir, shard_name: shard.directory)
    out = StringIO()
    call_command("reconcile", stdout=out)
    assert out.getvalue().startswith("equal: engine at ")
    out = StringIO()
    call_command("reconcile", "--json", stdout=out)
    assert json.loads(out.getvalue())["equal"] is True
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_housetotal SET posted_units = posted_units + 1 WHERE kind = 2 AND asset_id = 5")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile", stdout=out)
    assert ended.value.code == 1
    assert out.getvalue().startswith("DIFFERENT: 2 differences; engine at ")
    rows = list(Reconciliation.objects.order_by("id").values_list("equal", flat=True))
    assert rows == [True, True, False]


@pytest.mark.django_db
def test_a_stored_result_is_bounded() -> None:
    result = Result(SHARD, timezone.now(), differences=[f"d{number}" for number in range(500)])
    row = save(result)
    assert len(row.differences) == policy.DIFFERENCES_STORED + 1
    assert row.differences[-1] == "and 300 more"
