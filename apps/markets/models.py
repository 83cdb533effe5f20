"""Assets, markets, candles, and who changed what.

The engine's state is the truth; `Market` is its mirror in PostgreSQL. A change of settings or state is a row of its own
and an outbox row; the mirror moves when settlement sees the engine's event (services/mirror.py), so the two never say
different things because a command was refused.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import models

from apps.audit.canonical import amounts
from apps.markets.policy import MAX_ORDER_AMENDS
from apps.outbox.requests import Audited, StaffRequest
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.messages import PARK_EXPIRY_S, AssetSettings, MarketSettings, typed
from apps.streams.shards import DEFAULT_SHARD


class Asset(models.Model):
    """Something with a balance. 8 decimals inside the platform, for ever."""

    id = models.PositiveIntegerField(primary_key=True)
    code = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=60)
    asset_class = models.CharField(
        "class",
        max_length=16,
        blank=True,
        db_default="",
        default="",
        help_text="Staff can move all markets of a class at once, such as erc20. As the engine took it last.",
    )

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.code

    def settings(self) -> AssetSettings:
        return AssetSettings(asset_id=self.id, code=self.code, asset_class=self.asset_class)


class Market(models.Model):
    """One order book of one shard, for ever. The settings have the names and units of `messages.MarketSettings`.

    `version` is raised from a sequence by a trigger on every change, which also notifies channel `markets`.
    """

    class State(models.IntegerChoices):
        PRE_LAUNCH = MarketState.PRE_LAUNCH, "Pre-launch"
        OPEN = MarketState.OPEN, "Open"
        POST_ONLY = MarketState.POST_ONLY, "Post-only"
        HALTED = MarketState.HALTED, "Halted"
        AUCTION = MarketState.AUCTION, "Auction"
        CANCEL_ONLY = MarketState.CANCEL_ONLY, "Cancel-only"
        CLOSED = MarketState.CLOSED, "Closed"

    class Cause(models.IntegerChoices):
        NONE = HaltCause.NONE, "None"
        STAFF = HaltCause.STAFF, "Staff"
        INVARIANT = HaltCause.INVARIANT, "Broken invariant"
        POISON = HaltCause.POISON, "Commands failed"
        CLOCK = HaltCause.CLOCK, "Clock jumped"
        BREAKER = HaltCause.BREAKER, "Circuit breaker"
        NO_AUCTION_PRICE = HaltCause.NO_AUCTION_PRICE, "No auction price"
        AUCTION_EXTENDED = HaltCause.AUCTION_EXTENDED, "Auction extended"

    id = models.PositiveIntegerField(primary_key=True)
    symbol = models.CharField(max_length=20, unique=True)
    shard = models.CharField(max_length=16, default=DEFAULT_SHARD, editable=False)
    base_asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="base_markets")
    quote_asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="quote_markets")
    settings_version = models.PositiveBigIntegerField()
    tick_size = models.BigIntegerField(help_text="10^-8 of the quote asset")
    lot_size = models.BigIntegerField(help_text="10^-8 of the base asset")
    initial_price_ticks = models.BigIntegerField()
    min_price_ticks = models.BigIntegerField()
    max_price_ticks = models.BigIntegerField()
    min_lots = models.BigIntegerField()
    max_lots = models.BigIntegerField()
    market_max_lots = models.BigIntegerField()
    min_notional_units = models.BigIntegerField()
    max_notional_units = models.BigIntegerField(help_text="0: no limit")
    bid_down_bp = models.IntegerField(help_text="basis points of the reference price; 0: no limit")
    bid_up_bp = models.IntegerField(help_text="basis points of the reference price; 0: no limit")
    ask_down_bp = models.IntegerField(help_text="basis points of the reference price; 0: no limit")
    ask_up_bp = models.IntegerField(help_text="basis points of the reference price; 0: no limit")
    max_open_orders = models.IntegerField(help_text="per account; 0: no limit")
    park_outside_band = models.BooleanField(
        db_default=False, default=False, help_text="a limit order outside the band waits for review, not refused"
    )
    park_expiry_s = models.IntegerField(
        db_default=PARK_EXPIRY_S, default=PARK_EXPIRY_S, help_text="seconds that a parked order waits"
    )
    max_iceberg_orders = models.IntegerField(db_default=0, default=0, help_text="per account; 0: no limit")
    max_conditional_orders = models.IntegerField(db_default=0, default=0, help_text="per account; 0: no limit")
    max_order_lists = models.IntegerField(db_default=0, default=0, help_text="per account; 0: no limit")
    max_order_amends = models.IntegerField(
        db_default=0, default=MAX_ORDER_AMENDS, help_text="amendments of one order; 0: no limit"
    )
    conditional_buffer_bp = models.IntegerField(
        db_default=0, default=0, help_text="basis points that a stop-loss market buy holds above its stop price"
    )
    fees = models.JSONField(
        help_text="[[maker ppm, taker ppm], ...] by account tier; a negative maker rate is a rebate"
    )
    breaker_rules = models.JSONField(
        default=list,
        blank=True,
        help_text="[[rule id, 1 price or 2 VWAP, basis points, window ms, halt s], ...] by ascending rule id",
    )
    breaker_min_notional_units = models.BigIntegerField(
        default=0, help_text="a taker whose rest is worth less halts nothing"
    )
    call_s = models.IntegerField(default=0, help_text="length of a call auction; 0: none")
    collar_bp = models.IntegerField(
        default=0, help_text="how far an auction price may lie from the reference price, basis points; 0: any"
    )
    max_extensions = models.IntegerField(default=0, help_text="how often a call phase goes on outside the collar")
    state = models.PositiveSmallIntegerField(choices=State, default=State.PRE_LAUNCH)
    state_cause = models.PositiveSmallIntegerField(choices=Cause, default=Cause.NONE)
    state_until_ms = models.BigIntegerField(default=0, help_text="0: no timer ends the state")
    state_reopens_ms = models.BigIntegerField(db_default=0, default=0, help_text="0: it does not open by itself")
    state_rule_id = models.PositiveIntegerField(
        db_default=0, default=0, help_text="circuit breaker that halted it; 0: none"
    )
    state_seq = models.BigIntegerField(db_default=0, default=0, editable=False, help_text="event that brought it")
    version = models.BigIntegerField(default=0, editable=False, db_index=True)

    class Meta:
        ordering = ("id",)
        permissions = (("move_market", "Can open, halt and close markets"),)

    def __str__(self) -> str:
        return self.symbol

    @property
    def can_be_moved_with_class(self) -> bool:
        """Of the others staff decides one by one."""
        return self.state not in (MarketState.PRE_LAUNCH, MarketState.CLOSED)

    @property
    def state_ends(self) -> str:
        """When a timer ends the state, and how; empty where none does."""
        if not self.state_reopens_ms:
            return f"until {_clock(self.state_until_ms)}" if self.state_until_ms else ""
        reopens = f"reopens {_clock(self.state_reopens_ms)}"
        if self.state == MarketState.HALTED and 0 < self.state_until_ms < self.state_reopens_ms:
            return f"call auction {_clock(self.state_until_ms)}, {reopens}"
        return reopens

    def settings(self) -> MarketSettings:
        """The settings as the engine takes them; not checked."""
        values: dict[str, Any] = {name: getattr(self, name) for name in MIRRORED_FIELDS}
        return MarketSettings(market_id=self.id, **typed(values))


def _clock(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


# Columns of Market that are settings: the fields of MarketSettings other than the id.
MIRRORED_FIELDS = tuple(name for name in MarketSettings.__struct_fields__ if name != "market_id")


def mirrored_columns(settings: MarketSettings) -> dict[str, Any]:
    """The market's columns with these settings."""
    plain = settings.plain()
    return {name: plain[name] for name in MIRRORED_FIELDS}


