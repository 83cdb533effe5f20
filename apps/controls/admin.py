"""Switches for staff: the list, a form that starts one, an action that ends them. No row is edited by hand."""

from collections.abc import Callable
from typing import Any, Final, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import Truncator

from apps.audit.actors import named
from apps.common.errors import DomainError
from apps.controls.approvaladmin import ApprovalRequestAdmin
from apps.controls.forms import StartForm
from apps.controls.halts import halts
from apps.controls.kinds import CLOSING, Kind, Scope
from apps.controls.models import Switch
from apps.controls.services import set_switch
from apps.controls.services.approvals import Member
from apps.controls.services.switchends import ask_end
from apps.outbox.admin import ASKED_ONCE, ReasonActionForm, staff_name

__all__ = ["ApprovalRequestAdmin", "SwitchAdmin"]

# Of a reason, in the list: a long one would make its row a column.
SHOWN_CHARS: Final = 50


class EmergencyFilter(admin.BooleanFieldListFilter):
    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.title = "emergency"


@admin.register(Switch)
class SwitchAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = StartForm
    list_display = ("__str__", "state", "why", "until", "set_by")
    list_filter = ("is_on", ("is_emergency", EmergencyFilter), "kind", "scope")
    search_fields = ("=subject", "reason", "set_by")
    search_help_text = "Code of an asset, name of a class, number of a user; words of the reason; who set it"
    ordering = ("-is_on", "kind", "scope", "subject")
    action_form = ReasonActionForm
    actions = ("ask_end", "end_flag")
    change_list_template = "admin/controls/switch/change_list.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(_offered(request))

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("controls.change_switch")

    def has_flag_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("controls.flag_beta_tester")

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "kind":
            kwargs["choices"] = [
                ("", "(choose)"),
                *((k, label) for k, label in db_field.choices if k in _offered(request)),
            ]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Switch | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("kind", "scope", "subject", "until", "emergency", "reason")
        return ("kind", "scope", "subject", "state", "until", "is_emergency", "reason", "set_by", "set_at", "version")

    def get_readonly_fields(self, request: HttpRequest, obj: Switch | None = None) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)

    @admin.display(description="reason")
    def why(self, switch: Switch) -> str:
        """Its beginning; the page of the switch has it all."""
        return Truncator(switch.reason).chars(SHOWN_CHARS)

    @admin.display(ordering="is_on")
    def state(self, switch: Switch) -> str:
        """In a word: neither on nor off is the good one."""
        if not switch.is_on:
            return "off"
        on = "emergency" if switch.is_emergency else "on"
        return on if switch.is_in_force else "over"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"halts": halts(), **(extra_context or {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().changeform_view(request, object_id, form_url, ASKED_ONCE | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Switch, form: Any, change: bool) -> None:
        """The form's own instance is never saved: the service writes."""
        made = form.request(staff_name(request))
        obj.pk, obj.kind, obj.scope, obj.subject = made.pk, made.kind, made.scope, made.subject

    def response_add(self, request: HttpRequest, obj: Switch, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, f"{obj}: it is on.", messages.SUCCESS)
        return redirect("admin:controls_switch_changelist")

    @admin.action(description="Ask to end", permissions=("end",))
    def ask_end(self, request: HttpRequest, queryset: QuerySet[Switch]) -> None:
        def ask(switch: Switch, reason: str) -> None:
            ask_end(switch=switch, reason=reason, by=cast(Member, request.user))

        self._end(request, queryset.filter(kind__in=CLOSING), "asked for its end; another of staff decides", ask)
        self._not_done(request, queryset.exclude(kind__in=CLOSING), "it closes nothing, and is ended as a flag")

    @admin.action(description="End flags", permissions=("flag",))
    def end_flag(self, request: HttpRequest, queryset: QuerySet[Switch]) -> None:
        def end(switch: Switch, reason: str) -> None:
            set_switch(
                kind=Kind(switch.kind), scope=Scope(switch.scope), subject=switch.subject, on=False,
                actor=named(staff_name(request)), reason=reason,
            )  # fmt: skip

        self._end(request, queryset.exclude(kind__in=CLOSING), "it has ended", end)
        self._not_done(request, queryset.filter(kind__in=CLOSING), "it is no flag: ask for its end")

    def _end(
        self, request: HttpRequest, chosen: QuerySet[Switch], done: str, each: Callable[[Switch, str], object]
    ) -> None:
        for switch in chosen:
            if not switch.is_on:
                self.message_user(request, f"{switch}: it is not on.", messages.WARNING)
                continue
            try:
                each(switch, request.POST.get("reason", ""))
            except DomainError as error:
                self.message_user(request, f"{switch}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{switch}: {done}.", messages.SUCCESS)

    def _not_done(self, request: HttpRequest, chosen: QuerySet[Switch], why: str) -> None:
        for switch in chosen:
            self.message_user(request, f"{switch}: {why}.", messages.ERROR)


def _offered(request: HttpRequest) -> frozenset[Kind]:
    """What this one of staff may start: to close is one right, to flag users another."""
    closing = CLOSING if request.user.has_perm("controls.add_switch") else frozenset()
    flags = frozenset(Kind) - CLOSING if request.user.has_perm("controls.flag_beta_tester") else frozenset()
    return closing | flags
