"""Setting up, replacing and removing a user's authenticator app (requirement A2)."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import FactorMissing, FactorNeeded, WrongCode
from apps.accounts.models import ApiKey, RecoveryCode, TotpFactor, User
from apps.accounts.policy import TOTP_SETUP_S
from apps.accounts.secrets import open_totp, seal_totp
from apps.accounts.services.announcements import tell_factors_changed
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.recoverycodes import issue_codes
from apps.accounts.totp import is_code, matching_step, new_secret
from apps.audit.actors import acting
from apps.audit.services import record


def begin_totp(*, user_id: int) -> None:
    """A new secret that waits for its first code, in place of an earlier one that waits. What is in use stays."""
    with transaction.atomic():
        _lock(user_id)
        TotpFactor.objects.filter(user=user_id, confirmed_at=None).delete()
        TotpFactor.objects.create(user_id=user_id, secret_box=seal_totp(user_id, new_secret()))


def confirm_totp(*, user_id: int, code: str) -> Sequence[str]:
    """The app that waits is in use from now on, in place of the old one; its first code is used up.

    Answers the recovery codes of a first factor, in the clear for the only time; nothing where the user has some.
    The owner is told; a replacement holds withdrawals (A4). Raises WrongCode, and FactorMissing when nothing waits, or
    has waited for too long.
    """
    with transaction.atomic():
        user = _lock(user_id)
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
        tell_factors_changed(user, "It has another authenticator app." if replaced else "It has an authenticator app.")
        return codes


def remove_totp(*, user_id: int) -> None:
    """The password alone logs in from now on, the recovery codes go, withdrawals are held (A4). The owner is told.

    Raises FactorMissing, and FactorNeeded while staff rights or a key that trades need a second factor.
    """
    with transaction.atomic():
        user = _lock(user_id)
        check_removable(user)
        removed, _ = TotpFactor.objects.filter(user=user_id, confirmed_at__isnull=False).delete()
        if not removed:
            raise FactorMissing("Your account has no authenticator app.")
        RecoveryCode.objects.filter(user=user_id).delete()
        record(
            actor=acting(),
            action="user.factor-removed",
            object=f"user:{user_id}",
            after={"factor": "authenticator app"},
        )
        hold_withdrawals(user=user, reason=HoldReason.FACTOR_REMOVED)
        tell_factors_changed(user, "Its authenticator app was removed: the password alone logs in.")


def check_removable(user: User) -> None:
    """Raises FactorNeeded when this user must have a second factor (requirement A3)."""
    if user.is_staff:
        raise FactorNeeded("Staff must have a second factor. Replace it instead.")
    keys = ApiKey.objects.filter(account__owner=user.pk, can_trade=True, revoked_at=None).count()
    if keys:
        raise FactorNeeded(
            f"{keys} of your API keys can trade, which needs a second factor. Revoke them first, or replace the "
            "authenticator app instead of removing it."
        )


def waiting_totp(*, user_id: int) -> TotpFactor | None:
    """The app that waits for its first code, unless it has waited for too long."""
    since = timezone.now() - timedelta(seconds=TOTP_SETUP_S)
    return TotpFactor.objects.filter(user=user_id, confirmed_at=None, created_at__gt=since).first()


def _lock(user_id: int) -> User:
    """One change of a user's factors at a time. The row comes before the factor's, as in codes.use_code."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)
