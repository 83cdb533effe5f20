"""Orders, trades and reconciliations for staff: to look at only. Prices and quantities in the market's own units.

Parked orders also take a decision: an action with a reason, for who has the permission to review.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from apps.audit.recordadmin import RecordAdmin
from apps.common.amounts import format_units
from apps.common.errors import DomainError
from apps.markets.models import Market
from apps.orders.models import Order, OrderReview, ParkedOrder, PreventedMatch, Reconciliation, Trade
from apps.orders.services import review_parked_order
from apps.outbox.admin import ReasonActionForm, named, staff_name
from apps.outbox.models import OutboxRow
from apps.streams.kinds import OrderKind, OrderStatus, Reason, Review, Side, StpMode


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


class WaitingFilter(admin.SimpleListFilter):
    """Those that wait for review, unless all are asked for."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "all that ever were parked")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [first | {"display": "waiting"}, *rest]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset if self.value() == "all" else queryset.filter(status=OrderStatus.PENDING_NEW)


def _review_action(decision: Review, title: str) -> Callable[..., None]:
    @admin.action(description=title, permissions=["review"])
    def decide(model_admin: "ParkedOrderAdmin", request: HttpRequest, queryset: QuerySet[ParkedOrder]) -> None:
        for parked in queryset:
            try:
                review_parked_order(
                    order_id=parked.pk,
                    decision=decision,
                    reason=request.POST.get("reason", ""),
                    requested_by=staff_name(request),
                )
            except DomainError as error:
                model_admin.message_user(request, f"{parked}: {error.message}", messages.ERROR)
            else:
                model_admin.message_user(
                    request, f"{parked}: {title.lower()} is on its way to the engine.", messages.SUCCESS
                )

    decide.__name__ = decision.name.lower()
    return decide


@admin.register(ParkedOrder)
class ParkedOrderAdmin(InMarketAdmin):
    list_display = (
        "id", "market", "account_id", "what", "price_ticks", "reference_price_ticks", "away", "quantity_lots",
        "parked", "until", "state",
    )  # fmt: skip
    list_filter = (WaitingFilter, MarketFilter)
    search_numbers = ("id", "account_id")
    search_help_text = "Number of an order or of a trading account"
    action_form = ReasonActionForm
    actions = (_review_action(Review.RELEASE, "Release"), _review_action(Review.REJECT, "Reject"))

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.review_parkedorder")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        order = Order.objects.filter(pk=OuterRef("pk"))
        rows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .annotate(status=Subquery(order.values("status")), quantity_lots=Subquery(order.values("quantity_lots")))
        )
        return rows

    @admin.display(description="order")
    def what(self, row: ParkedOrder) -> str:
        return _name(Side, row.side)

    @admin.display(description="quantity lots")
    def quantity_lots(self, row: Any) -> int:
        lots: int = row.quantity_lots
        return lots

    @admin.display(description="of the reference")
    def away(self, row: ParkedOrder) -> str:
        """The price in per cent of what it was compared with, rounded down to hundredths."""
        hundredths = row.price_ticks * 10_000 // row.reference_price_ticks
        return f"{hundredths // 100}.{hundredths % 100:02} %"

    @admin.display(ordering="parked_ms")
    def parked(self, row: ParkedOrder) -> datetime:
        return _time(row.parked_ms)

    @admin.display(ordering="until_ms")
    def until(self, row: ParkedOrder) -> datetime:
        return _time(row.until_ms)

    @admin.display(description="status")
    def state(self, row: Any) -> str:
        return "waiting" if row.status == OrderStatus.PENDING_NEW else _name(OrderStatus, row.status)


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
        return _name(StpMode, row.stp_mode)

    @admin.display(ordering="time_ms")
    def time(self, row: PreventedMatch) -> datetime:
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
