"""Staff pages that only show. Also the base of the ledger's and the orders' pages: tables there have no end."""

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from apps.outbox.models import OutboxRow
from apps.streams.kinds import CommandKind, Reason

COUNT_MAX: Final = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most COUNT_MAX rows: nobody turns to page 40,000, and counting a ledger reads all of it."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list  # a queryset here; Paginator also takes lists
        return int(rows.order_by()[:COUNT_MAX].count())


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """No add, change or delete; the newest first; search by whole numbers and exact texts, which indexes answer.

    list_filter names only fields with choices, booleans, dates, or own filters: others read the whole table to list
    their values.
    """

    ordering = ("-pk",)
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    # Named only so that the search box is shown; get_search_results does the work.
    search_fields = ("pk",)
    search_numbers: ClassVar[tuple[str, ...]] = ()
    search_texts: ClassVar[tuple[str, ...]] = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(pk__in=[])
        for name in self.search_texts:
            wanted |= Q(**{name: term})
        if term.isascii() and term.isdigit() and int(term) < 2**63:
            for name in self.search_numbers:
                wanted |= Q(**{name: int(term)})
        return queryset.filter(wanted), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def named(vocabulary: type[CommandKind] | type[Reason], value: int) -> str:
    """The word of a stored number; a number this release does not know is shown as it is."""
    try:
        return vocabulary(value).name.replace("_", " ").lower()
    except ValueError:
        return str(value)


@admin.register(OutboxRow)
class OutboxRowAdmin(RecordAdmin):
    list_display = (
        "id", "key", "command", "state", "refusal", "relay_seq", "event_seq", "created_at", "settled_at", "restored_at",
    )  # fmt: skip
    list_filter = ("state",)
    search_numbers = ("id", "relay_seq")
    search_texts = ("key",)
    search_help_text = "Row, relay number, or the whole business key"
    exclude = ("frames",)

    @admin.display(ordering="kind")
    def command(self, row: OutboxRow) -> str:
        return named(CommandKind, row.kind)

    @admin.display(description="reason")
    def refusal(self, row: OutboxRow) -> str:
        return named(Reason, row.reason) if row.reason else ""
