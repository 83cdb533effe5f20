"""Assets, markets, settings and states: what is asked for, by whom, and refusals that change nothing."""

from typing import Any

import msgspec
import psycopg
import pytest
from django.db import connection
from pytest_django import Settings

from apps.common.errors import DomainError
from apps.markets.currentstate import mirrored
from apps.markets.errors import (
    AssetExists,
    ChangePending,
    InvalidMarket,
    MarketExists,
    UnknownAsset,
    UnknownMarket,
    WrongState,
)
from apps.markets.marketdata import wire
from apps.markets.models import (
    Asset,
    AssetClassChange,
    ClassStateChange,
    Market,
    MarketSettingsChange,
    MarketStateChange,
)
from apps.markets.services import (
    MarketAction,
    change_market_settings,
    create_asset,
    create_market,
    mirror_settings,
    mirror_state,
    set_market_state,
)
from apps.outbox.errors import ReasonMissing
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.codec import decode_command, decode_settings
from apps.streams.events import MarketStateChanged
from apps.streams.kinds import CommandKind, HaltCause, MarketState
from tests.markets.conftest import TERMS

HALTED = MarketStateChanged(
    market_id=1, seq=7, cmd_ms=1, cmd_n=0, cmd_index=0, relay_seq=0, source=0, old_state=MarketState.OPEN,
    new_state=MarketState.HALTED, cause=HaltCause.BREAKER, until_ms=123, reopens_ms=456, rule_id=9,
)  # fmt: skip


def everything() -> list[Any]:
    """All rows of this app and the outbox."""
    models = (
        Asset, Market, MarketSettingsChange, MarketStateChange, AssetClassChange, ClassStateChange, OutboxRow,
    )  # fmt: skip
    return [list(model.objects.order_by("pk").values()) for model in models]


def applied(change: MarketSettingsChange) -> None:
    """What settlement does with the engine's event."""
    with connection.cursor() as cursor:
        mirror_settings(cursor, market_id=change.market_id, settings_version=change.settings_version)
    OutboxRow.objects.filter(key=change.outbox_key).update(
        state=OutboxState.DONE, event_seq=1, relay_seq=change.pk, settled_at="2026-11-21T00:00Z"
    )


def test_a_market_and_its_assets_go_to_the_engine(btcusdt: Market) -> None:
    assert [row.kind for row in OutboxRow.objects.order_by("id")] == [
        CommandKind.SET_ASSET, CommandKind.SET_ASSET, CommandKind.SET_MARKET
    ]  # fmt: skip
    sent = decode_settings(bytes(OutboxRow.objects.get(key="market:1:settings:1").frames))
    assert sent == Market.objects.get(symbol="BTCUSDT").settings()
    assert sent.settings_version == 1
    assert (sent.base_asset_id, sent.quote_asset_id) == (1, 2)
    assert Market.objects.get().state == MarketState.PRE_LAUNCH
    change = MarketSettingsChange.objects.get()
    assert (change.reason, change.requested_by, change.applied_at) == ("listing", "test", None)


@pytest.mark.parametrize(
    "bad",
    [
        {"tick_size": 0},
        {"tick_size": 1, "lot_size": 1},
        {"lot_size": -1_000},
        {"initial_price_ticks": 0},
        {"min_price_ticks": 0},
        {"min_price_ticks": 10, "max_price_ticks": 9},
        {"min_lots": 0},
        {"max_lots": 2**62},
        {"market_max_lots": 0},
        {"min_notional_units": -1},
        {"bid_down_bp": 10_001},
        {"ask_up_bp": 9_999},
        {"fees": []},
        {"fees": [(-950, 1_000)]},
        {"fees": [(500_000, 1_000)]},
    ],
)
def test_bad_terms_change_nothing(btcusdt: Market, bad: dict[str, Any]) -> None:
    create_asset(code="ETH", name="Ether")
    applied(MarketSettingsChange.objects.get())
    before = everything()
    with pytest.raises(InvalidMarket):
        create_market(
            base="ETH", quote="USDT", terms=msgspec.structs.replace(TERMS, **bad), reason="x", requested_by="test"
        )
    with pytest.raises(InvalidMarket):
        change_market_settings(symbol="BTCUSDT", changes=bad, reason="x", requested_by="test")
    assert everything() == before


