"""The outbox for staff; and what every page shares on which staff asks something of the engine."""

import time
from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.http import HttpRequest, HttpResponse

from apps.audit.actors import staff_text
from apps.audit.recordadmin import ReadOnlyAdmin, RecordAdmin
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import ANSWER_WAIT_S, REASON_LENGTH_MAX
from apps.outbox.requests import StaffRequest
from apps.outbox.selectors import wait_done
from apps.streams.kinds import CommandKind, Reason

# What a refusal means for whoever asked; the others are said by their names.
MEANINGS: Final = {
    Reason.BOOK_CROSSED: "its book is crossed after an auction phase; only an auction opens it",
    Reason.INVALID_STATE: "it cannot go to that state, such as to a call auction without a length of one",
    Reason.UNKNOWN_MARKET: "the engine does not know this market",
    Reason.UNKNOWN_CLASS: "the engine knows no asset of that class",
    Reason.UNKNOWN_ACCOUNT: "the engine does not know the account: it has never had money or a family; its own is one",
    Reason.ACCOUNT_HAS_ORDERS: "the account has open orders, or a share in an open block order; cancel them first",
    Reason.ALLOCATION_FAMILY: "a rule names only accounts of its owner's family",
}


def named(vocabulary: type[CommandKind] | type[Reason], value: int) -> str:
    """The word of a stored number; a number this release does not know is shown as it is."""
    try:
        return vocabulary(value).name.replace("_", " ").lower()
    except ValueError:
        return str(value)


# For the context of a form that asks the engine: there is nothing to go on editing.
ASKED_ONCE: Final = {"show_save_and_continue": False, "show_save_and_add_another": False}


def staff_name(request: HttpRequest) -> str:
    """Who asks, as it is kept with the request."""
    return staff_text(request.user.get_username())


def answer_of(row: OutboxRow) -> str:
    """What the engine said, in words."""
    return f"{row.state}: {why(row)}" if row.reason else str(row.state)


def why(row: OutboxRow) -> str:
    """Why it was refused; empty where it was not."""
    if not row.reason:
        return ""
    meaning = MEANINGS.get(Reason(row.reason)) if row.reason in set(Reason) else None
    return named(Reason, row.reason) + (f" ({meaning})" if meaning else "")


def tell_answers(request: HttpRequest, asked: Iterable[tuple[str, StaffRequest]]) -> None:
    """One message for each request, `asked` as (what, request): done, refused and why, or that it still waits.

    Waits for all of them together, at most ANSWER_WAIT_S; call it outside the transactions that made them.
    """
    deadline = time.monotonic() + ANSWER_WAIT_S
    for what, change in asked:
        row = wait_done(OutboxRow.objects.get(key=change.outbox_key), max(deadline - time.monotonic(), 0))
        if row.state == OutboxState.DONE:
            messages.success(request, f"{what}: done, event {row.event_seq}.")
        elif row.state == OutboxState.REFUSED:
            messages.error(request, f"{what}: the engine {answer_of(row)}. Nothing was changed.")
        else:
            messages.warning(request, f"{what} is on its way to the engine; the list of changes shows its answer.")


class ReasonActionForm(ActionForm):
    """Beside the choice of an action."""

    reason = forms.CharField(max_length=REASON_LENGTH_MAX, required=False, label="Reason (required):")


class RequestAdmin(ReadOnlyAdmin):
    """Who asked for what, when and why, and how the engine answered. Read only."""

    date_hierarchy = "requested_at"

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().changeform_view(request, object_id, form_url, ASKED_ONCE | (extra_context or {}))

    @admin.display(description="engine")
    def outcome(self, change: StaffRequest) -> str:
        return answer_of(OutboxRow.objects.get(key=change.outbox_key))


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
