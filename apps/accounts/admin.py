"""Staff pages: trading accounts, API keys, trading sessions. No secret is ever shown."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.familyadmin import AllocationRuleAdmin, FamilyChangeAdmin
from apps.accounts.models import ApiKey, TradingAccount, TradingTicket
from apps.accounts.services.limittiers import set_limits_tier
from apps.accounts.services.staffending import close_trading_sessions, revoke_keys_by_staff
from apps.accounts.useradmin import GroupAdmin, UserAdmin
from apps.audit.actors import acting
from apps.audit.recordadmin import ReadOnlyAdmin
from apps.common.errors import DomainError
from apps.outbox.admin import ReasonActionForm

__all__ = ["AllocationRuleAdmin", "ApiKeyAdmin", "FamilyChangeAdmin", "GroupAdmin", "TradingAccountAdmin", "UserAdmin"]


def _limits_action(tier: TradingAccount.Tier) -> Callable[..., None]:
    @admin.action(description=f"Rate limits: {tier.label.lower()}", permissions=["limits"])
    def set_tier(model_admin: "TradingAccountAdmin", request: HttpRequest, queryset: QuerySet[TradingAccount]) -> None:
        for account in queryset:
            try:
                changed = set_limits_tier(
                    account_id=account.pk, tier=tier, reason=request.POST.get("reason", ""), actor=acting()
                )
            except DomainError as error:
                model_admin.message_user(request, f"{account}: {error.message}", messages.ERROR)
            else:
                now = "from now on" if changed else "as before"
                model_admin.message_user(request, f"{account}: limits {tier.value} {now}.", messages.SUCCESS)

    set_tier.__name__ = f"limits_{tier.value}"
    return set_tier


@admin.register(TradingAccount)
class TradingAccountAdmin(ReadOnlyAdmin):
    list_display = ("id", "owner", "label", "is_main", "tier", "frozen_at", "created_at")
    list_filter = ("tier", "is_main", ("frozen_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("owner",)
    search_fields = ("=id", "owner__email", "label")
    fields = ("id", "owner", "label", "is_main", "tier", "frozen_at", "created_at")
    action_form = ReasonActionForm
    actions = tuple(_limits_action(tier) for tier in TradingAccount.Tier)

    def has_limits_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_tradingaccount")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("short_key", "label", "account", "rights", "networks", "created_at", "last_used_at", "state")
    list_filter = (
        ("revoked_at", admin.EmptyFieldListFilter), "kind", "can_read", "can_trade", "can_withdraw", "created_at",
        "expires_at",
    )  # fmt: skip
    list_select_related = ("account",)
    search_fields = ("public_key", "label", "=account__id", "account__owner__email")
    fields = (
        "public_key", "label", "kind", "account", "can_read", "can_trade", "can_withdraw", "networks", "created_at",
        "expires_at", "last_used_at", "last_used_address", "revoked_at", "version",
    )  # fmt: skip
    action_form = ReasonActionForm
    actions = ("revoke",)

    @admin.display(description="API key", ordering="public_key")
    def short_key(self, key: ApiKey) -> str:
        return f"{key.public_key[:10]}…{key.public_key[-4:]}"

    @admin.display(description="may")
    def rights(self, key: ApiKey) -> str:
        """In one column: three of icons would push the last ones out of sight."""
        given = {"read": key.can_read, "trade": key.can_trade, "withdraw": key.can_withdraw}
        return ", ".join(name for name, has in given.items() if has)

    @admin.display(description="works from")
    def networks(self, key: ApiKey) -> str:
        return ", ".join(key.allowed_networks) or "everywhere"

    @admin.display(ordering="expires_at")
    def state(self, key: ApiKey) -> str:
        """With the day of its end, in UTC."""
        if key.revoked_at is not None:
            return f"revoked {key.revoked_at:%Y-%m-%d}"
        if key.expires_at is None:
            return "in use, no end"
        return f"{'expired' if key.is_expired else 'in use until'} {key.expires_at:%Y-%m-%d}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).defer("secret_box")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke the chosen API keys (final)", permissions=("revoke",))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        try:
            count = revoke_keys_by_staff(chosen=queryset, reason=request.POST.get("reason", ""))
        except DomainError as error:
            self.message_user(request, f"{error.message} No key was revoked.", messages.ERROR)
        else:
            self.message_user(request, f"{count} API key(s) revoked.", messages.SUCCESS)


@admin.register(TradingTicket)
class TradingTicketAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "account", "created_at", "used_at", "revoked_at")
    list_filter = (("used_at", admin.EmptyFieldListFilter), ("revoked_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("user", "account")
    search_fields = ("user__email", "=account__id")
    fields = ("user", "account", "created_at", "expires_at", "used_at", "revoked_at", "version")
    action_form = ReasonActionForm
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TradingTicket]:
        return super().get_queryset(request).defer("ticket_hash", "session_key_hash")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_tradingticket")

    @admin.action(description="Close the chosen trading sessions", permissions=("revoke",))
    def revoke(self, request: HttpRequest, queryset: QuerySet[TradingTicket]) -> None:
        try:
            count = close_trading_sessions(chosen=queryset, reason=request.POST.get("reason", ""))
        except DomainError as error:
            self.message_user(request, f"{error.message} No trading session was closed.", messages.ERROR)
        else:
            self.message_user(request, f"{count} trading session(s) revoked.", messages.SUCCESS)
