"""The audit log for staff who may see it (audit.view_record): search, filters, where an entry stands in the tree."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.audit.actions import ACTIONS, FORMER
from apps.audit.actors import ActorKind
from apps.audit.models import Entry, Record
from apps.audit.recordadmin import RecordAdmin
from apps.audit.selectors import checkpoint_over
from apps.common.clock import now_ms

_PENDING: Final = "pending: the sequencer puts it into the tree within a second, while it runs"
# Of the name of an actor in the list: e-mail addresses fit, API keys are shortened.
_ACTOR_LENGTH_MAX: Final = 40
_SPANS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


def _entry_of(record: Record) -> Entry | None:
    return getattr(record, "entry", None)


class _ActionFilter(admin.SimpleListFilter):
    """From the list of known actions: their values in the table would be read from all of it."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in (*ACTIONS, *FORMER)]

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(action=value) if value else queryset


class _ActorFilter(admin.SimpleListFilter):
    title = "actor"
    parameter_name = "actor"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.value, kind.value) for kind in ActorKind]

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(actor_kind=value) if value else queryset


class _TimeFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "last"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, f"last {name}") for name in _SPANS]

    def queryset(self, request: Any, queryset: Any) -> Any:
        span = _SPANS.get(self.value() or "")
        return queryset.filter(at_ms__gte=now_ms() - span // timedelta(milliseconds=1)) if span else queryset


class _TreeFilter(admin.SimpleListFilter):
    title = "place"
    parameter_name = "place"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("pending", "pending"), ("sequenced", "in the tree")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(entry__isnull=value == "pending") if value in ("pending", "sequenced") else queryset


@admin.register(Record)
class AuditRecordAdmin(RecordAdmin):
    list_display = ("place", "time", "action", "short_actor", "object", "reason")
    list_display_links = ("place", "action")
    list_filter = (_TimeFilter, _ActionFilter, _ActorFilter, _TreeFilter)
    list_select_related = ("entry",)
    search_numbers = ("entry__index",)
    search_texts = ("actor_id", "object", "request_id")
    search_help_text = "Number of an entry, or the whole name of an actor, of an object (market:BTCUSDT), of a request"
    fields = (
        "time", "action", "meaning", "actor", "object", "reason", "what_was", "what_is", "request_id", "role",
        "counted", "proof",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        found: QuerySet[Record] = super().get_queryset(request).select_related("entry")
        return found

    @admin.display(description="entry", ordering="entry__index")
    def place(self, record: Record) -> str:
        entry = _entry_of(record)
        return str(entry.index) if entry is not None else "pending"

    @admin.display(ordering="at_ms")
    def time(self, record: Record) -> str:
        found = datetime.fromtimestamp(record.at_ms // 1000, UTC)
        return f"{found:%Y-%m-%d %H:%M:%S}.{record.at_ms % 1000:03} UTC"

    @admin.display(ordering="actor_id")
    def actor(self, record: Record) -> str:
        return f"{record.actor_kind} {record.actor_id}"

    @admin.display(description="actor", ordering="actor_id")
    def short_actor(self, record: Record) -> str:
        """In the list, where the 64 characters of an API key would leave no room for what follows."""
        whole = self.actor(record)
        name = record.actor_id
        return format_html(
            '<span title="{}">{}</span>',
            whole,
            f"{record.actor_kind} {name[:10]}…{name[-4:]}" if len(name) > _ACTOR_LENGTH_MAX else whole,
        )

    @admin.display(description="what it means")
    def meaning(self, record: Record) -> str:
        return (ACTIONS | FORMER).get(record.action, "This release does not know this action.")

    @admin.display(description="before")
    def what_was(self, record: Record) -> str:
        return _pretty(record.before)

    @admin.display(description="after")
    def what_is(self, record: Record) -> str:
        return _pretty(record.after)

    @admin.display(description="counted")
    def counted(self, record: Record) -> str:
        return f"number {record.number} of writer {record.writer}"

    @admin.display(description="proof")
    def proof(self, record: Record) -> str:
        """Whether it is in the tree, which checkpoint signs that, and where anybody gets the proof."""
        entry = _entry_of(record)
        if entry is None:
            return _PENDING
        signed = checkpoint_over(entry)
        if signed is None:
            return f"entry {entry.index}, but NO CHECKPOINT signs it: run manage.py verify_audit"
        made_at = datetime.fromtimestamp(signed.made_at_ms // 1000, UTC)
        return format_html(
            'entry {}, in the checkpoint of {} entries signed {} UTC, <a href="{}?index={}&amp;size={}">proof</a>',
            entry.index, signed.size, f"{made_at:%Y-%m-%d %H:%M:%S}", reverse("audit:inclusion"), entry.index,
            signed.size,
        )  # fmt: skip


def _pretty(text: str | None) -> str:
    if text is None:
        return "-"
    try:
        return format_html("<pre>{}</pre>", json.dumps(json.loads(text), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        # Not what record() wrote.
        return f"{text} (MALFORMED: this is not JSON)"
