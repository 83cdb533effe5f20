"""Staff pages: users, trading accounts, API keys, trading sessions. No secret is ever shown."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from apps.accounts.familyadmin import AllocationRuleAdmin, FamilyChangeAdmin
from apps.accounts.models import ApiKey, TradingAccount, TradingTicket, User
from apps.accounts.services.api_keys import revoke_keys
from apps.accounts.services.resets import set_by_staff
from apps.audit.actors import acting
from apps.audit.adminmixin import AuditedAdmin
from apps.audit.services import record

__all__ = ["AllocationRuleAdmin", "ApiKeyAdmin", "FamilyChangeAdmin", "TradingAccountAdmin", "UserAdmin"]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Look, do not touch: actions of the subclass are the only way to change anything."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Roles of staff: sets of permissions."""


class StaffPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A password that staff sets is a reset, too (A4)."""

    def save(self, commit: bool = True) -> User:
        user: User = self.user
        usable = self.cleaned_data["set_usable_password"]
        set_by_staff(user=user, new_password=self.cleaned_data["password1"] if usable else None)
        return user


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    # Nothing can be removed from the audit log, so no address of a user stands there.
    audit_hidden = ("email", "password", "password1", "password2", "usable_password")
    ordering = ("-id",)
    list_display = ("email", "is_active", "is_staff", "email_verified_at", "created_at", "last_login")
    list_filter = ("is_active", "is_staff", ("email_verified_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("email", "trading_accounts__id")
    readonly_fields = (
        "created_at",
        "last_login",
        "email_verified_at",
        "withdrawals_held_until",
        "locked_at",
        "lock_needs_staff",
    )
    change_password_form = StaffPasswordForm
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "email",
                    "password",
                    "email_verified_at",
                    "withdrawals_held_until",
                    "locked_at",
                    "lock_needs_staff",
                )
            },
        ),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        # Only a link proves a new address (services/emailchange.py), and only it tells the old one.
        return self.readonly_fields if obj is None else (*self.readonly_fields, "email")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        if id == str(request.user.pk):
            # A reset ends the session of who asks for it; and one's own needs the old one.
            self.message_user(request, "Your own password is changed here.", messages.INFO)
            return redirect("accounts:password")
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        return answer

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A user has a trading account, and its records stay. Switch the user off instead.
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            # What was committed since the row was read, such as a lock or a reset, stays.
            columns = {field.name for field in User._meta.concrete_fields}
            obj.save(update_fields=columns.intersection(form.changed_data))
        else:
            super().save_model(request, obj, form, change)
            # In the admin's own transaction: no user without a main account, as in UserManager.
            obj.trading_accounts.create(label="Main", is_main=True)


@admin.register(TradingAccount)
class TradingAccountAdmin(AuditedAdmin):
    list_display = ("id", "owner", "label", "is_main", "tier", "frozen_at", "created_at")
    list_filter = ("tier", "is_main", ("frozen_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("owner",)
    search_fields = ("=id", "owner__email", "label")
    readonly_fields = ("id", "owner", "is_main", "frozen_at", "created_at")
    fields = ("id", "owner", "label", "is_main", "tier", "frozen_at", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = (
        "short_key", "label", "kind", "account", "can_read", "can_trade", "networks", "created_at", "revoked_at",
    )  # fmt: skip
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "kind", "can_read", "can_trade", "created_at")
    list_select_related = ("account",)
    search_fields = ("public_key", "label", "=account__id", "account__owner__email")
    fields = (
        "public_key", "label", "kind", "account", "can_read", "can_trade", "networks", "created_at", "revoked_at",
        "version",
    )  # fmt: skip
    actions = ("revoke",)

    @admin.display(description="API key", ordering="public_key")
    def short_key(self, key: ApiKey) -> str:
        return f"{key.public_key[:10]}…{key.public_key[-4:]}"

    @admin.display(description="works from")
    def networks(self, key: ApiKey) -> str:
        return ", ".join(key.allowed_networks) or "everywhere"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).defer("secret_box")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke the chosen API keys (final)", permissions=("revoke",))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self.message_user(request, f"{revoke_keys(queryset)} API key(s) revoked.", messages.SUCCESS)


@admin.register(TradingTicket)
class TradingTicketAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "account", "created_at", "used_at", "revoked_at")
    list_filter = (("used_at", admin.EmptyFieldListFilter), ("revoked_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("user", "account")
    search_fields = ("user__email", "=account__id")
    fields = ("user", "account", "created_at", "expires_at", "used_at", "revoked_at", "version")
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TradingTicket]:
        return super().get_queryset(request).defer("ticket_hash", "session_key_hash")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_tradingticket")

    @admin.action(description="Close the chosen trading sessions", permissions=("revoke",))
    def revoke(self, request: HttpRequest, queryset: QuerySet[TradingTicket]) -> None:
        with transaction.atomic():
            chosen = queryset.filter(revoked_at=None).select_for_update(of=("self",))
            found = list(chosen.values_list("pk", "account_id"))
            TradingTicket.objects.filter(pk__in=[pk for pk, _ in found]).update(revoked_at=timezone.now())
            for pk, account_id in found:
                record(
                    actor=acting(), action="trading-session.revoked", object=f"trading-session:{pk}",
                    after={"account": str(account_id)},
                )  # fmt: skip
        self.message_user(request, f"{len(found)} trading session(s) revoked.", messages.SUCCESS)
