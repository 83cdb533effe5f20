"""Setting up, replacing and removing a user's authenticator app (requirement A2)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.errors import FactorMissing, FactorNeeded, WrongCode
from apps.accounts.facts import Factor
from apps.accounts.models import ApiKey, RecoveryCode, TotpFactor, User
from apps.accounts.models.keys import in_use
from apps.accounts.policy import TOTP_SETUP_S
from apps.accounts.secrets import open_totp, seal_totp
from apps.accounts.selectors import factors_of
from apps.accounts.services.announcements import OTHERS_ENDED, tell_factors_changed
from apps.accounts.services.ending import end_other_sessions
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.recoverycodes import issue_codes
from apps.accounts.totp import is_code, matching_step, new_secret
from apps.audit.actors import acting
from apps.audit.services import record


def begin_totp(*, user_id: int) -> None:
    """A new secret that waits for its first code, in place of an earlier one that waits. What is in use stays."""
    with transaction.atomic():
        lock_user(user_id)
        TotpFactor.objects.filter(user=user_id, confirmed_at=None).delete()
        TotpFactor.objects.create(user_id=user_id, secret_box=seal_totp(user_id, new_secret()))


class Confirmed(NamedTuple):
    """`codes`: recovery codes of a first factor, in the clear for the only time; nothing where the user has some."""

    codes: Sequence[str]
    has_replaced: bool


def confirm_totp(*, user_id: int, code: str, session_key: str | None = None) -> Confirmed:
    """The app that waits is in use from now on, in place of the old one; its first code is used up.

    All sessions but `session_key` end (T5), and the owner is told; a replacement holds withdrawals (A4). Raises
    WrongCode, and FactorMissing when nothing waits, or has waited for too long.
    """
    with transaction.atomic():
        user = lock_user(user_id)
        waiting = waiting_totp(user_id=user_id)
        if waiting is None:
            raise FactorMissing("This set-up is not there any more. Begin again.")
        now = timezone.now()
        step = None
        if is_code(code):
            secret = open_totp(user_id, waiting.secret_box)
            step = matching_step(secret, code, now_s=now.timestamp(), after=waiting.last_step)
        if step is None:
            raise WrongCode("This code is not right. Is the clock of your device right? Take the next code.")
        replaced, _ = TotpFactor.objects.filter(user=user_id, confirmed_at__isnull=False).delete()
        waiting.confirmed_at, waiting.last_step = now, step
        waiting.save(update_fields=("confirmed_at", "last_step"))
        record(
            actor=acting(),
            action="user.factor-replaced" if replaced else "user.factor-added",
            object=f"user:{user_id}",
            after={"factor": "authenticator app"},
        )
        if replaced:
            hold_withdrawals(user=user, reason=HoldReason.FACTOR_REPLACED)
        codes = () if RecoveryCode.objects.filter(user=user_id).exists() else issue_codes(user)
        end_other_sessions(user_id=user_id, session_key=session_key)
        new = "another" if replaced else "an"
        tell_factors_changed(user, f"It has {new} authenticator app. {OTHERS_ENDED}")
        return Confirmed(codes, bool(replaced))


def remove_totp(*, user_id: int, session_key: str | None = None) -> bool:
    """Withdrawals are held (A4), all sessions but `session_key` end (T5), and the owner is told. Without a passkey the
    password alone logs in from now on, and the recovery codes go: then it answers True.

    Raises FactorMissing, and FactorNeeded while something needs it (check_removable).
    """
    with transaction.atomic():
        user = lock_user(user_id)
        check_removable(user, Factor.AUTHENTICATOR)
        removed, _ = TotpFactor.objects.filter(user=user_id, confirmed_at__isnull=False).delete()
        if not removed:
            raise FactorMissing("Your account has no authenticator app.")
        is_last = not factors_of(user_id=user_id)
        if is_last:
            RecoveryCode.objects.filter(user=user_id).delete()
        record(
            actor=acting(),
            action="user.factor-removed",
            object=f"user:{user_id}",
            after={"factor": "authenticator app"},
        )
        hold_withdrawals(user=user, reason=HoldReason.FACTOR_REMOVED)
        end_other_sessions(user_id=user_id, session_key=session_key)
        left = "the password alone logs in" if is_last else "its passkeys remain"
        tell_factors_changed(user, f"Its authenticator app was removed: {left}. {OTHERS_ENDED}")
        return is_last


def check_removable(user: User, factor: Factor) -> None:
    """Raises FactorNeeded when this user must keep `factor`, or a last second factor (requirement A3)."""
    left = factors_of(user_id=user.pk) - {factor}
    if user.is_staff and settings.STAFF_NEED_PASSKEY and factor is Factor.PASSKEY:
        raise FactorNeeded("Staff must have a passkey. Add another one before you remove this.")
    if left:
        return
    if user.is_staff:
        raise FactorNeeded("Staff must have a second factor. Replace it instead.")
    needing = Q(can_trade=True) | Q(can_withdraw=True)
    keys = ApiKey.objects.filter(in_use(), needing, account__owner=user.pk).count()
    if keys:
        raise FactorNeeded(
            f"{keys} of your API keys can trade or withdraw, which needs a second factor. Revoke them first, or set up "
            "another factor before you remove this one."
        )


def waiting_totp(*, user_id: int) -> TotpFactor | None:
    """The app that waits for its first code, unless it has waited for too long."""
    since = timezone.now() - timedelta(seconds=TOTP_SETUP_S)
    return TotpFactor.objects.filter(user=user_id, confirmed_at=None, created_at__gt=since).first()


def lock_user(user_id: int) -> User:
    """One change of a user's factors at a time. The row comes before the factor's, as in codes.use_code."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)
