"""Users and roles of staff, for staff: to look at, and actions with a reason; no right is edited by hand (A9).

What ends access is done at once by who may; what gives it is asked for, and another of staff decides (docs/staff.md).
"""

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.errors import NotOneself
from apps.accounts.models import User
from apps.accounts.services.reopening import RELEASE_LOCK, SWITCH_ON, switch_off
from apps.accounts.services.resets import send_reset
from apps.accounts.services.staffroles import GIVE_ROLE, end_as_staff, roles_text, take_role
from apps.accounts.staffroles import ROLES, Role
from apps.audit.actors import acting
from apps.audit.recordadmin import ReadOnlyAdmin
from apps.common.errors import DomainError
from apps.controls.services.approvals import ask_approval
from apps.outbox.admin import ReasonActionForm
from apps.web.visitor import client_address

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """Roles of staff, as the table of staffroles.py has them."""

    list_display = ("name", "what")
    fields = ("name", "what", "permissions")
    readonly_fields = ("what",)
    search_fields = ("name",)

    @admin.display(description="what for")
    def what(self, group: Group) -> str:
        return ROLES[Role(group.name)].what if group.name in set(Role) else ""


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
class UserAdmin(ReadOnlyAdmin):
    ordering = ("-id",)
    list_display = ("email", "is_active", "roles", "email_verified_at", "created_at", "last_login")
    list_filter = (
        "is_active", "is_staff", "groups", ("email_verified_at", admin.EmptyFieldListFilter),
        ("locked_at", admin.EmptyFieldListFilter), "created_at",
    )  # fmt: skip
    list_select_related = False
    search_fields = ("email", "trading_accounts__id")
    fieldsets = (
        (None, {"fields": ("email", "email_verified_at", "is_active", "roles")}),
        ("Locks", {"fields": ("withdrawals_held_until", "locked_at", "lock_needs_staff")}),
        ("Dates", {"fields": ("created_at", "last_login")}),
    )
    readonly_fields = ("roles",)
    action_form = UserActionForm
    actions = ("send_reset", "switch_off", "ask_on", "ask_release", "ask_role", "take_role", "end_as_staff")

    def has_switch_off_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.switch_off_user")

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.reopen_user")

    def has_manage_staff_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.manage_staff")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="staff")
    def roles(self, user: User) -> str:
        return roles_text(user)

    @admin.action(description="Send a link to a new password", permissions=("reopen",))
    def send_reset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._do(request, queryset, "a link is on its way to its address", lambda user, reason: send_reset(
            user_id=user.pk, client=client_address(request), reason=reason, actor=acting()
        ))  # fmt: skip

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
