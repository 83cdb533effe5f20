"""Orders and trades as settled: a projection of the event log, moved together with the settlement watermark.

Prices in ticks, quantities in lots, money in 10^-8 units, times in milliseconds since the epoch.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from apps.outbox.policy import REASON_LENGTH_MAX
from apps.streams.kinds import ListStatus, OrderStatus, Review

OPEN_STATUSES = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_NEW)


class Order(models.Model):
    """An accepted order in its last settled state. `id` is the engine's order_id; a rejected order has no row.

    (account, client order id) is not unique: past the engine's window an id may be used again; look-ups take the
    newest.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    account_id = models.BigIntegerField()
    client_order_id = models.CharField(max_length=36)
    side = models.SmallIntegerField()
    kind = models.SmallIntegerField()
    time_in_force = models.SmallIntegerField()
    stp_mode = models.SmallIntegerField()
    price_ticks = models.BigIntegerField()
    quantity_lots = models.BigIntegerField(help_text="As amended last; 0 for an order by quote budget.")
    budget_units = models.BigIntegerField()
    display_lots = models.BigIntegerField()
    stop_price_ticks = models.BigIntegerField()
    expires_ms = models.BigIntegerField(db_default=0, help_text="End of a GTD order, 0 without one.")
    order_list_id = models.BigIntegerField(db_default=0, help_text="The list that it is a member of, 0 for none.")
    filled_lots = models.BigIntegerField()
    filled_quote_units = models.BigIntegerField()
    prevented_lots = models.BigIntegerField(
        db_default=0,
        help_text="Taken off by self-trade prevention (DECREMENT): open are quantity - filled - prevented.",
    )
    trailing_bips = models.IntegerField(db_default=0, help_text="Distance of a trailing stop, 0 for every other order.")
    is_waiting = models.BooleanField(
        db_default=False, help_text="Was accepted to wait for a trigger, and has not been triggered."
    )
    working_ms = models.BigIntegerField(
        db_default=0, help_text="When an order that waited was triggered; 0 for every other one."
    )
    strategy_id = models.BigIntegerField(null=True, help_text="As the account labelled it; null where it did not.")
    strategy_type = models.BigIntegerField(null=True, help_text="The same.")
    status = models.SmallIntegerField()
    reason = models.SmallIntegerField()
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    seq = models.BigIntegerField(help_text="The last event that changed this row.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(filled_lots__gte=0, filled_quote_units__gte=0)
                & (models.Q(quantity_lots=0) | models.Q(filled_lots__lte=models.F("quantity_lots"))),
                name="orders_order_fill_fits",
            ),
        ]
        indexes = [
            models.Index(fields=["account_id", "market_id", "id"], name="orders_order_of_account"),
            models.Index(fields=["account_id", "client_order_id", "id"], name="orders_order_client_id"),
            models.Index(
                fields=["account_id", "id"],
                name="orders_order_open",
                condition=models.Q(status__in=[int(status) for status in OPEN_STATUSES]),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Trade(models.Model):
    """The permanent record of one execution (T13). Append-only by triggers and grants.

    `id` is ledger.policy.record_id(shard, seq). Fees are in what each party receives (buyer: base, seller: quote);
    maker_fee_units < 0 is a rebate in the asset the taker receives.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    trade_id = models.BigIntegerField(help_text="Dense per market.")
    agg_id = models.BigIntegerField()
    maker_order_id = models.BigIntegerField()
    taker_order_id = models.BigIntegerField()
    maker_account_id = models.BigIntegerField()
    taker_account_id = models.BigIntegerField()
    price_ticks = models.BigIntegerField()
    quantity_lots = models.BigIntegerField()
    quote_units = models.BigIntegerField()
    taker_is_buyer = models.BooleanField()
    taker_fee_units = models.BigIntegerField()
    maker_fee_units = models.BigIntegerField()
    time_ms = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["market_id", "trade_id"], name="orders_trade_unique")]
        indexes = [
            models.Index(fields=["maker_account_id", "market_id", "trade_id"], name="orders_trade_of_maker"),
            models.Index(fields=["taker_account_id", "market_id", "trade_id"], name="orders_trade_of_taker"),
            models.Index(fields=["maker_order_id", "trade_id"], name="orders_trade_of_maker_order"),
            models.Index(fields=["taker_order_id", "trade_id"], name="orders_trade_of_taker_order"),
            # Rows arrive in the order of seq, so that block ranges find a stretch of it at next to no cost.
            BrinIndex(fields=["seq"], name="orders_trade_seq"),
            BrinIndex(fields=["time_ms"], name="orders_trade_time"),
        ]

    def __str__(self) -> str:
        return f"{self.market_id}/{self.trade_id}"


class ParkedOrder(models.Model):
    """An order that was parked for review: when, until when, and what its price was compared with. Append-only.

    `id` is the order's. It is parked as long as the order's status is PENDING_NEW.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    account_id = models.BigIntegerField()
    side = models.SmallIntegerField()
    price_ticks = models.BigIntegerField()
    reference_price_ticks = models.BigIntegerField()
    parked_ms = models.BigIntegerField()
    until_ms = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        permissions = (("review_parkedorder", "Can release and reject parked orders"),)

    def __str__(self) -> str:
        return f"order {self.id}"


class OrderReview(models.Model):
    """What staff decided about a parked order: who, when, why. The outcome is in the outbox row with the same key.

    Append-only. One review of an order at a time: the next may follow when the engine has refused this one.
    """

    # No foreign key in the database: parked orders are written from the event log.
    order = models.ForeignKey(ParkedOrder, on_delete=models.DO_NOTHING, db_constraint=False, related_name="reviews")
    decision = models.SmallIntegerField(choices=[(int(each), each.name.lower()) for each in Review])
    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    requested_by = models.CharField(max_length=254)
    requested_at = models.DateTimeField(auto_now_add=True)
    outbox_key = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return f"{self.get_decision_display()} order {self.order_id}"


class PreventedMatch(models.Model):
    """Two orders of one family that would have traded (T8). Append-only.

    `id` is ledger.policy.record_id(shard, seq). `prevented_lots` is what would have printed, at the maker's price;
    mode DECREMENT took it off both orders, the other modes ended one of them or both.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    prevented_id = models.BigIntegerField(help_text="Dense per market.")
    taker_order_id = models.BigIntegerField()
    maker_order_id = models.BigIntegerField()
    taker_account_id = models.BigIntegerField()
    maker_account_id = models.BigIntegerField()
    price_ticks = models.BigIntegerField()
    prevented_lots = models.BigIntegerField()
    stp_mode = models.SmallIntegerField()
    time_ms = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["market_id", "prevented_id"], name="orders_prevented_unique")]
        indexes = [
            models.Index(fields=["taker_account_id", "market_id", "prevented_id"], name="orders_prevented_of_taker"),
            models.Index(fields=["maker_account_id", "market_id", "prevented_id"], name="orders_prevented_of_maker"),
            models.Index(fields=["taker_order_id", "prevented_id"], name="orders_prevented_taker_order"),
            models.Index(fields=["maker_order_id", "prevented_id"], name="orders_prevented_maker_order"),
        ]
        verbose_name_plural = "prevented matches"

    def __str__(self) -> str:
        return f"{self.market_id}/{self.prevented_id}"


class OrderList(models.Model):
    """Orders that depend on one another (T4); `id` is that of the first one. order_id_3 is 0 for a list of two."""

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    account_id = models.BigIntegerField()
    client_order_id = models.CharField(max_length=36)
    kind = models.SmallIntegerField(help_text="A ListKind.")
    order_id_1 = models.BigIntegerField()
    order_id_2 = models.BigIntegerField()
    order_id_3 = models.BigIntegerField()
    status = models.SmallIntegerField(help_text="A ListStatus.")
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    seq = models.BigIntegerField(help_text="The last event that changed this row.")

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "id"], name="orders_orderlist_of_account"),
            models.Index(fields=["account_id", "client_order_id", "id"], name="orders_orderlist_client_id"),
            models.Index(
                fields=["account_id", "id"],
                name="orders_orderlist_open",
                condition=~models.Q(status=int(ListStatus.ALL_DONE)),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Amendment(models.Model):
    """An order's quantity made smaller (matching-rules.md 10). Append-only.

    `id` is ledger.policy.record_id(shard, seq). The order keeps its client order id.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    order_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    old_quantity_lots = models.BigIntegerField()
    quantity_lots = models.BigIntegerField()
    time_ms = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["order_id", "seq"], name="orders_amendment_of_order")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(quantity_lots__gt=0, quantity_lots__lt=models.F("old_quantity_lots")),
                name="orders_amendment_smaller",
            )
        ]

    def __str__(self) -> str:
        return f"{self.order_id} at {self.seq}"


