"""Fee tiers by 30-day volume (T11): what counts, what is sent, and that a second run sends nothing."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.markets.models import Asset, Market
from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.matching.models import Watermark
from apps.orders import fee_tiers
from apps.orders.errors import SettlementBehind, TiersComputed, UnknownVolumeAsset
from apps.orders.fee_tiers import check_settled, tier_of, update_fee_tiers, volumes
from apps.orders.management.commands import update_fee_tiers as command
from apps.orders.models import FeeTierChange, Trade
from apps.orders.policy import VOLUME_TIERS
from apps.orders.reconciliation.replica import Replica
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import decode_command
from apps.streams.kinds import AccountFlag, CommandKind
from tests.orders.live import SHARD, LiveShard, Traffic, enqueue_set_up, until
from tests.orders.tape import market_settings

DAY = date(2026, 11, 21)
COIN = 10**8
ALICE, BOB = 1001, 1002


def at(day: date, ms: int = 0) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000 + ms


@pytest.fixture
def listed(db: None) -> None:
    """BTCUSDT, ETHBTC, USDTEUR and, without a market to USDT, ETHEUR."""
    assets = {code: Asset.objects.create(id=number, code=code, name=code)
              for number, code in enumerate(("BTC", "USDT", "ETH", "EUR"), 1)}  # fmt: skip
    for number, (base, quote) in enumerate((("BTC", "USDT"), ("ETH", "BTC"), ("USDT", "EUR"), ("ETH", "EUR")), 1):
        settings = market_settings(market_id=number, symbol=base + quote)
        values = {name: getattr(settings, name) for name in settings.__struct_fields__ if name != "market_id"}
        values |= {"base_asset_id": assets[base].id, "quote_asset_id": assets[quote].id}
        Market.objects.create(id=number, **values)


def trade(
    market_id: int, quote_units: int, time_ms: int, *, price_ticks: int = 5_000_000, lots: int = 1,
    maker: int = ALICE, taker: int = BOB,
) -> None:  # fmt: skip
    number = Trade.objects.count() + 1
    Trade.objects.create(
        id=number, market_id=market_id, trade_id=number, agg_id=number, maker_order_id=1, taker_order_id=2,
        maker_account_id=maker, taker_account_id=taker, price_ticks=price_ticks, quantity_lots=lots,
        quote_units=quote_units, taker_is_buyer=True, taker_fee_units=0, maker_fee_units=0, time_ms=time_ms, seq=number,
    )  # fmt: skip


@pytest.mark.parametrize("tier", range(1, len(VOLUME_TIERS)))
def test_a_tier_begins_exactly_at_its_volume(tier: int) -> None:
    volume = VOLUME_TIERS[tier] * COIN
    assert (tier_of(volume - 1), tier_of(volume)) == (tier - 1, tier)
    assert tier_of(0) == 0


def test_thirty_whole_days_before_the_day_count(listed: None) -> None:
    first = DAY - timedelta(days=30)
    for time_ms in (at(first, -1), at(first), at(DAY, -1), at(DAY)):
        trade(1, 7 * COIN, time_ms)
    assert volumes(DAY) == {ALICE: 14 * COIN, BOB: 14 * COIN}
    assert volumes(DAY + timedelta(days=1)) == {ALICE: 14 * COIN, BOB: 14 * COIN}
    assert volumes(DAY - timedelta(days=1)) == {ALICE: 14 * COIN, BOB: 14 * COIN}
    assert volumes(DAY - timedelta(days=100)) == {}


def test_other_quotes_are_turned_at_the_last_price_before_the_day(listed: None) -> None:
    """2 BTC of ETHBTC at 40,000 USDT a BTC, the newer price being of the day itself."""
    trade(1, 0, at(DAY - timedelta(days=40)), price_ticks=4_000_000)
    trade(1, 0, at(DAY), price_ticks=9_000_000)
    trade(2, 2 * COIN, at(DAY, -1))
    assert volumes(DAY) == {ALICE: 80_000 * COIN, BOB: 80_000 * COIN}


def test_a_market_with_the_counted_asset_as_base_counts_its_lots(listed: None) -> None:
    trade(3, 99 * COIN, at(DAY, -1), lots=250_000)  # lots of 1,000 units
    assert volumes(DAY) == {ALICE: 250_000_000, BOB: 250_000_000}


def test_what_nothing_says_the_price_of_does_not_count(listed: None) -> None:
    trade(2, 2 * COIN, at(DAY, -1))  # BTCUSDT has never traded
    trade(4, 2 * COIN, at(DAY, -1))
    assert volumes(DAY) == {ALICE: 0, BOB: 0}
    assert update_fee_tiers(day=DAY).changes == {}


def test_volumes_need_the_asset_they_are_counted_in(db: None) -> None:
    with pytest.raises(UnknownVolumeAsset, match="USDT"):
        volumes(DAY)


def sent() -> list[tuple[str, int, int, int]]:
    """(key, account, tier, flags) of the commands in the outbox."""
    rows = OutboxRow.objects.filter(kind=CommandKind.SET_ACCOUNT).order_by("id")
    commands = [(row.key, decode_command(bytes(row.frames))) for row in rows]
    return [(key, found.account_id, found.fee_tier, found.flags) for key, found in commands]


def test_what_changed_is_sent_once_and_falls_again_without_volume(listed: None) -> None:
    trade(1, VOLUME_TIERS[2] * COIN, at(DAY, -1))
    computed = update_fee_tiers(day=DAY)
    assert (computed.accounts, computed.changes) == (2, {ALICE: 2, BOB: 2})
    keep = AccountFlag.KEEP_FAMILY
    assert sent() == [
        ("fee-tier:1001:2026-11-21", ALICE, 2, keep), ("fee-tier:1002:2026-11-21", BOB, 2, keep),
    ]  # fmt: skip
    assert update_fee_tiers(day=DAY).changes == {}
    assert update_fee_tiers(day=DAY + timedelta(days=1)).changes == {}
    later = DAY + timedelta(days=30)
    assert update_fee_tiers(day=later).changes == {ALICE: 0, BOB: 0}
    assert len(sent()) == 4
    assert list(FeeTierChange.objects.filter(account_id=ALICE).order_by("day").values_list("tier", "volume_units")) == [
        (2, VOLUME_TIERS[2] * COIN), (0, 0),
    ]  # fmt: skip


def test_older_tiers_do_not_replace_newer_ones(listed: None) -> None:
    trade(1, VOLUME_TIERS[1] * COIN, at(DAY, -1))
    update_fee_tiers(day=DAY)
    with pytest.raises(TiersComputed, match="2026-11-21"):
        update_fee_tiers(day=DAY - timedelta(days=1))
    assert len(sent()) == 2


def test_nothing_is_computed_before_settlement_has_caught_up(transactional_db: None, tmp_path: Path) -> None:
    enqueue_set_up([(0, 0), (0, 0)])
    rows = OutboxRow.objects.count()
    bus = MemoryBus(SHARD)
    with LiveShard(bus, tmp_path / "snapshots", settles=False) as live:
        until(lambda: live.relay.sent_seq == rows, "set-up sent")
        live.until_applied()
        with pytest.raises(SettlementBehind, match="Settled up to event 0 of"):
            check_settled(bus)
        Watermark.objects.create(shard=SHARD, reader="settlement", seq=bus.head().seq)
        check_settled(bus)


def test_the_engine_takes_the_tier_and_keeps_the_family(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From real trades to the rate of the next one, through the command."""
    enqueue_set_up([(1_000, 1_000), (1_000, 1_000), (0, 0)])
    Asset.objects.create(id=1, code="BTC", name="Bitcoin")
    usdt = Asset.objects.create(id=5, code="USDT", name="Tether")
    settings = market_settings()
    values = {name: getattr(settings, name) for name in settings.__struct_fields__ if name != "market_id"}
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        Market.objects.create(id=1, **(values | {"quote_asset_id": usdt.id}))
        live.bus.append_commands(Traffic(seed=3).frames(300))
        live.until_settled()
        monkeypatch.setattr(fee_tiers, "VOLUME_TIERS", (0, 10**9, 1))  # whoever traded has the highest
        tomorrow = fee_tiers.today() + timedelta(days=1)
        monkeypatch.setattr(command, "today", lambda: tomorrow)
        monkeypatch.setattr(command, "RedisBus", lambda *where: live.bus.another())
        out = StringIO()
        call_command("update_fee_tiers", stdout=out)
        traded = FeeTierChange.objects.count()
        assert traded > 5
        assert f"{traded} tiers changed" in out.getvalue()
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "tiers settled")
        assert not OutboxRow.objects.exclude(state=OutboxState.DONE).exists()
        live.until_settled()
        replica = Replica(Engine(), Position())
        replica.advance(live.bus, live.bus.head())
        accounts = replica.engine._state.accounts
        changed = set(FeeTierChange.objects.values_list("account_id", flat=True))
        assert {accounts[account_id].fee_tier for account_id in changed} == {2}
        assert {accounts[account_id].family_id for account_id in (1002, 1003)} == {1001}


def test_a_day_that_has_not_begun_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="has not begun"):
        call_command("update_fee_tiers", day=fee_tiers.today() + timedelta(days=1))
