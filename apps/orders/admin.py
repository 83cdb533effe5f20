"""Orders, trades and reconciliations for staff: to look at only. Prices and quantities in the market's own units."""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from apps.common.amounts import format_units
from apps.markets.models import Market
from apps.orders.models import Order, Reconciliation, Trade
from apps.outbox.admin import RecordAdmin
from apps.streams.kinds import OrderKind, OrderStatus, Side


def _name(vocabulary: type[IntEnum], value: int) -> str:
    return vocabulary(value).name.replace("_", " ").lower()


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC)


class MarketFilter(admin.SimpleListFilter):
    title = "market"
    parameter_name = "market"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(market.pk), market.symbol) for market in Market.objects.all()]

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(market_id=int(value)) if value and value.isdigit() else queryset


class InMarketAdmin(RecordAdmin):
    """Rows of one market each, shown with its symbol."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        symbol = Market.objects.filter(pk=OuterRef("market_id")).values("symbol")[:1]
        rows: QuerySet[Any] = super().get_queryset(request).annotate(symbol=Subquery(symbol))
        return rows

    @admin.display(ordering="market_id")
    def market(self, row: Any) -> str:
        return row.symbol or str(row.market_id)


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(int(status)), _name(OrderStatus, status)) for status in OrderStatus]

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
        return f"{_name(OrderKind, row.kind)} {_name(Side, row.side)}"

    @admin.display(description="status", ordering="status")
    def state(self, row: Order) -> str:
        return _name(OrderStatus, row.status)

    @admin.display(ordering="created_ms")
    def placed(self, row: Order) -> datetime:
        return _time(row.created_ms)


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
        return format_units(row.quote_units)

    @admin.display(ordering="time_ms")
    def time(self, row: Trade) -> datetime:
        return _time(row.time_ms)


@admin.register(Reconciliation)
class ReconciliationAdmin(RecordAdmin):
    list_display = ("finished_at", "shard", "equal", "engine_seq", "ledger_seq", "found")
    list_filter = ("equal", "finished_at")
    search_numbers = ("ledger_seq", "engine_seq")
    search_help_text = "Event sequence number"

    @admin.display(description="differences")
    def found(self, row: Reconciliation) -> int:
        return len(row.differences)