class OrderShare(models.Model):
    """What a sub-account is to get of a block order, and what it has got, lots without money included (T12).

    `id` is ledger.policy.record_id(shard, seq) of the event that said so first; an order's accounts follow one another
    in the order of its allocation rule.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    order_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    final_lots = models.BigIntegerField()
    allocated_lots = models.BigIntegerField()
    seq = models.BigIntegerField(help_text="The last event that changed this row.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order_id", "account_id"], name="orders_ordershare_unique"),
            models.CheckConstraint(
                condition=models.Q(allocated_lots__gte=0, allocated_lots__lte=models.F("final_lots")),
                name="orders_ordershare_fits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order_id} for {self.account_id}"


class AllocatedFill(models.Model):
    """The permanent record of what a sub-account got of one trade of a block order. Append-only, like the trades.

    `id` is ledger.policy.record_id(shard, seq). `fee_units` is this part of the order's fee, in what it receives, or,
    where negative, of its rebate, in what the taker receives.
    """

    id = models.BigIntegerField(primary_key=True)
    market_id = models.IntegerField()
    trade_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    owner_account_id = models.BigIntegerField()
    price_ticks = models.BigIntegerField()
    quantity_lots = models.BigIntegerField()
    quote_units = models.BigIntegerField()
    fee_units = models.BigIntegerField()
    is_buyer = models.BooleanField()
    is_taker = models.BooleanField()
    time_ms = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["market_id", "trade_id", "order_id", "account_id"], name="orders_allocatedfill_unique"
            )
        ]
        indexes = [
            models.Index(fields=["account_id", "market_id", "trade_id"], name="orders_allocated_of_account"),
        ]

    def __str__(self) -> str:
        return f"{self.market_id}/{self.trade_id} for {self.account_id}"


class FeeTierChange(models.Model):
    """An account's fee tier from the computation of `day` (UTC) on; written once. The newest one is the account's."""

    id = models.BigAutoField(primary_key=True)
    account_id = models.BigIntegerField()
    day = models.DateField()
    tier = models.PositiveSmallIntegerField()
    volume_units = models.BigIntegerField(help_text="30-day volume, in 10^-8 of the asset that volumes are counted in.")
    outbox_key = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account_id", "day"], name="orders_feetierchange_unique")]
        indexes = [models.Index(fields=["day"], name="orders_feetierchange_day")]

    def __str__(self) -> str:
        return f"account {self.account_id}: tier {self.tier} from {self.day}"


class TradedVolume(models.Model):
    """What an account traded in the days before `day` (UTC), as the newest computation of fee tiers added it up.

    Written anew by each computation: accounts that traded nothing have no row, and all rows have the same day.
    """

    account_id = models.BigIntegerField(primary_key=True)
    day = models.DateField()
    volume_units = models.BigIntegerField(help_text="In 10^-8 of the asset that volumes are counted in.")

    def __str__(self) -> str:
        return f"account {self.account_id} in the days before {self.day}"


class MarketUnits(models.Model):
    """What settlement must know of a market to turn lots into money, as of its watermark.

    Written when the event of a SET_MARKET is settled, from the command itself; what staff edits in the markets app
    counts only from the moment the engine has applied it.
    """

    market_id = models.IntegerField(primary_key=True)
    shard = models.CharField(max_length=16)
    base_asset_id = models.IntegerField()
    quote_asset_id = models.IntegerField()
    tick_size = models.BigIntegerField()
    lot_size = models.BigIntegerField()
    settings_version = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "market units"

    def __str__(self) -> str:
        return f"market {self.market_id}"


class Reconciliation(models.Model):
    """One comparison of log, engine and ledger at one sequence number; written once, never changed."""

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16)
    engine_seq = models.BigIntegerField(
        null=True, help_text="Where the live engine was compared with a replay of the log."
    )
    ledger_seq = models.BigIntegerField(null=True, help_text="Where the replay was compared with PostgreSQL.")
    equal = models.BooleanField()
    counts = models.JSONField(default=dict, help_text="What was compared, by name.")
    differences = models.JSONField(default=list)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.shard} at {self.ledger_seq}: {'equal' if self.equal else 'DIFFERENT'}"
