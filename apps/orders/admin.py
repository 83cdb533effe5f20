"""Orders, trades and reconciliations for staff: to look at only. Prices and quantities in the market's own units."""

from datetime import datetime
from typing import Any

from django.contrib import admin

from apps.audit.recordadmin import RecordAdmin
from apps.common.amounts import for_reading, format_units
from apps.orders.marketrows import InMarketAdmin, MarketFilter, time_of, word
from apps.orders.models import Order, OrderReview, PreventedMatch, Reconciliation, Trade
from apps.orders.parkedadmin import ParkedOrderAdmin
from apps.outbox.admin import named
from apps.outbox.models import OutboxRow
from apps.streams.kinds import OrderKind, OrderStatus, Reason, Side, StpMode

__all__ = ["OrderAdmin", "OrderReviewAdmin", "ParkedOrderAdmin", "PreventedMatchAdmin", "TradeAdmin"]


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(int(status)), word(OrderStatus, status)) for status in OrderStatus]

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(status=int(value)) if value and value.isdigit() else queryset


@admin.register(Order)
class OrderAdmin(InMarketAdmin):
    list_display = (
        "id",
        "market",
        "account_id",
        "what",
        "price_ticks",
        "quantity_lots",
        "filled_lots",
        "state",
        "placed",
    )
    list_filter = (StatusFilter, MarketFilter)
    search_numbers = ("id", "account_id")
    search_help_text = "Number of an order or of a trading account"

    @admin.display(description="order")
    def what(self, row: Order) -> str:
        return f"{word(OrderKind, row.kind)} {word(Side, row.side)}"

    @admin.display(description="status", ordering="status")
    def state(self, row: Order) -> str:
        return word(OrderStatus, row.status)

    @admin.display(ordering="created_ms")
    def placed(self, row: Order) -> datetime:
        return time_of(row.created_ms)


@admin.register(Trade)
class TradeAdmin(InMarketAdmin):
    list_display = (
        "market", "trade_id", "maker_account_id", "taker_account_id", "price_ticks", "quantity_lots", "value", "time",
    )  # fmt: skip
    list_display_links = ("trade_id",)
    list_filter = (MarketFilter, "taker_is_buyer")
    search_numbers = ("maker_account_id", "taker_account_id")
    search_help_text = "Number of a trading account"

    @admin.display(ordering="quote_units")
    def value(self, row: Trade) -> str:
        return for_reading(format_units(row.quote_units))

    @admin.display(ordering="time_ms")
    def time(self, row: Trade) -> datetime:
        return time_of(row.time_ms)


@admin.register(OrderReview)
class OrderReviewAdmin(RecordAdmin):
    list_display = ("order_id", "decision", "outcome", "requested_by", "requested_at", "reason")
    list_filter = ("decision", "requested_at")
    search_numbers = ("order_id",)
    search_help_text = "Number of an order"

    @admin.display(description="engine")
    def outcome(self, review: OrderReview) -> str:
        row = OutboxRow.objects.get(key=review.outbox_key)
        return f"{row.state}: {named(Reason, row.reason)}" if row.reason else str(row.state)


@admin.register(PreventedMatch)
class PreventedMatchAdmin(InMarketAdmin):
    list_display = (
        "market", "prevented_id", "taker_account_id", "maker_account_id", "taker_order_id", "maker_order_id",
        "price_ticks", "prevented_lots", "mode", "time",
    )  # fmt: skip
    list_display_links = ("prevented_id",)
    list_filter = (MarketFilter,)
    search_numbers = ("taker_account_id", "maker_account_id", "taker_order_id", "maker_order_id")
    search_help_text = "Number of a trading account or of an order"

    @admin.display(ordering="stp_mode")
    def mode(self, row: PreventedMatch) -> str:
        return word(StpMode, row.stp_mode)

    @admin.display(ordering="time_ms")
    def time(self, row: PreventedMatch) -> datetime:
        return time_of(row.time_ms)


@admin.register(Reconciliation)
class ReconciliationAdmin(RecordAdmin):
    list_display = ("finished_at", "shard", "equal", "engine_seq", "ledger_seq", "found")
    list_filter = ("equal", "finished_at")
    search_numbers = ("ledger_seq", "engine_seq")
    search_help_text = "Event sequence number"

    @admin.display(description="differences")
    def found(self, row: Reconciliation) -> int:
        return len(row.differences)