@pytest.mark.parametrize(
    ("base", "quote", "reason", "error"),
    [
        ("BTC", "EUR", "x", UnknownAsset),
        ("BTC", "USDT", "x", MarketExists),
        ("USDT", "BTC", " ", ReasonMissing),
        ("USDT", "BTC", "x" * 201, ReasonMissing),
        ("USDT", "USDT", "x", InvalidMarket),
    ],
)
def test_refused_listing_changes_nothing(
    btcusdt: Market, base: str, quote: str, reason: str, error: type[DomainError]
) -> None:
    before = everything()
    with pytest.raises(error):
        create_market(base=base, quote=quote, terms=TERMS, reason=reason, requested_by="test")
    assert everything() == before


@pytest.mark.parametrize(
    ("code", "name", "error"),
    [
        ("btc", "x", InvalidMarket),
        ("", "x", InvalidMarket),
        ("A" * 11, "x", InvalidMarket),
        ("ÄB", "x", InvalidMarket),
        ("ETH", " ", InvalidMarket),
        ("ETH", "x" * 61, InvalidMarket),
        ("BTC", "x", AssetExists),
    ],
)
def test_refused_asset_changes_nothing(btcusdt: Market, code: str, name: str, error: type[DomainError]) -> None:
    before = everything()
    with pytest.raises(error):
        create_asset(code=code, name=name)
    assert everything() == before


def test_settings_hold_when_the_engine_has_applied_them(btcusdt: Market) -> None:
    applied(MarketSettingsChange.objects.get())
    version = Market.objects.get().version
    change = change_market_settings(
        symbol="BTCUSDT", changes={"fees": [[500, 2_000]], "min_lots": 10}, reason="fee holiday", requested_by="ann"
    )
    assert Market.objects.get().settings_version == 1, "the engine has not spoken yet"
    with pytest.raises(ChangePending):
        change_market_settings(symbol="BTCUSDT", changes={"min_lots": 11}, reason="x", requested_by="ann")
    applied(change)
    market = Market.objects.get()
    assert market.settings() == decode_settings(bytes(OutboxRow.objects.get(key=change.outbox_key).frames))
    assert (market.settings_version, market.min_lots, market.fees) == (2, 10, [[500, 2_000]])
    assert market.version > version
    assert MarketSettingsChange.objects.get(settings_version=2).applied_at is not None


def test_refused_settings_never_reach_the_market_and_their_number_is_not_used_again(btcusdt: Market) -> None:
    applied(MarketSettingsChange.objects.get())
    change = change_market_settings(symbol="BTCUSDT", changes={"min_lots": 10}, reason="x", requested_by="ann")
    OutboxRow.objects.filter(key=change.outbox_key).update(
        state=OutboxState.REFUSED, reason=26, event_seq=2, relay_seq=4, settled_at="2026-11-21T00:00Z"
    )
    again = change_market_settings(symbol="BTCUSDT", changes={"min_lots": 5}, reason="x", requested_by="ann")
    assert again.settings_version == 3
    assert Market.objects.get().min_lots == 1


@pytest.mark.parametrize(
    ("changes", "reason", "error"),
    [
        ({}, "x", InvalidMarket),
        ({"min_lots": 1}, "x", InvalidMarket),
        ({"min_lots": "2"}, "x", InvalidMarket),
        ({"min_lots": 2.0}, "x", InvalidMarket),
        ({"min_lots": True}, "x", InvalidMarket),
        ({"fees": [[1, 2, 3]]}, "x", InvalidMarket),
        ({"symbol": "EVIL"}, "x", InvalidMarket),
        ({"settings_version": 9}, "x", InvalidMarket),
        ({"min_lots": 2}, "", ReasonMissing),
        ({"tick_size": 10_000_000}, "x", WrongState),
        ({"lot_size": 10_000}, "x", WrongState),
    ],
)
def test_refused_settings_change_nothing(
    btcusdt: Market, changes: dict[str, Any], reason: str, error: type[DomainError]
) -> None:
    applied(MarketSettingsChange.objects.get())
    set_market_state(symbol="BTCUSDT", action=MarketAction.OPEN, reason="launch", requested_by="ann")
    before = everything()
    with pytest.raises(error):
        change_market_settings(symbol="BTCUSDT", changes=changes, reason=reason, requested_by="ann")
    with pytest.raises(UnknownMarket):
        change_market_settings(symbol="NOPE", changes={"min_lots": 2}, reason="x", requested_by="ann")
    assert everything() == before


