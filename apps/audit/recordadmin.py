"""Staff pages that only show, and those of tables that have no end: audit log, ledger, orders."""

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

COUNT_MAX: Final = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most COUNT_MAX rows: nobody turns to page 40,000, and counting a ledger reads all of it."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list  # a queryset here; Paginator also takes lists
        return int(rows.order_by()[:COUNT_MAX].count())


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Look, do not touch: actions of the subclass are the only way to change anything."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RecordAdmin(ReadOnlyAdmin):
    """The newest first; search by whole numbers and exact texts, which indexes answer.

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
