"""Pages of lists: `items`, and in `next` what to send as `cursor` for the page behind them (null on the last)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from apps.web.api.parameters import Parameter, number_in
from apps.web.api.policy import PAGE_ROWS, PAGE_ROWS_MAX
from apps.web.api.problems import invalid

PARAMETERS: Final = (
    Parameter("cursor", "`next` of the page before; left out, the first page.", {"type": "string"}),
    Parameter(
        "limit",
        "Rows of a page.",
        {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS},
    ),
)

Row = TypeVar("Row", bound=Model)


class Wanted(NamedTuple):
    """`cursor` is the number of the last row that the caller has, None at the beginning."""

    cursor: int | None
    limit: int


class Page(NamedTuple):
    items: Sequence[Any]
    next: int | None


def wanted_page(query: Mapping[str, str]) -> Wanted:
    limit = number_in(query, "limit")
    if limit is not None and not 0 < limit <= PAGE_ROWS_MAX:
        raise invalid("limit", f"'limit' is from 1 to {PAGE_ROWS_MAX}.")
    return Wanted(number_in(query, "cursor"), limit or PAGE_ROWS)


def page_of(rows: "QuerySet[Row]", wanted: Wanted, *, newest_first: bool = False) -> Page:
    """One query, in the order of the primary key."""
    if wanted.cursor is not None:
        rows = rows.filter(**{"pk__lt" if newest_first else "pk__gt": wanted.cursor})
    found = list(rows.order_by("-pk" if newest_first else "pk")[: wanted.limit + 1])
    shown = found[: wanted.limit]
    return Page(shown, shown[-1].pk if len(found) > wanted.limit else None)


def cut(rows: Sequence[Any], wanted: Wanted, number: Any) -> Page:
    """A page of a short list that is there as a whole; `number(row)` falls from row to row."""
    left = [row for row in rows if wanted.cursor is None or number(row) < wanted.cursor]
    shown = left[: wanted.limit]
    return Page(shown, number(shown[-1]) if len(left) > wanted.limit else None)


def pages(item: type[serializers.Serializer]) -> serializers.Serializer:
    """A page of such items, for the description."""
    return inline_serializer(
        name=f"{item.__name__}Page",
        fields={"items": item(many=True), "next": serializers.CharField(allow_null=True)},
    )


def shown(page: Page, item: type[serializers.Serializer]) -> dict[str, Any]:
    return {"items": item(page.items, many=True).data, "next": None if page.next is None else str(page.next)}
