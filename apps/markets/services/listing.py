"""Assets and markets come into being, and markets change their settings.

Each call is one transaction: the row, who asked and why, and the outbox row. A settings change does not touch the
market's row; `mirror_settings` does when the engine's event is settled, because the engine may refuse it. The engine
takes a new tick or lot size in any closed, empty market (architecture.md section 4); staff can change them only before
the first opening, since orders, trades and candles are recorded in ticks and lots.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.db.models import Max

from apps.audit.actors import acting
from apps.audit.services import record
from apps.markets.errors import (
    AssetExists,
    ChangePending,
    InvalidMarket,
    MarketExists,
    UnknownAsset,
    UnknownMarket,
    WrongState,
)
from apps.markets.models import Asset, Market, MarketSettingsChange, mirrored_columns
from apps.markets.policy import MAX_ORDER_AMENDS
from apps.outbox import services as outbox
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.requests import required_reason
from apps.streams.messages import PARK_EXPIRY_S, BreakerRule, MarketSettings, SettingsError
from apps.streams.shards import DEFAULT_SHARD

CODE_PATTERN = re.compile(r"[A-Z0-9]{1,10}", re.ASCII)
CLASS_PATTERN = re.compile(r"[a-z0-9-]{0,16}", re.ASCII)
# Fields that may change while orders rest; the others change what a tick, a lot or the market itself is.
SCALE_FIELDS = frozenset({"tick_size", "lot_size"})
FIXED_FIELDS = frozenset({"symbol", "base_asset_id", "quote_asset_id", "settings_version"})


class MarketTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What staff decides about a new market; names and units of messages.MarketSettings."""

    tick_size: int
    lot_size: int
    initial_price_ticks: int
    min_price_ticks: int
    max_price_ticks: int
    min_lots: int
    max_lots: int
    market_max_lots: int
    min_notional_units: int
    max_notional_units: int = 0
    bid_down_bp: int = 0
    bid_up_bp: int = 0
    ask_down_bp: int = 0
    ask_up_bp: int = 0
    max_open_orders: int = 0
    park_outside_band: bool = False
    park_expiry_s: int = PARK_EXPIRY_S
    max_iceberg_orders: int = 0
    max_conditional_orders: int = 0
    max_order_lists: int = 0
    max_order_amends: int = MAX_ORDER_AMENDS
    conditional_buffer_bp: int = 0
    fees: list[tuple[int, int]]
    breaker_rules: list[BreakerRule] = []
    breaker_min_notional_units: int = 0
    call_s: int = 0
    collar_bp: int = 0
    max_extensions: int = 0


@transaction.atomic
def create_asset(*, code: str, name: str, asset_class: str = "") -> Asset:
    """A new asset with the next id, announced to this process's shard. Raises AssetExists, InvalidMarket."""
    if not CODE_PATTERN.fullmatch(code):
        raise InvalidMarket("An asset code has 1 to 10 capital letters and digits.")
    if not 0 < len(name.strip()) <= 60:
        raise InvalidMarket("An asset needs a name of at most 60 characters.")
    check_class(asset_class)
    if Asset.objects.filter(code=code).exists():
        raise AssetExists(f"Asset {code} exists already.")
    asset = Asset(id=_next_id(Asset), code=code, name=name.strip(), asset_class=asset_class)
    asset.settings().check()
    asset.save(force_insert=True)
    record(actor=acting(), action="asset.created", object=f"asset:{code}", after={"class": asset_class})
    _announce(asset, django_settings.SHARD)
    return asset


def check_class(asset_class: str) -> None:
    """InvalidMarket unless it can be the name of an asset class; empty is none."""
    if not CLASS_PATTERN.fullmatch(asset_class):
        raise InvalidMarket("A class has at most 16 small letters, digits and hyphens.")


def announcement_key(asset_id: int, shard: str) -> str:
    """Business key of the command by which the engine of a shard hears of an asset for the first time."""
    return f"asset:{asset_id}:settings:1" + ("" if shard == DEFAULT_SHARD else f":{shard}")


def _announce(asset: Asset, shard: str) -> None:
    """Every engine that has balances or a market of the asset must know it; again, it makes no second command."""
    key = announcement_key(asset.id, shard)
    if not OutboxRow.objects.filter(key=key).exists():
        outbox.enqueue_settings(key=key, settings=asset.settings(), shard=shard)


