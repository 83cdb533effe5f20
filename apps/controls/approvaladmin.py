"""Requests for approval, for staff: the list of what waits, what each would change, and the decision with a reason."""

from typing import Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from apps.audit.recordadmin import RecordAdmin
from apps.common.errors import DomainError
from apps.controls.approvalkinds import kinds
from apps.controls.models import ApprovalRequest, ApprovalState
from apps.controls.services.approvals import Member, approve, decline, why_not_decide, withdraw
from apps.outbox.admin import ASKED_ONCE
from apps.outbox.policy import REASON_LENGTH_MAX

_DECISIONS: Final = {"approve": approve, "decline": decline, "withdraw": withdraw}
_AS_OPEN: Final = Q(state=ApprovalState.OPEN)


class DecisionForm(forms.Form):
    """The button that was pressed, and why."""

    decision = forms.ChoiceField(choices=[(name, name) for name in _DECISIONS])
    reason = forms.CharField(max_length=REASON_LENGTH_MAX)


class StateFilter(admin.SimpleListFilter):
    """What waits for a decision, unless another state is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((state.value, state.value) for state in ApprovalState if state != ApprovalState.OPEN), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [first | {"display": "open"}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
        value, over = self.value(), Q(expires_at__lte=timezone.now())
        if value == "all":
            return queryset
        if value is None:
            return queryset.filter(_AS_OPEN & ~over)
        wanted = Q(state=value)
        return queryset.filter(wanted | _AS_OPEN & over if value == ApprovalState.EXPIRED else wanted)


class KindFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.name, kind.title) for kind in kinds()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(RecordAdmin):
    list_display = ("id", "title", "about", "progress", "state_shown", "made_by", "expires_at")
    list_display_links = ("id", "title")
    list_filter = (StateFilter, KindFilter)
    search_numbers = ("id",)
    search_texts = ("subject", "made_by")
    search_help_text = "Number of a request; what it is about, such as user:17; who asked, such as staff: ADDRESS"
    fields = ("title", "about", "reason", "made_by", "made_at", "ready_at", "expires_at", "state_shown")
    change_form_template = "admin/controls/approvalrequest/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(given=Count("approvals"))
        return rows

    @admin.display(description="what", ordering="kind")
    def title(self, row: ApprovalRequest) -> str:
        known = {kind.name: kind.title for kind in kinds()}
        return known.get(row.kind, row.kind)

    @admin.display(ordering="subject")
    def about(self, row: ApprovalRequest) -> str:
        known = {kind.name: kind.called for kind in kinds()}
        return known.get(row.kind, str)(row.subject)

    @admin.display(description="approvals")
    def progress(self, row: Any) -> str:
        needed = {kind.name: str(kind.approvers_needed) for kind in kinds()}
        return f"{row.given} of {needed.get(row.kind, '?')}"

    @admin.display(description="state", ordering="state")
    def state_shown(self, row: ApprovalRequest) -> str:
        return row.state_now

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        asked = self.get_object(request, object_id or "")
        if asked is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        form = DecisionForm()
        if request.method == "POST":
            if not self.has_view_permission(request, asked):
                raise PermissionDenied
            form = DecisionForm(request.POST)
            if form.is_valid() and self._decide(request, asked, form):
                return redirect("admin:controls_approvalrequest_changelist")
            # What follows only shows: the decision was refused, and says why.
            request.method = "GET"
        return super().changeform_view(
            request, object_id, form_url, ASKED_ONCE | (extra_context or {}) | self._shown(request, asked, form)
        )

    def _decide(self, request: HttpRequest, asked: ApprovalRequest, form: DecisionForm) -> bool:
        try:
            decided = _DECISIONS[form.cleaned_data["decision"]](
                request_id=asked.pk, by=cast(Member, request.user), reason=form.cleaned_data["reason"]
            )
        except DomainError as error:
            form.add_error(None, error.message)
            return False
        done = {ApprovalState.OPEN: "approved; it needs further approvals"}.get(
            ApprovalState(decided.state), f"it is {decided.state}"
        )
        self.message_user(request, f"Request {asked.pk}, {self.title(asked)}: {done}.", messages.SUCCESS)
        return True

    def _shown(self, request: HttpRequest, asked: ApprovalRequest, form: DecisionForm) -> dict[str, Any]:
        """For the template. An open request of a kind that this release has not can only be withdrawn."""
        is_open = asked.is_open()
        refusal = why_not_decide(request=asked, by=cast(Member, request.user)) if is_open else None
        return {
            "asked": asked,
            "approvals": asked.approvals.all(),
            "decision_form": form,
            "can_decide": is_open and refusal is None,
            "can_withdraw": is_open and asked.maker_id == request.user.pk,
            "refusal": refusal,
        }
