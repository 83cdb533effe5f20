"""Who of the users is staff, and as what (requirement A9): two of staff give a role, one takes it, all is audited."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from apps.accounts.errors import NotInRole, UnknownRole
from apps.accounts.models import User
from apps.accounts.selectors import address_of_subject, open_user_of_subject
from apps.accounts.services.announcements import tell_staff_changed
from apps.accounts.staffroles import ROLES, Role
from apps.audit.actors import Actor
from apps.audit.services import record
from apps.controls.approvalkinds import ApprovalKind, Approved, Change, Payload
from apps.outbox.requests import required_reason


def install(*, using: str, apps: Apps = global_apps, sender: Any = None, **signal: Any) -> None:
    """After the migrations of the last app, when all rights exist: the groups are those of the table, and no others."""
    if sender is not list(global_apps.get_app_configs())[-1]:
        return
    rights = {
        right.name_in_table: right.pk
        for right in Permission.objects.using(using).annotate(
            name_in_table=Concat(F("content_type__app_label"), Value("."), F("codename"))
        )
    }
    with transaction.atomic(using=using):
        groups = Group.objects.using(using)
        groups.exclude(name__in=list(ROLES)).delete()
        for role, duty in ROLES.items():
            group, _ = groups.get_or_create(name=role.value)
            # Some are not there yet where the schema is an older one.
            group.permissions.set([rights[right] for right in duty.rights if right in rights])


def take_role(*, user_id: int, role: str, reason: str, actor: Actor) -> None:
    """At once, by one of staff. Raises ReasonMissing, UnknownRole, and NotInRole where there is nothing to take."""
    clean_reason, named = required_reason(reason), _role(role)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        before = roles_text(user)
        taken = user.groups.filter(name=named.value).first()
        if taken is None:
            raise NotInRole(f"Not of the role {named.value}.")
        user.groups.remove(taken)
        _record("staff.role-taken", user, before, clean_reason, actor)


def end_as_staff(*, user_id: int, reason: str, actor: Actor) -> None:
    """No staff page opens any more, from the next request on; all roles and single rights end, too.

    Raises ReasonMissing, and NotInRole where the user is no staff.
    """
    clean_reason = required_reason(reason)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        before = roles_text(user)
        if not user.is_staff:
            raise NotInRole("Not of the staff.")
        user.groups.clear()
        user.user_permissions.clear()
        User.objects.filter(pk=user.pk).update(is_staff=False, is_superuser=False)
        user.refresh_from_db(fields=("is_staff", "is_superuser"))
        _record("staff.ended", user, before, clean_reason, actor)


def roles_text(user: User) -> str:
    """In words: 'no staff', 'staff of no role', or the roles."""
    if not user.is_staff:
        return "no staff"
    names = sorted(group.name for group in user.groups.all())
    return ", ".join(["superuser", *names] if user.is_superuser else names) or "staff of no role"


def _describe(subject: str, payload: Payload) -> Iterator[Change]:
    user, role = open_user_of_subject(subject), _role(payload["role"])
    held = user.is_staff and user.groups.filter(name=role.value).exists()
    yield Change(f"role {role.value}", roles_text(user), roles_text(user) if held else f"also {role.value}")
    yield Change("what for", ROLES[role].what if held else "", ROLES[role].what)


def _give(approved: Approved) -> None:
    user = open_user_of_subject(approved.subject, lock=True)
    before = roles_text(user)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.refresh_from_db(fields=("is_staff",))
    user.groups.add(Group.objects.get(name=_role(approved.payload["role"]).value))
    _record("staff.role-given", user, before, approved.reason, approved.approvers[-1])


GIVE_ROLE = ApprovalKind(
    name="staff-role",
    title="Give a role of staff",
    asking="accounts.manage_staff",
    permission="accounts.manage_staff",
    describe=_describe,
    called=address_of_subject,
    apply=_give,
)


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError as error:
        raise UnknownRole("Choose a role: " + ", ".join(Role) + ".") from error


def _record(action: str, user: User, before: str, reason: str, actor: Actor) -> None:
    """In the audit log, and to the user by e-mail and in the centre of notices."""
    after = roles_text(user)
    record(
        actor=actor, action=action, object=f"user:{user.pk}", before={"roles": before},
        after={"roles": after}, reason=reason,
    )  # fmt: skip
    tell_staff_changed(user, before=before, after=after)
