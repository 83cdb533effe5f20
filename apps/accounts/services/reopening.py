"""Switching a user off, by one of staff at once; and what opens an account again, by two (requirements A7, A9)."""

from collections.abc import Iterator

from django.db import transaction

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import NotLocked, StaffOnlyByAdmins, SwitchedAlready
from apps.accounts.models import User
from apps.accounts.selectors import address_of_subject, open_user_of_subject, user_of_subject
from apps.accounts.services.locking import release_lock
from apps.accounts.services.staffroles import roles_text
from apps.audit.actors import Actor, staff_text
from apps.audit.services import record
from apps.controls.approvalkinds import ApprovalKind, Approved, Change, Payload
from apps.outbox.requests import required_reason


def switch_off(*, user_id: int, reason: str, actor: Actor, may_staff: bool) -> None:
    """Sessions, sockets and keys end within a second. `may_staff`: also a member of the staff.

    Raises ReasonMissing, SwitchedAlready, StaffOnlyByAdmins.
    """
    clean_reason = required_reason(reason)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        if not user.is_active:
            raise SwitchedAlready("This user is switched off already.")
        if user.is_staff and not may_staff:
            raise StaffOnlyByAdmins("Only who says who is staff switches off a member of it.")
        user.is_active = False
        user.save(update_fields=("is_active",))
        record(actor=actor, action="user.switched-off", object=f"user:{user_id}", reason=clean_reason)


def _describe_on(subject: str, payload: Payload) -> Iterator[Change]:
    user = open_user_of_subject(subject)
    yield Change("account", "on" if user.is_active else "switched off", "on")
    if user.is_staff:
        # Switching off took no role: whoever approves sees what comes back.
        yield Change("staff", "switched off", roles_text(user))


def _switch_on(approved: Approved) -> None:
    user = open_user_of_subject(approved.subject, lock=True)
    user.is_active = True
    user.save(update_fields=("is_active",))
    record(
        actor=approved.approvers[-1], action="user.switched-on", object=approved.subject,
        after={"asked_by": approved.maker.id}, reason=approved.reason,
    )  # fmt: skip


def _describe_release(subject: str, payload: Payload) -> Iterator[Change]:
    user = user_of_subject(subject)
    if not user.lock_needs_staff:
        raise NotLocked("This account is not locked in a way that needs staff.")
    yield Change("lock", "only staff release it", "a new password by e-mail opens it")
    yield Change("e-mail address", user.email, normalise_email(payload["address"]))


def _release(approved: Approved) -> None:
    release_lock(
        user_id=user_of_subject(approved.subject).pk, address=approved.payload["address"], reason=approved.reason,
        requested_by=staff_text(approved.approvers[-1].id),
    )  # fmt: skip


SWITCH_ON = ApprovalKind(
    name="user-on",
    title="Switch a user on again",
    asking="accounts.reopen_user",
    permission="accounts.approve_reopening_user",
    describe=_describe_on,
    called=address_of_subject,
    apply=_switch_on,
)
RELEASE_LOCK = ApprovalKind(
    name="lock-release",
    title="Release a lock that needs staff",
    asking="accounts.reopen_user",
    permission="accounts.approve_reopening_user",
    describe=_describe_release,
    called=address_of_subject,
    apply=_release,
    private=True,
)
