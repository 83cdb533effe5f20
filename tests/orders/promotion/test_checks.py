"""What a second site compares before it serves: equal after real traffic; every planted damage has its check (E13)."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection, transaction

from apps.matching import snapshots
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.snapshots import Snapshot
from apps.orders.promotion.checks import compare
from apps.orders.promotion.errors import CheckFailed
from apps.orders.reconciliation.service import reconcile
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from apps.streams.records import FRAME_SIZE
from tests.orders.live import SHARD, LiveShard, Traffic, enqueue_set_up, until

FEES = [(800, 1_000), (-200, 1_000)]


@pytest.fixture
def shard(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    """Some hundred random orders settled, and two snapshots, as a standby worker writes them."""
    enqueue_set_up(FEES)
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        traffic = Traffic(seed=11)
        for _ in range(2):
            for _ in range(8):
                live.bus.append_commands(traffic.frames(25))
            live.until_settled()
            assert reconcile(bus=live.bus, directory=live.directory, shard=SHARD).equal  # asks for a snapshot
        live.bus.append_commands(traffic.frames(25))
        live.until_settled()
        yield live


def stop_settling(live: LiveShard) -> None:
    """Relay and settlement end; the worker goes on."""
    live._stop.set()
    for thread in live._threads[1:]:
        thread.join(timeout=60)


def refusal(live: LiveShard) -> CheckFailed:
    with pytest.raises(CheckFailed) as refused:
        compare(live.bus, live.directory)
    return refused.value


def newest(live: LiveShard) -> Snapshot:
    found = snapshots.newest(live.directory)
    assert found is not None
    return found


@contextlib.contextmanager
def altered(table: str, statement: str) -> Iterator[None]:
    """What a hand in the database did, with all triggers off; put right at the end of the block."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE as_it_was AS SELECT * FROM {table}")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        assert cursor.rowcount >= 1
    try:
        yield
    finally:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(f"DELETE FROM {table}")
            cursor.execute(f"INSERT INTO {table} SELECT * FROM as_it_was")
            cursor.execute("DROP TABLE as_it_was")


def test_equal_from_the_oldest_snapshot_with_the_standby_as_second_witness(shard: LiveShard) -> None:
    found = compare(shard.bus, shard.directory)
    oldest, last = snapshots.load(snapshots.kept(shard.directory)[-1]), newest(shard)
    replayed = {each.source: each for each in found.replays}
    own = f"replay from snapshot {oldest.seq}"
    assert [each.source for each in found.replays] == [own, f"standby's snapshot {last.path.name}", own]
    assert replayed[f"standby's snapshot {last.path.name}"].seq == last.seq
    assert found.replays[0].state_hash == found.replays[1].state_hash
    assert (found.head, found.settled.seq) == (shard.bus.head(), shard.bus.head().seq)
    assert found.counts["trades"] > 20
    assert found.counts["ledger entries"] > 100


def test_with_fewer_snapshots_and_a_whole_log_the_replay_is_from_empty(shard: LiveShard) -> None:
    last, *older = snapshots.kept(shard.directory)
    for path in older:
        path.unlink()
    found = compare(shard.bus, shard.directory)
    assert {each.source for each in found.replays} == {"replay from empty", f"standby's snapshot {last.name}"}
    last.unlink()
    found = compare(shard.bus, shard.directory)
    assert [each.source for each in found.replays] == ["replay from empty"]


def test_a_trimmed_log_needs_a_snapshot_as_old_as_the_record(shard: LiveShard) -> None:
    last = newest(shard)
    for path in snapshots.kept(shard.directory)[1:]:
        path.unlink()
    epoch = shard.worker.status.epoch
    shard.bus.trim(epoch=epoch, commands_to=last.last_cmd, events_to=0)
    # One snapshot, and the rest of the log: nothing to lay beside it, but chain and ledger agree.
    assert len(compare(shard.bus, shard.directory).replays) == 1
    last.path.unlink()
    refused = refusal(shard)
    assert refused.check == "ledger"
    assert "Bring an older snapshot" in refused.message