def test_tick_size_may_change_before_the_first_opening(btcusdt: Market) -> None:
    applied(MarketSettingsChange.objects.get())
    change = change_market_settings(symbol="BTCUSDT", changes={"tick_size": 100_000}, reason="x", requested_by="ann")
    applied(change)
    assert Market.objects.get().tick_size == 100_000


@pytest.mark.parametrize("action", list(MarketAction))
def test_a_state_is_asked_for_with_who_and_why(btcusdt: Market, action: MarketAction) -> None:
    change = set_market_state(symbol="BTCUSDT", action=action, reason=" venue drill ", requested_by="ann@example.com")
    command = decode_command(bytes(OutboxRow.objects.get(key=change.outbox_key).frames))
    assert (command.KIND, command.market_id, command.cause) == (CommandKind.SET_MARKET_STATE, 1, HaltCause.STAFF)
    assert command.state == change.state
    assert (change.reason, change.requested_by) == ("venue drill", "ann@example.com")
    assert Market.objects.get().state == MarketState.PRE_LAUNCH, "only the engine's event moves the mirror"


@pytest.mark.parametrize(("symbol", "reason", "error"), [("NOPE", "x", UnknownMarket), ("BTCUSDT", "", ReasonMissing)])
def test_a_refused_state_changes_nothing(btcusdt: Market, symbol: str, reason: str, error: type[DomainError]) -> None:
    before = everything()
    with pytest.raises(error):
        set_market_state(symbol=symbol, action=MarketAction.HALT, reason=reason, requested_by="ann")
    assert everything() == before


def test_the_mirror_follows_the_engine_and_news_is_announced(btcusdt: Market, settings: Any) -> None:
    before = Market.objects.get().version
    with connection.cursor() as cursor:
        mirror_state(cursor, HALTED)
    market = Market.objects.get()
    assert mirrored(market) == wire.state(
        1, seq=7, new_state=MarketState.HALTED, cause=HaltCause.BREAKER, until_ms=123, reopens_ms=456, rule_id=9
    )
    assert market.version > before


@pytest.mark.django_db(transaction=True)
def test_listeners_hear_of_every_change(settings: Any) -> None:
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as listener:
        listener.execute("LISTEN markets")
        create_asset(code="BTC", name="Bitcoin")
        create_asset(code="USDT", name="Tether")
        create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
        heard = [int(note.payload) for note in listener.notifies(timeout=40, stop_after=1)]
    assert heard == [Market.objects.get().version]


def test_market_of_another_shard_goes_to_its_engine_with_its_assets(btcusdt: Market, settings: Settings) -> None:
    before = set(OutboxRow.objects.values_list("pk", flat=True))
    settings.SHARD = "drill"
    create_asset(code="EUR", name="Euro")
    made = create_market(base="BTC", quote="EUR", terms=TERMS, reason="a drill", requested_by="test")
    settings.SHARD = "spot"
    set_market_state(symbol="BTCEUR", action=MarketAction.OPEN, reason="a drill", requested_by="test")
    MarketSettingsChange.objects.filter(market=made).update(applied_at="2026-01-01T00:00:00Z")
    change_market_settings(symbol="BTCEUR", changes={"min_lots": 2}, reason="a drill", requested_by="test")
    assert (btcusdt.shard, made.shard) == ("spot", "drill")
    rows = OutboxRow.objects.exclude(pk__in=before).order_by("pk")
    assert {row.shard for row in rows} == {"drill"}
    assert [row.key.rpartition(":state:")[0] or row.key for row in rows] == [
        "asset:3:settings:1:drill", "asset:1:settings:1:drill", "market:2:settings:1", "market:2",
        "market:2:settings:2",
    ]  # fmt: skip


def test_symbol_stands_for_one_market_of_all_shards(btcusdt: Market, settings: Settings) -> None:
    settings.SHARD = "drill"
    before = everything()
    with pytest.raises(MarketExists):
        create_market(base="BTC", quote="USDT", terms=TERMS, reason="a drill", requested_by="test")
    assert everything() == before