@transaction.atomic
def create_market(*, base: str, quote: str, terms: MarketTerms, reason: str, requested_by: str) -> Market:
    """A new market of this process's shard in state PRE_LAUNCH, named base + quote.

    A symbol stands for one market of the whole installation. Raises UnknownAsset, MarketExists, InvalidMarket.
    """
    reason = required_reason(reason)
    symbol = base + quote
    assets = {asset.code: asset for asset in Asset.objects.filter(code__in=(base, quote))}
    for code in (base, quote):
        if code not in assets:
            raise UnknownAsset(f"There is no asset {code}.")
    if Market.objects.filter(symbol=symbol).exists():
        raise MarketExists(f"Market {symbol} exists already.")
    settings = MarketSettings(
        market_id=_next_id(Market),
        symbol=symbol,
        base_asset_id=assets[base].id,
        quote_asset_id=assets[quote].id,
        settings_version=1,
        **msgspec.structs.asdict(terms),
    )
    _check(settings)
    market = Market(id=settings.market_id, shard=django_settings.SHARD, **mirrored_columns(settings))
    market.save(force_insert=True)
    for asset in assets.values():
        _announce(asset, market.shard)
    _request(market, settings, reason, requested_by)
    return market


@transaction.atomic
def change_market_settings(
    *, symbol: str, changes: Mapping[str, object], reason: str, requested_by: str
) -> MarketSettingsChange:
    """Ask the engine to take `changes` (names and units of MarketTerms); the market's row follows its event.

    Raises UnknownMarket, ReasonMissing, InvalidMarket (unknown field, refused value, nothing changed), WrongState
    (tick or lot size after the first opening), ChangePending. Locks the market's row.
    """
    reason = required_reason(reason)
    market = locked_market(symbol)
    unknown = sorted(set(changes) - set(MarketTerms.__struct_fields__))
    if unknown:
        raise InvalidMarket(f"A market has no setting {', '.join(unknown)} that could change.")
    if _pending(market):
        raise ChangePending(f"An earlier change of {symbol} still waits for the engine. Try again when it is applied.")
    before = market.settings()
    last = market.settings_changes.aggregate(last=Max("settings_version"))["last"] or before.settings_version
    values: dict[str, Any] = before.plain() | dict(changes)
    try:
        settings = msgspec.convert(values | {"settings_version": last + 1}, MarketSettings)
    except msgspec.ValidationError as error:
        raise InvalidMarket(str(error)) from error
    _check(settings)
    changed = {name for name in changes if getattr(settings, name) != getattr(before, name)}
    if not changed:
        raise InvalidMarket("Nothing would change.")
    if changed & SCALE_FIELDS and market.state_changes.exists():
        raise WrongState(
            "Tick and lot size change only before a market's first opening: its orders, trades and candles are counted"
            " in them."
        )
    return _request(market, settings, reason, requested_by)


def locked_market(symbol: str) -> Market:
    """The market, its row locked until the transaction ends. Raises UnknownMarket."""
    market = Market.objects.select_for_update().filter(symbol=symbol).first()
    if market is None:
        raise UnknownMarket(f"There is no market {symbol}.")
    return market


def _check(settings: MarketSettings) -> None:
    try:
        settings.check()
    except SettingsError as error:
        raise InvalidMarket(str(error)) from error


def _request(market: Market, settings: MarketSettings, reason: str, requested_by: str) -> MarketSettingsChange:
    change = MarketSettingsChange.objects.create(
        market=market,
        settings_version=settings.settings_version,
        settings=settings.plain(),
        reason=reason,
        requested_by=requested_by,
        outbox_key=f"market:{market.id}:settings:{settings.settings_version}",
    )
    outbox.enqueue_settings(key=change.outbox_key, settings=settings, shard=market.shard)
    return change


def _pending(market: Market) -> bool:
    """Whether the newest change is neither applied nor refused."""
    newest = market.settings_changes.order_by("-settings_version").first()
    if newest is None or newest.applied_at is not None:
        return False
    return OutboxRow.objects.get(key=newest.outbox_key).state == OutboxState.WAITING


def _next_id(model: type[Asset] | type[Market]) -> int:
    """Ids are small and dense; the table is locked so that two at once do not take the same."""
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {model._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
    return (model.objects.aggregate(last=Max("id"))["last"] or 0) + 1
