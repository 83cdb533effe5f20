"""Withdrawals wait for a day after what a thief would do first (requirement A4, threat-T8)."""

from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import DateTimeField, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.policy import WITHDRAWALS_HELD_S
from apps.audit.actors import acting
from apps.audit.services import record


class HoldReason(StrEnum):
    """As the audit log tells it. The first enrolment of a factor holds nothing."""

    PASSWORD_CHANGED = "the password was changed"  # noqa: S105  # nosec B105 # a word, not a password
    PASSWORD_RESET = "the password was reset"  # noqa: S105  # nosec B105 # a word, not a password
    EMAIL_CHANGED = "the e-mail address was changed"
    FACTOR_REMOVED = "a second factor was removed"
    FACTOR_REPLACED = "a second factor was replaced"
    RECOVERED = "a recovery code stood in for the second factor"
    ACCOUNT_LOCKED = "the account was locked"


def hold_withdrawals(*, user: User, reason: HoldReason) -> datetime:
    """Hold them for 24 hours from now; returns the end, which `user` has, too.

    In the transaction of the change, with whatever lock it holds on the user's row, or takes here. A hold is never
    shortened: not by a second one, and not by a save of the whole row that was read before (accounts_user_hold).
    """
    until = timezone.now() + timedelta(seconds=WITHDRAWALS_HELD_S)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(
            withdrawals_held_until=Greatest("withdrawals_held_until", Value(until, DateTimeField()))
        )
        held_until = User.objects.values_list("withdrawals_held_until", flat=True).get(pk=user.pk)
        assert held_until is not None, "it was just set"
        record(
            actor=acting(),
            action="user.withdrawals-held",
            object=f"user:{user.pk}",
            after={"until": held_until.isoformat(timespec="seconds")},
            reason=reason.value,
        )
    user.withdrawals_held_until = held_until
    return held_until
