"""Reconciliation of what is new: it reads no table from its beginning, and names every difference in what it reads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from apps.matching import snapshots
from apps.matching.policy import SNAPSHOTS_KEPT
from apps.orders.models import Reconciliation
from apps.orders.reconciliation import service
from apps.orders.reconciliation.service import Result, reconcile, save
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from tests.orders.live import SHARD, LiveShard, Traffic, enqueue_set_up, until
from tests.orders.tampering import tamper, tampered

FEES = [(800, 1_000), (-200, 1_000)]
CHECKED = "checked after event"


def run(live: LiveShard, *, full: bool = False) -> Result:
    result = reconcile(bus=live.bus, directory=live.directory, shard=SHARD, full=full)
    save(result)
    return result


@pytest.fixture
def shard(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    """Found equal as a whole three times, with trading in between: the next run starts at a snapshot."""
    enqueue_set_up(FEES)
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        traffic = Traffic(seed=17)
        for _ in range(3):
            live.bus.append_commands(traffic.frames(150))
            live.until_settled()
            assert run(live).differences == []
        live.bus.append_commands(traffic.frames(150))
        live.until_settled()
        yield live


def test_the_first_run_is_whole_and_the_next_ones_are_not(shard: LiveShard) -> None:
    counts = [row.counts for row in Reconciliation.objects.order_by("id")]
    assert counts[0][CHECKED] == 0
    again = run(shard)
    assert again.differences == []
    assert again.counts[CHECKED] > 0
    assert again.counts["events replayed"] < (again.engine_seq or 0)
    assert again.counts["ledger entries"] < counts[-1]["ledger entries"] + counts[0]["ledger entries"]
    assert again.counts["trades"] > counts[0]["trades"]


def test_full_looks_at_the_whole_history(shard: LiveShard) -> None:
    found = run(shard, full=True)
    assert found.differences == []
    assert found.counts[CHECKED] == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_entry")
        assert cursor.fetchone() == (found.counts["ledger entries"],)


def test_after_a_difference_or_a_day_the_whole_history_is_due(
    shard: LiveShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(shard).counts[CHECKED] > 0
    save(Result(SHARD, timezone.now(), ledger_seq=5, differences=["something"]))
    assert run(shard).counts[CHECKED] == 0
    assert run(shard).counts[CHECKED] > 0
    monkeypatch.setattr(service, "RECONCILE_FULL_EVERY_S", 0.0)
    assert run(shard).counts[CHECKED] == 0


LAST_ENTRY = "(SELECT max(id) FROM ledger_entry)"
LAST_TRADE = "(SELECT max(trade_id) FROM orders_trade)"
PLANTED = [
    (f"UPDATE ledger_entry SET amount_units = amount_units + 1 WHERE id = {LAST_ENTRY}",
     ["ledger transaction", "add up to"]),
    ("UPDATE ledger_entry SET amount_units = amount_units + CASE WHEN amount_units > 0 THEN 1 ELSE -1 END"
     f" WHERE seq = (SELECT seq FROM orders_trade WHERE trade_id = {LAST_TRADE}) AND n IN (0, 1)",
     ["add up to", "its ledger entries say something else"]),
    ("DELETE FROM ledger_entry WHERE seq = (SELECT max(seq) FROM ledger_entry)",
     ["add up to", "its ledger entries say something else"]),
    ("INSERT INTO ledger_entry (id, shard, seq, n, asset_id, kind, owner_id, amount_units) SELECT s * 8 + n, 'spot', s,"
     " n, 5, CASE n WHEN 0 THEN 1 ELSE 4 END, CASE n WHEN 0 THEN 1001 ELSE 0 END, CASE n WHEN 0 THEN 7 ELSE -7 END"
     " FROM (SELECT max(seq) AS s FROM orders_order WHERE seq NOT IN (SELECT seq FROM ledger_entry)) AS quiet,"
     " generate_series(0, 1) AS n",
     ["account 1001, asset 5: entries after event", "external of asset 5: entries after event"]),
    ("UPDATE ledger_balance SET available_units = available_units + 1, posted_units = posted_units + 1 WHERE "
     "account_id = 1001 AND asset_id = 1",
     ["balance of account 1001, asset 1: engine", "account 1001, asset 1: entries after event"]),
    ("UPDATE ledger_housetotal SET posted_units = posted_units + 1 WHERE kind = 2 AND asset_id = 5",
     ["fees and external of asset 5: engine fee_units=", "fees of asset 5: entries after event"]),
    (f"UPDATE orders_trade SET quantity_lots = quantity_lots + 1 WHERE trade_id = {LAST_TRADE}",
     ["trade 1/", "its row says"]),
    (f"DELETE FROM orders_trade WHERE trade_id = {LAST_TRADE} - 1", ["not gapless", "its row says|trades fill"]),
    (f"DELETE FROM orders_trade WHERE trade_id = {LAST_TRADE}", ["last trade id of market 1: engine"]),
    ("UPDATE orders_order SET filled_lots = filled_lots - 1 WHERE id = "
     f"(SELECT maker_order_id FROM orders_trade WHERE trade_id = {LAST_TRADE})", ["its row says"]),
    ("DELETE FROM orders_order WHERE id = "
     f"(SELECT taker_order_id FROM orders_trade WHERE trade_id = {LAST_TRADE})", ["its row says None for None"]),
]  # fmt: skip


def test_every_planted_difference_in_what_is_new_is_named(shard: LiveShard, tmp_path: Path) -> None:
    """Each run starts at the same snapshot, before what is changed, and makes the engine write a further one."""
    shutil.copytree(shard.directory, before := tmp_path / "before")
    for statement, expected in PLANTED:
        with tampered(statement):
            result = reconcile(bus=shard.bus, directory=shard.directory, shard=SHARD)
        assert result.counts[CHECKED] > 0
        for part in expected:
            named = [line for line in result.differences if any(word in line for word in part.split("|"))]
            assert named, (statement, part, result.differences)
        until(lambda: len(snapshots.kept(shard.directory)) == SNAPSHOTS_KEPT, "older snapshots deleted")
        for file in shard.directory.iterdir():
            file.unlink()
        shutil.copytree(before, shard.directory, dirs_exist_ok=True)
    assert run(shard).differences == []


def test_a_difference_in_old_history_is_found_by_full(shard: LiveShard) -> None:
    tamper(
        "UPDATE ledger_entry SET amount_units = amount_units + CASE n WHEN 0 THEN 1 ELSE -1 END"
        " WHERE seq = (SELECT min(seq) FROM ledger_entry)"
    )
    found = run(shard, full=True).differences
    assert any("entries add up to" in line for line in found)


def test_nothing_is_read_from_its_beginning(shard: LiveShard) -> None:
    """The plans of the queries that run every five minutes use the ids' own index."""
    from apps.orders.reconciliation import recent, record

    values = {
        "shard": SHARD, "first_entry": 10, "end_entry": 20, "checked_record": 1, "last_record": 2, "after": 1,
        "last": 2,
    }  # fmt: skip
    queries = [(record._TRANSACTIONS_SUM, values), (record._ENTRIES_OF_TRADES, values), (record._COUNT_ENTRIES, values),
               (recent._ENTRIES, [10, 20]), (recent._FILLS, values), (recent._TRADE_COUNTS, [1, 2])]  # fmt: skip
    with record.connect() as own:
        own.execute("SET enable_seqscan = off")
        for query, arguments in queries:
            plan = "\n".join(line for (line,) in own.execute("EXPLAIN " + query, arguments))  # type: ignore[call-overload]
            for table in ("ledger_entry", "orders_trade", "orders_order"):
                assert f"Seq Scan on {table}" not in plan, plan
