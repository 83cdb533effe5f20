"""The way back for who lost the second factor and has no recovery code: staff decide, slowly (requirement A2).

The user has proved the password and the mailbox. Everybody who may be the owner hears of it at once, on each address
and in each open session, and can stop it for 72 hours at least: by the link in the e-mail, or by showing the factor.
Why it is so: docs/decisions/0017-lost-second-factor.md.
"""

import secrets
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from apps.accounts.errors import FactorMissing, LinkDead
from apps.accounts.lostfactorkind import NAME, digest_of
from apps.accounts.models import LockLink, LostFactorCase, User
from apps.accounts.selectors import has_second_factor
from apps.accounts.services.announcements import tell_owner
from apps.accounts.services.links import Purpose, find_link, use_up
from apps.accounts.tokens import hash_token
from apps.controls.errors import ApprovalClosed
from apps.controls.models import ApprovalRequest, ApprovalState
from apps.controls.services.approvals import ask_approval, withdraw
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def open_case(*, user: User, token: str, reason: str) -> ApprovalRequest:
    """Use up the mailed link, ask staff, and tell everybody who may be the owner.

    `user` has proved the password in this browser. Raises LinkDead, FactorMissing, ReasonMissing, and AlreadyAsked
    while another case of theirs is open; then nothing has changed.
    """
    with transaction.atomic():
        # An open case comes before links and user, as in its last approval; else each waits for the other.
        ApprovalRequest.objects.select_for_update().filter(
            kind=NAME, subject=f"user:{user.pk}", state=ApprovalState.OPEN
        ).first()
        link = find_link(purpose=Purpose.RECOVER, token=token, user_id=user.pk, lock=True)
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if link.address != user.email:
            raise LinkDead("This link does not work any more. Ask for a new one.")
        if not has_second_factor(user_id=user.pk):
            raise FactorMissing("Your account has no second factor: the password logs in.")
        request = ask_approval(kind=NAME, subject=f"user:{user.pk}", payload={}, reason=reason, by=user)
        stop_token = secrets.token_urlsafe(32)
        LostFactorCase.objects.create(
            user=user, request=request, stop_hash=hash_token(stop_token), password_hash_digest=digest_of(user)
        )
        use_up(link)
        stop_link = f"{settings.PUBLIC_ORIGIN}{reverse('accounts:stop-lost-factor', args=[stop_token])}"
        told: dict[str, Any] = {"stop_link": stop_link, "earliest": request.ready_at}
        tell_owner(user, "lost_factor_asked", **told)
        for address in _other_addresses(user):
            send_email(to=address, template="lost_factor_asked", context=told, topic=Topic.SECURITY)
    return request


def find_case(token: str) -> LostFactorCase:
    """The case that the link stops, while staff can still decide on it. Raises LinkDead."""
    case = LostFactorCase.objects.select_related("user", "request").filter(stop_hash=hash_token(token)).first()
    if case is None or not case.request.is_open(timezone.now()):
        raise LinkDead("This link does not work: nothing is asked for any more, or the link is not complete.")
    return case


def stop_by_link(*, token: str) -> User:
    """Raises LinkDead."""
    case = find_case(token)
    try:
        _stop(case, "by a mailed link")
    except ApprovalClosed as error:
        raise LinkDead("It is too late: staff have decided just now.") from error
    return case.user


def stop_by_factor(*, user: User) -> bool:
    """The factor was shown, so it is not lost. Whether there was something to stop."""
    case = (
        LostFactorCase.objects.select_related("user", "request")
        .filter(user=user.pk, request__state=ApprovalState.OPEN)
        .first()
    )
    if case is None:
        return False
    try:
        _stop(case, "the second factor was shown")
    except ApprovalClosed:
        # Too old, decided, or stopped elsewhere at this moment.
        return False
    return True


def _stop(case: LostFactorCase, why: str) -> None:
    """Raises ApprovalClosed where the last approval, or another stop, came first."""
    with transaction.atomic():
        withdraw(request_id=case.request_id, by=case.user, reason=why)
        tell_owner(case.user, "lost_factor_stopped", why=why)


def _other_addresses(user: User) -> list[str]:
    """Where e-mail about the account went to lately beside its own address: somebody may just have changed it."""
    recent = LockLink.objects.filter(user=user, expires_at__gt=Now()).exclude(address=user.email)
    return sorted(set(recent.values_list("address", flat=True)))
