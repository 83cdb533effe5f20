"""The review queue (requirement T7): orders that wait for staff, why, whose, how long; and a decision with a reason.

Prices, quantities and values are decimals of the market's assets here, since somebody judges them.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from apps.common.amounts import for_reading, format_units
from apps.common.errors import DomainError
from apps.markets.models import Market
from apps.orders.marketrows import InMarketAdmin, MarketFilter, time_of, word
from apps.orders.models import Order, ParkedOrder
from apps.orders.services import review_parked_order
from apps.outbox.admin import ReasonActionForm, staff_name
from apps.streams.kinds import OrderStatus, Review, Side


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
        "id", "market", "what", "quantity", "price", "why", "waits", "account_id", "state", "until", "reference",
        "value",
    )  # fmt: skip
    list_filter = (WaitingFilter, MarketFilter)
    fields = (*list_display, "parked")
    readonly_fields = fields
    search_numbers = ("id", "account_id")
    search_help_text = "Number of an order or of a trading account"
    action_form = ReasonActionForm
    actions = (_review_action(Review.RELEASE, "Release"), _review_action(Review.REJECT, "Reject"))

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.review_parkedorder")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        order, market = Order.objects.filter(pk=OuterRef("pk")), Market.objects.filter(pk=OuterRef("market_id"))
        terms = ("tick_size", "lot_size", "bid_down_bp", "bid_up_bp", "ask_down_bp", "ask_up_bp")
        rows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .annotate(
                **{name: Subquery(order.values(name)) for name in ("status", "quantity_lots")},
                **{name: Subquery(market.values(name)[:1]) for name in terms},
            )
        )
        return rows

    @admin.display(description="order", ordering="side")
    def what(self, row: ParkedOrder) -> str:
        return word(Side, row.side)

    @admin.display()
    def quantity(self, row: Any) -> str:
        return _amount(row.quantity_lots * row.lot_size)

    @admin.display(ordering="price_ticks")
    def price(self, row: Any) -> str:
        return _amount(row.price_ticks * row.tick_size)

    @admin.display(ordering="reference_price_ticks")
    def reference(self, row: Any) -> str:
        return _amount(row.reference_price_ticks * row.tick_size)

    @admin.display(description="of the reference")
    def why(self, row: Any) -> str:
        """The price in per cent of it, rounded down to hundredths, and what the market lets in by now."""
        above = row.price_ticks > row.reference_price_ticks
        side = "bid" if row.side == Side.BUY else "ask"
        limit = getattr(row, f"{side}_{'up' if above else 'down'}_bp")
        lets_in = f"{'at most' if above else 'at least'} {_percent(limit)}" if limit else "no limit now"
        return f"{_percent(row.price_ticks * 10_000 // row.reference_price_ticks)}; {lets_in}"

    @admin.display(description="value in the quote asset")
    def value(self, row: Any) -> str:
        return _amount(row.price_ticks * row.tick_size * row.quantity_lots * row.lot_size // 10**8)

    @admin.display(ordering="parked_ms")
    def waits(self, row: Any) -> str:
        """Its age, while it waits."""
        if row.status != OrderStatus.PENDING_NEW:
            return ""
        minutes = max(int(time.time() * 1_000) - row.parked_ms, 0) // 60_000
        return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"

    @admin.display(ordering="parked_ms")
    def parked(self, row: ParkedOrder) -> datetime:
        return time_of(row.parked_ms)

    @admin.display(ordering="until_ms")
    def until(self, row: ParkedOrder) -> datetime:
        return time_of(row.until_ms)

    @admin.display(description="status")
    def state(self, row: Any) -> str:
        return "waiting" if row.status == OrderStatus.PENDING_NEW else word(OrderStatus, row.status)


def _amount(units: int) -> str:
    return for_reading(format_units(units))


def _percent(basis_points: int) -> str:
    return f"{basis_points // 100}.{basis_points % 100:02} %"
