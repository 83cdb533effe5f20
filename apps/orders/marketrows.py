"""What the staff pages of rows of one market share."""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from apps.audit.recordadmin import RecordAdmin
from apps.markets.models import Market


def word(vocabulary: type[IntEnum], value: int) -> str:
    return vocabulary(value).name.replace("_", " ").lower()


def time_of(milliseconds: int) -> datetime:
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
