"""Users and roles of staff, for staff: to look at, and actions with a reason; no right is edited by hand (A9).

What ends access is done at once by who may; what gives it is asked for, and another of staff decides (docs/staff.md).
"""

from collections.abc import Callable
from typing import Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.errors import NotOneself
from apps.accounts.models import User
from apps.accounts.services.reopening import RELEASE_LOCK, SWITCH_ON, switch_off
from apps.accounts.services.resets import set_by_staff
from apps.accounts.services.staffroles import GIVE_ROLE, end_as_staff, roles_text, take_role
from apps.accounts.staffroles import ROLES, Role
from apps.audit.actors import acting
from apps.audit.adminmixin import AuditedAdmin
from apps.common.errors import DomainError
from apps.controls.services.approvals import ask_approval
from apps.outbox.admin import ReasonActionForm

# Where a superuser, and nobody else, makes a user or sets a password.
_SUPERUSERS_PAGES: Final = {"auth_user_password_change", "accounts_user_add"}

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """Roles of staff, as the table of staffroles.py has them."""

    list_display = ("name", "what")
    fields = ("name", "what", "permissions")
    readonly_fields = ("what",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="what for")
    def what(self, group: Group) -> str:
        return ROLES[Role(group.name)].what if group.name in set(Role) else ""


class StaffPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A password that staff sets is a reset, too (A4)."""

    def save(self, commit: bool = True) -> User:
        user: User = self.user
        usable = self.cleaned_data["set_usable_password"]
        set_by_staff(user=user, new_password=self.cleaned_data["password1"] if usable else None)
        return user


class UserActionForm(ReasonActionForm):
    """Beside the choice of an action on users."""

    role = forms.ChoiceField(
        choices=[("", "(none)"), *((role.value, role.value) for role in Role)],
        required=False,
        label="Role to give or take:",
    )
    address = forms.EmailField(required=False, label="Owner's address, to release a lock:")
    field_order = ("action", "role", "address", "reason", "select_across")


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    # Nothing can be removed from the audit log, so no address of a user stands there.
    audit_hidden = ("email", "password", "password1", "password2", "usable_password")
    ordering = ("-id",)
    list_display = ("email", "is_active", "roles", "email_verified_at", "created_at", "last_login")
    list_filter = (
        "is_active", "is_staff", "groups", ("email_verified_at", admin.EmptyFieldListFilter),
        ("locked_at", admin.EmptyFieldListFilter), "created_at",
    )  # fmt: skip
    list_select_related = False
    search_fields = ("email", "trading_accounts__id")
    change_password_form = StaffPasswordForm
    fieldsets = (
        (None, {"fields": ("email", "email_verified_at", "is_active", "roles", "set_password")}),
        ("Locks", {"fields": ("withdrawals_held_until", "locked_at", "lock_needs_staff")}),
        ("Dates", {"fields": ("created_at", "last_login")}),
    )
    readonly_fields = ("roles", "set_password")
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)
    action_form = UserActionForm
    actions = ("switch_off", "ask_on", "ask_release", "ask_role", "take_role", "end_as_staff")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        match = request.resolver_match
        return match is not None and match.url_name in _SUPERUSERS_PAGES and request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A user has a trading account, and its records stay. Switch the user off instead.
        return False

    def has_switch_off_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.switch_off_user")

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.reopen_user")

    def has_manage_staff_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.manage_staff")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        if id == str(request.user.pk):
            # A reset ends the session of who asks for it; and one's own needs the old one.
            self.message_user(request, "Your own password is changed here.", messages.INFO)
            return redirect("accounts:password")
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        return answer

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        # In the admin's own transaction: no user without a main account, as in UserManager.
        obj.trading_accounts.create(label="Main", is_main=True)

    @admin.display(description="staff")
    def roles(self, user: User) -> str:
        return roles_text(user)

    @admin.display(description="password")
    def set_password(self, user: User) -> str:
        page = reverse("admin:auth_user_password_change", args=(user.pk,))
        return format_html('<a href="{}">Set another one, as a superuser</a>', page)

    @admin.action(description="Switch off, at once", permissions=("switch_off",))
    def switch_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        may_staff = self.has_manage_staff_permission(request)

        def off(user: User, reason: str) -> None:
            # It would end the session that asks, which is refused as over.
            if user.pk == request.user.pk:
                raise NotOneself("Nobody switches off themselves here: another of staff does.")
            switch_off(user_id=user.pk, reason=reason, actor=acting(), may_staff=may_staff)

        self._do(request, queryset, "switched off", off)

    @admin.action(description="Ask to switch on again", permissions=("reopen",))
    def ask_on(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._ask(request, queryset, SWITCH_ON.name, {})

    @admin.action(description="Ask to release the lock", permissions=("reopen",))
    def ask_release(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._ask(request, queryset, RELEASE_LOCK.name, {"address": request.POST.get("address", "")})

    @admin.action(description="Ask to give the role", permissions=("manage_staff",))
    def ask_role(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._ask(request, queryset, GIVE_ROLE.name, {"role": request.POST.get("role", "")})

    @admin.action(description="Take the role away, at once", permissions=("manage_staff",))
    def take_role(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        role = request.POST.get("role", "")
        self._do(request, queryset, f"no {role} any more", lambda user, reason: take_role(
            user_id=user.pk, role=role, reason=reason, actor=acting()
        ))  # fmt: skip

    @admin.action(description="End as staff, at once", permissions=("manage_staff",))
    def end_as_staff(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._do(request, queryset, "no staff any more", lambda user, reason: end_as_staff(
            user_id=user.pk, reason=reason, actor=acting()
        ))  # fmt: skip

    def _ask(self, request: HttpRequest, queryset: QuerySet[User], kind: str, payload: dict[str, str]) -> None:
        self._do(request, queryset, "asked for; another of staff decides", lambda user, reason: ask_approval(
            kind=kind, subject=f"user:{user.pk}", payload=payload, reason=reason, by=cast(User, request.user)
        ))  # fmt: skip

    def _do(
        self, request: HttpRequest, queryset: QuerySet[User], done: str, each: Callable[[User, str], object]
    ) -> None:
        """One message for each of the chosen: done, or why not."""
        for user in queryset:
            try:
                each(user, request.POST.get("reason", ""))
            except DomainError as error:
                self.message_user(request, f"{user}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{user}: {done}.", messages.SUCCESS)
