"""Staff pages of families and allocation rules. They ask the engine; the lists follow what it took."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.accounts.familyforms import AllocationRuleForm, FamilyForm
from apps.accounts.models import AccountSettings, AllocationChange, AllocationRule, FamilyChange
from apps.accounts.services.allocations import remove_allocation_rule
from apps.audit.recordadmin import RecordAdmin
from apps.common.errors import DomainError
from apps.outbox.admin import ASKED_ONCE, ReasonActionForm, RequestAdmin, staff_name, tell_answers


@admin.register(AccountSettings)
class AccountSettingsAdmin(RecordAdmin):
    """Families and fee tiers as the engine has them."""

    list_display = ("account_id", "family_id", "fee_tier", "shard")
    list_display_links = None
    ordering = ("account_id",)
    search_numbers = ("account_id", "family_id")
    search_help_text = "Number of a trading account or of the head of a family"


@admin.register(FamilyChange)
class FamilyChangeAdmin(RequestAdmin):
    form = FamilyForm
    list_display = ("account_id", "family_id", "outcome", "requested_by", "requested_at", "reason")
    search_fields = ("=account_id", "=family_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_familychange")

    def save_model(self, request: HttpRequest, obj: FamilyChange, form: Any, change: bool) -> None:
        """The form's own instance is never saved: the service writes."""
        made = form.request(staff_name(request))
        obj.pk = made.pk
        transaction.on_commit(lambda: tell_answers(request, [(f"Account {made.account_id}: the family", made)]))

    def response_add(
        self, request: HttpRequest, obj: FamilyChange, post_url_continue: str | None = None
    ) -> HttpResponse:
        return redirect("admin:accounts_familychange_changelist")


@admin.register(AllocationRule)
class AllocationRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rules that the engine has. A new one, a change and a removal are asked for with a reason."""

    form = AllocationRuleForm
    list_display = ("account_id", "rule_id", "method", "among", "shard")
    list_display_links = ("rule_id",)
    list_filter = ("method",)
    search_fields = ("=account_id",)
    search_help_text = "Number of the account that owns the rules"
    action_form = ReasonActionForm
    actions = ("remove",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A rule ends by a command to the engine, the action below.
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: AllocationRule | None = None) -> tuple[str, ...]:
        return ("account_id", "rule_id") if obj else ()

    def get_fields(self, request: HttpRequest, obj: AllocationRule | None = None) -> tuple[str, ...]:
        return ("account_id", "rule_id", "method", "shares", "reason") if obj else AllocationRuleForm.Meta.fields

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().changeform_view(request, object_id, form_url, ASKED_ONCE | (extra_context or {}))

    @admin.display(description="divided among")
    def among(self, rule: AllocationRule) -> str:
        weights = rule.weights_bp or [0] * len(rule.accounts)
        shown = [
            f"{account} ({weight // 100}.{weight % 100:02} %)" if weight else str(account)
            for account, weight in zip(rule.accounts[:8], weights, strict=False)
        ]
        left = len(rule.accounts) - len(shown)
        return ", ".join(shown) + (f" and {left} more" if left else "")

    def save_model(self, request: HttpRequest, obj: AllocationRule, form: Any, change: bool) -> None:
        """The form's own instance is never saved: the service writes, and the mirror follows the engine."""
        asked = form.request(staff_name(request))
        obj.rule_id = asked.rule_id
        transaction.on_commit(lambda: tell_answers(request, [(str(asked).capitalize(), asked)]))

    def response_add(
        self, request: HttpRequest, obj: AllocationRule, post_url_continue: str | None = None
    ) -> HttpResponse:
        return redirect("admin:accounts_allocationrule_changelist")

    def response_change(self, request: HttpRequest, obj: AllocationRule) -> HttpResponse:
        return redirect("admin:accounts_allocationrule_changelist")

    @admin.action(description="Remove", permissions=("change",))
    def remove(self, request: HttpRequest, queryset: QuerySet[AllocationRule]) -> None:
        asked = []
        for rule in queryset:
            try:
                change = remove_allocation_rule(
                    account_id=rule.account_id,
                    rule_id=rule.rule_id,
                    reason=request.POST.get("reason", ""),
                    requested_by=staff_name(request),
                )
            except DomainError as error:
                self.message_user(request, f"{rule}: {error.message}", messages.ERROR)
            else:
                asked.append((f"Removal of {rule}", change))
        tell_answers(request, asked)


@admin.register(AllocationChange)
class AllocationChangeAdmin(RequestAdmin):
    list_display = (
        "account_id", "rule_id", "method", "wanted", "outcome", "requested_by", "requested_at", "reason",
    )  # fmt: skip
    search_fields = ("=account_id",)

    @admin.display(description="accounts")
    def wanted(self, change: AllocationChange) -> str:
        return f"{len(change.accounts)} accounts" if change.accounts else "removed"