# (table, what a hand did to it, the check that refuses, words of its message)
PLANTED = [
    ("ledger_balance", "UPDATE ledger_balance SET available_units = available_units + 1, posted_units = posted_units"
     " + 1 WHERE account_id = 1001 AND asset_id = 1", "ledger", "account 1001, asset 1"),
    ("ledger_entry", "DELETE FROM ledger_entry WHERE seq = (SELECT max(seq) FROM ledger_entry)", "ledger", "add up to"),
    ("orders_order", "UPDATE orders_order SET status = 4 WHERE id = (SELECT min(id) FROM orders_order WHERE"
     " status = 1)", "ledger", "open order"),
    ("orders_trade", "DELETE FROM orders_trade WHERE trade_id = 2", "ledger", "not gapless from 1"),
    ("matching_watermark", "UPDATE matching_watermark SET chain = repeat('0', 64)", "log", "postgres-chain-differs"),
    ("matching_watermark", "UPDATE matching_watermark SET seq = seq + 1000", "log", "log-behind-postgres"),
    ("matching_watermark", "UPDATE matching_watermark SET seq = seq - 1", "log", "postgres-chain-differs"),
]  # fmt: skip


def test_every_altered_record_is_refused_by_the_name_of_its_check(shard: LiveShard) -> None:
    stop_settling(shard)
    for table, statement, check, words in PLANTED:
        with altered(table, statement):
            refused = refusal(shard)
        assert (refused.check, refused.code, words in refused.message) == (check, "check_failed", True), statement
        assert str(refused).startswith(f"check '{check}' failed: ")
    assert compare(shard.bus, shard.directory).head == shard.bus.head()


def test_an_altered_log_is_refused_by_the_name_of_its_check(shard: LiveShard) -> None:
    """A command that was cut, and an event that was touched, both behind every snapshot."""
    log = shard.bus._log  # type: ignore[attr-defined]
    at = max(index for index, entry in enumerate(log.commands) if len(entry.frames) > 1_000)
    command, event = log.commands[at], log.events[-1]
    assert command.id > newest(shard).last_cmd
    log.commands[at] = replace(command, frames=command.frames[: -2 * FRAME_SIZE])
    assert refusal(shard).check == "replay"
    log.commands[at] = command
    log.events[-1] = replace(event, body=event.body[:-1] + bytes([event.body[-1] ^ 1]))
    assert refusal(shard).check == "replay"
    log.events[-1] = event
    assert compare(shard.bus, shard.directory).head == shard.bus.head()


def test_a_snapshot_that_is_not_of_this_log_or_state_is_refused_by_name(shard: LiveShard) -> None:
    last = newest(shard)
    # The right place and chain, but another state: what a standby with another engine would write down.
    engine = Engine.restore(last.body)
    engine._state.skips += 1
    last.path.write_bytes(snapshots.encode(last.position, RULES_VERSION, engine.snapshot()))
    refused = refusal(shard)
    assert (refused.check, "state hash" in refused.message) == ("state", True)
    last.path.write_bytes(snapshots.encode(replace(last.position, chain="ab" * 32), RULES_VERSION, last.body))
    refused = refusal(shard)
    assert (refused.check, "snapshot-chain-differs" in refused.message) == ("log", True)


def test_settlement_that_is_behind_the_snapshots_is_compared_where_it_stands(shard: LiveShard) -> None:
    stop_settling(shard)
    traffic = Traffic(seed=12)
    settled_seq = shard.settlement.seq
    for _ in range(3):
        shard.bus.append_commands(traffic.frames(25))
    shard.until_applied()
    found = compare(shard.bus, shard.directory)
    assert found.settled.seq == settled_seq < found.head.seq
    assert found.replays[-1].seq == found.head.seq
