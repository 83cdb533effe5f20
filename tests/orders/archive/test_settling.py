"""`manage.py settle --from archive`: an older PostgreSQL comes to say what the lost one said, and goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from apps.ledger.services import credit, debit
from apps.markets.models import Asset, Market, MarketSettingsChange
from apps.markets.services import (
    MarketAction,
    change_asset_class,
    change_market_settings,
    create_asset,
    create_market,
    set_market_state,
)
from apps.matching.models import Watermark
from apps.orders.archive.errors import RestoreRefused
from apps.orders.archive.reader import Archive
from apps.orders.archive.resettling import Resettled, resettle
from apps.orders.reconciliation.service import reconcile
from apps.orders.settlement.process import connect
from apps.orders.settlement.single import acquire
from apps.outbox.models import OutboxRow, OutboxState, RelayCounter
from apps.outbox.services import enqueue, enqueue_settings
from apps.streams.bus.base import Bus
from apps.streams.bus.memory import MemoryBus
from apps.streams.commands import SetAccount, Transfer
from apps.streams.kinds import AllocationMethod, Counterparty
from apps.streams.messages import AllocationSettings
from tests.markets.conftest import TERMS
from tests.orders.archive.databases import Backup, contents
from tests.orders.archive.logs import Archiving
from tests.orders.live import ACCOUNTS, COIN, SHARD, LiveShard, Traffic, until
from tests.orders.test_settlement_process import Running

pytestmark = pytest.mark.django_db(transaction=True)

TERMS_BODY = {"reason": "test", "requested_by": "staff@example.com"}


class Exchange:
    """A shard at work, its archive, and a backup from the middle of its life."""

    def __init__(self, tmp_path: Path) -> None:
        self.bus = MemoryBus(SHARD)
        self.snapshots_dir = tmp_path / "snapshots" / SHARD
        self.directory = tmp_path / "archive" / SHARD
        self.traffic = Traffic(seed=31)

    def live(self) -> LiveShard:
        return LiveShard(self.bus, self.snapshots_dir)

    def archive(self) -> None:
        with Archiving(self.bus, self.directory, self.snapshots_dir) as running:
            until(lambda: running.process.ends.seq == self.bus.head().seq, "archived")

    def trade(self, live: LiveShard, entries: int = 12) -> None:
        for _ in range(entries):
            live.bus.append_commands(self.traffic.frames(15))
        live.until_settled()

    def resettle(self, *, live: Bus | None = None) -> Resettled:
        with connect() as connection:
            return resettle(connection=connection, archive=Archive(self.directory), live=live, shard=SHARD)


def open_market(exchange: Exchange) -> None:
    """Two assets, one market, money; all settled."""
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    create_market(base="BTC", quote="USDT", terms=TERMS, **TERMS_BODY)
    set_market_state(symbol="BTCUSDT", action=MarketAction.OPEN, **TERMS_BODY)
    for account in ACCOUNTS:
        credit(account_id=account, asset_id=1, amount_units=100 * COIN, key=f"btc:{account}")
        credit(account_id=account, asset_id=2, amount_units=5_000_000 * COIN, key=f"usdt:{account}")


def settled(live: LiveShard) -> None:
    """Every outbox row is answered and settled."""
    until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "outbox settled")
    live.until_settled()


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


@pytest.fixture
def backup(exchange: Exchange) -> Iterator[Backup]:
    """Made while the exchange stood with some history, a row that the relay had not numbered, and one not sent."""
    open_market(exchange)
    with exchange.live() as live:
        settled(live)
        exchange.trade(live)
    credit(account_id=1001, asset_id=2, amount_units=7 * COIN, key="dep:waiting:1")
    set_market_state(symbol="BTCUSDT", action=MarketAction.HALT, **TERMS_BODY)
    made = Backup()
    yield made
    made.remove()


def live_on(exchange: Exchange) -> None:
    """What the backup does not know: trading, money, a new market, new settings, staff at work."""
    with exchange.live() as live:
        settled(live)
        set_market_state(symbol="BTCUSDT", action=MarketAction.OPEN, **TERMS_BODY)
        settled(live)
        exchange.trade(live)
        create_asset(code="SOL", name="Solana")
        create_market(base="SOL", quote="USDT", terms=TERMS, **TERMS_BODY)
        credit(account_id=1002, asset_id=2, amount_units=3 * COIN, key="dep:lost:1")
        credit(account_id=7_000_001, asset_id=2, amount_units=11 * COIN, key="dep:lost:2")
        debit(account_id=1003, asset_id=2, amount_units=10**9 * COIN, key="wd:refused")
        with transaction.atomic():
            command = Transfer(
                relay_seq=0, source=0, account_id=1001, to_account_id=1002, asset_id=2, amount_units=5, key="move:1",
                counter=Counterparty.NONE,
            )  # fmt: skip
            enqueue(key="move:1", command=command)
            joins = SetAccount(relay_seq=0, source=0, account_id=7_000_001, family_id=1001, fee_tier=2)
            enqueue(key="family:1", command=joins)
            rule = AllocationSettings(account_id=1001, rule_id=4, method=AllocationMethod.EQUAL, accounts=[7_000_001])
            enqueue_settings(key="rule:1", settings=rule)
        change_asset_class(code="BTC", asset_class="coin", **TERMS_BODY)
        change_market_settings(symbol="BTCUSDT", changes={"max_lots": 10**8}, **TERMS_BODY)
        settled(live)
        set_market_state(symbol="SOLUSDT", action=MarketAction.OPEN, **TERMS_BODY)
        settled(live)
        exchange.trade(live)


def reconciled(exchange: Exchange) -> list[str]:
    return reconcile(bus=exchange.bus, directory=exchange.snapshots_dir, shard=SHARD).differences


def test_an_older_database_comes_to_say_what_the_lost_one_said_and_the_exchange_goes_on(
    exchange: Exchange, backup: Backup
) -> None:
    live_on(exchange)
    exchange.archive()
    lost = contents()
    head = exchange.bus.head()
    exchange.bus.trim(epoch=exchange.bus.epoch(), commands_to=head.cmd, events_to=head.seq - 1)
    backup.restore()
    assert contents() != lost
    with Running(exchange.bus) as settling:
        until(lambda: settling.error is not None, "settlement stops")
    assert "run manage.py settle --from archive" in str(settling.error)

    result = exchange.resettle(live=exchange.bus)

    assert contents() == lost
    assert (result.to_seq, result.log_end) == (head.seq, head.seq)
    assert (result.restored.rows, result.restored.numbered) == (12, 2)
    assert (result.restored.assets, result.restored.markets) == (["SOL"], ["SOLUSDT"])
    assert result.restored.unknown_accounts == [*ACCOUNTS, 7_000_001]
    rows = OutboxRow.objects.exclude(restored_at=None)
    assert rows.filter(key__in=("dep:lost:1", "dep:lost:2", "wd:refused", "move:1")).count() == 4
    assert OutboxRow.objects.get(key="dep:waiting:1").restored_at is None
    # The same deposit, seen again by whoever watches the chain, is the same row; what comes next takes the next number.
    again = credit(account_id=1002, asset_id=2, amount_units=3 * COIN, key="dep:lost:1")
    assert again.state == OutboxState.DONE
    last = RelayCounter.objects.get().last_relay_seq
    credit(account_id=1002, asset_id=2, amount_units=4 * COIN, key="dep:new:1")
    with exchange.live() as live:
        settled(live)
        exchange.trade(live)
        assert OutboxRow.objects.get(key="dep:new:1").relay_seq == last + 1
        assert reconciled(exchange) == []


def test_a_run_that_was_broken_off_is_run_again(
    exchange: Exchange, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_on(exchange)
    exchange.archive()
    lost = contents()
    backup.restore()
    monkeypatch.setattr("apps.orders.archive.resettling.EVENTS_PER_BATCH", 10)

    def broken_off(seq: int, end: int) -> None:
        if seq < end:
            raise KeyboardInterrupt

    runs = 0
    while contents()["matching_watermark"] != lost["matching_watermark"]:
        with connect() as connection:
            try:
                resettle(
                    connection=connection, archive=Archive(exchange.directory), live=None, shard=SHARD,
                    progress=broken_off,
                )  # fmt: skip
            except KeyboardInterrupt:
                runs += 1
    assert runs >= 2
    assert contents() == lost


def test_it_waits_for_no_one_who_is_at_work(exchange: Exchange, backup: Backup) -> None:
    exchange.archive()
    with connect() as other:
        assert acquire(other, SHARD)
        before = contents()
        with pytest.raises(RestoreRefused, match="Stop it first"):
            exchange.resettle()
        assert contents() == before
    with connect() as connection:
        assert acquire(connection, SHARD)
        with Running(exchange.bus) as settling:
            until(lambda: settling.process.status == "another settlement is at work", "it waits")
            assert not settling.process.check().ok
            connection.close()
            until(lambda: settling.process.status == "settling", "its turn")


def test_an_archive_that_begins_after_the_backup_is_refused(exchange: Exchange, backup: Backup) -> None:
    live_on(exchange)
    head = exchange.bus.head()
    exchange.bus.trim(epoch=exchange.bus.epoch(), commands_to=head.cmd, events_to=head.seq - 1)
    exchange.archive()
    backup.restore()
    before = contents()
    with pytest.raises(RestoreRefused, match="A newer backup of PostgreSQL, or an older copy of the archive"):
        exchange.resettle()
    assert contents() == before


def test_two_histories_are_refused(exchange: Exchange, backup: Backup) -> None:
    exchange.archive()
    Watermark.objects.update(chain="0" * 64)
    with pytest.raises(RestoreRefused, match="two histories"):
        exchange.resettle()
    Watermark.objects.update(seq=10**9)
    with pytest.raises(RestoreRefused, match="it is the log that lost events"):
        exchange.resettle()


def restored_with(exchange: Exchange, backup: Backup) -> None:
    live_on(exchange)
    exchange.archive()
    backup.restore()


def number_a_new_row() -> None:
    row = credit(account_id=1001, asset_id=2, amount_units=1, key="dep:after:1")
    OutboxRow.objects.filter(pk=row.pk).update(relay_seq=RelayCounter.objects.get().last_relay_seq + 1)


def make_another_asset() -> None:
    create_asset(code="XRP", name="XRP")


def make_another_market() -> None:
    Asset.objects.create(id=3, code="SOL", name="Solana")
    Asset.objects.create(id=4, code="XRP", name="XRP")
    create_market(base="XRP", quote="USDT", terms=TERMS, **TERMS_BODY)


def change_settings_otherwise() -> None:
    change_market_settings(symbol="BTCUSDT", changes={"max_lots": 10**7}, **TERMS_BODY)


def test_what_was_done_on_the_restored_database_is_never_overwritten(exchange: Exchange, backup: Backup) -> None:
    """Somebody let people or the relay work on it before it was settled: each difference is named, nothing changes."""
    restored_with(exchange, backup)
    for tamper, message in (
        (number_a_new_row, "outbox row dep:after:1 has number"),
        (make_another_asset, "asset 3 is XRP in this database and SOL in the log"),
        (make_another_market, "market 2 is XRPUSDT in this database and SOLUSDT in the log"),
        (change_settings_otherwise, "version 2 of the settings of BTCUSDT is another one"),
    ):
        tamper()
        before = contents()
        with pytest.raises(RestoreRefused, match=message):
            exchange.resettle()
        assert contents() == before
        backup.restore()


def test_what_staff_asks_for_after_the_restore_is_not_taken_for_what_was_done_then(
    exchange: Exchange, backup: Backup
) -> None:
    """The lost database had opened the market again; an opening asked for now is a new one and waits for the relay."""
    restored_with(exchange, backup)
    asked = set_market_state(symbol="BTCUSDT", action=MarketAction.OPEN, **TERMS_BODY)
    with connect() as owner:  # asked for minutes after the backup
        owner.execute("ALTER TABLE outbox_outboxrow DISABLE TRIGGER outbox_guard_update")
        owner.execute(
            "UPDATE outbox_outboxrow SET created_at = now() + interval '5 minutes' WHERE key = %s", [asked.outbox_key]
        )
        owner.execute("ALTER TABLE outbox_outboxrow ENABLE TRIGGER outbox_guard_update")
    exchange.resettle()
    row = OutboxRow.objects.get(key=asked.outbox_key)
    assert (row.relay_seq, row.state) == (None, OutboxState.WAITING)


def test_the_command_says_what_it_did(
    exchange: Exchange, backup: Backup, monkeypatch: pytest.MonkeyPatch, settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    restored_with(exchange, backup)
    settings.DATA_DIR = exchange.directory.parents[1]
    monkeypatch.setattr("apps.orders.management.commands.settle.RedisBus", lambda *_: exchange.bus)
    call_command("settle", "--from", "archive")
    said = capsys.readouterr().out
    assert "outbox rows made again: 12; rows of the backup that had been sent since: 2" in said
    assert "markets made again: SOLUSDT" in said
    assert "7000001" in said
    assert said.endswith("run manage.py reconcile --full\n")
    assert Market.objects.filter(symbol="SOLUSDT").exists()
    assert MarketSettingsChange.objects.filter(reason="Restored from the archive of the log").count() == 2
    call_command("settle", "--from", "archive")
    assert "nothing to settle" in capsys.readouterr().out
    with connect() as other:
        acquire(other, SHARD)
        with pytest.raises(CommandError, match="Stop it first"):
            call_command("settle", "--from", "archive")