class MarketSettingsChange(StaffRequest):
    """Settings that staff asked for: who, when, why. They hold once the engine's event is settled (`applied_at`).

    Whether the engine refused them is written in the outbox row with the same key.
    """

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="settings_changes")
    settings_version = models.PositiveBigIntegerField()
    settings = models.JSONField()
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("market", "settings_version"), name="settings_version_once"),)

    def __str__(self) -> str:
        return f"{self.market} settings {self.settings_version}"

    def audited(self) -> Audited:
        """A new market with all its settings, else those that are to change."""
        wanted = amounts(self.settings)
        if self.settings_version == 1:
            return Audited("market.created", f"market:{self.market.symbol}", None, wanted)
        now = amounts(self.market.settings().plain())
        changed = [name for name in wanted if wanted[name] != now.get(name)]
        return Audited(
            "market.settings",
            f"market:{self.market.symbol}",
            {name: now.get(name) for name in changed},
            {name: wanted[name] for name in changed},
        )


class MarketStateChange(StaffRequest):
    """A state that staff asked for: who, when, why. The outcome is in the outbox row with the same key."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="state_changes")
    state = models.PositiveSmallIntegerField(choices=Market.State)

    def __str__(self) -> str:
        return f"{self.market} {self.get_state_display()}"

    def audited(self) -> Audited:
        before = {"state": self.market.get_state_display()}
        return Audited("market.state", f"market:{self.market.symbol}", before, {"state": self.get_state_display()})


class AssetClassChange(StaffRequest):
    """A class that staff gave to an asset, in the engine of one shard. The asset's row follows that engine's event."""

    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="class_changes")
    asset_class = models.CharField("class", max_length=16, blank=True)
    shard = models.CharField(max_length=16)

    def __str__(self) -> str:
        return f"{self.asset} class {self.asset_class or 'none'}"

    def audited(self) -> Audited:
        after = {"class": self.asset_class, "shard": self.shard}
        return Audited("asset.class", f"asset:{self.asset.code}", {"class": self.asset.asset_class}, after)


class ClassStateChange(StaffRequest):
    """A state that staff asked for, for all markets of an asset class in one shard.

    `moved`: the ids of those that the engine moved, written by settlement; a market that may not go there alone (or
    was not launched, or is closed) stays as it is without holding up the others.
    """

    asset_class = models.CharField("class", max_length=16)
    shard = models.CharField(max_length=16)
    state = models.PositiveSmallIntegerField(choices=Market.State)
    moved = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.asset_class} {self.get_state_display()}"

    def audited(self) -> Audited:
        after = {"state": self.get_state_display(), "shard": self.shard}
        return Audited("class.state", f"class:{self.asset_class}", None, after)


class Candle(models.Model):
    """One bar with at least one trade, or made by the simulator (`simulated`). Empty bars are filled on read.

    open_ms as in intervals.py; prices in ticks, volumes in lots of the base and units of the quote asset. `taker_*` is
    the part where the buyer was the taker. A bar that the simulator began and real trades went on stays `simulated`.
    """

    pk = models.CompositePrimaryKey("market_id", "interval", "open_ms")
    # No foreign key in the database: candles are written from the event log, which names markets by number.
    market = models.ForeignKey(Market, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    interval = models.CharField(max_length=3)
    open_ms = models.BigIntegerField()
    open_ticks = models.BigIntegerField()
    high_ticks = models.BigIntegerField()
    low_ticks = models.BigIntegerField()
    close_ticks = models.BigIntegerField()
    volume_lots = models.BigIntegerField()
    quote_units = models.BigIntegerField()
    trades = models.BigIntegerField()
    taker_base_lots = models.BigIntegerField()
    taker_quote_units = models.BigIntegerField()
    first_trade_id = models.BigIntegerField(help_text="-1: no real trade")
    last_trade_id = models.BigIntegerField(help_text="-1: no real trade")
    simulated = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.market_id} {self.interval} {self.open_ms}"


class CandleWatermark(models.Model):
    """Event seq up to which the candles of a shard contain every trade; moves in the candles' own transaction."""

    shard = models.CharField(max_length=32, primary_key=True)
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.shard} {self.seq}"
