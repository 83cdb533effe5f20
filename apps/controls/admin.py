"""Switches for staff: the list, a form that starts one, an action that ends them. No row is edited by hand."""

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import Truncator

from apps.audit.actors import named
from apps.common.errors import DomainError
from apps.controls.forms import StartForm
from apps.controls.halts import halts
from apps.controls.kinds import Kind, Scope
from apps.controls.models import Switch
from apps.controls.services import set_switch
from apps.outbox.admin import ASKED_ONCE, ReasonActionForm, staff_name

# Of a reason, in the list: a long one would make its row a column.
SHOWN_CHARS: Final = 50


@admin.register(Switch)
class SwitchAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = StartForm
    list_display = ("__str__", "state", "why", "until", "set_by")
    list_filter = ("is_on", "kind", "scope")
    search_fields = ("=subject", "reason", "set_by")
    search_help_text = "Code of an asset, name of a class, number of a user; words of the reason; who set it"
    ordering = ("-is_on", "kind", "scope", "subject")
    action_form = ReasonActionForm
    actions = ("end",)
    change_list_template = "admin/controls/switch/change_list.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("controls.change_switch")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """An earlier end is an end."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.may_shorten = self.has_end_permission(request)
        return form

    def get_fields(self, request: HttpRequest, obj: Switch | None = None) -> tuple[str, ...]:
        if obj is None:
            return StartForm.Meta.fields
        return ("kind", "scope", "subject", "state", "until", "reason", "set_by", "set_at", "version")

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
        return "on" if switch.is_in_force else "over"

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

    @admin.action(description="End", permissions=("end",))
    def end(self, request: HttpRequest, queryset: QuerySet[Switch]) -> None:
        for switch in queryset:
            if not switch.is_on:
                self.message_user(request, f"{switch}: it is not on.", messages.WARNING)
                continue
            try:
                set_switch(
                    kind=Kind(switch.kind), scope=Scope(switch.scope), subject=switch.subject, on=False,
                    actor=named(staff_name(request)), reason=request.POST.get("reason", ""),
                )  # fmt: skip
            except DomainError as error:
                self.message_user(request, f"{switch}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{switch}: it has ended.", messages.SUCCESS)
