"""Taking a code of a user's authenticator app: once, and not many guesses (requirement A2)."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import FactorMissing, TooManyAttempts, WrongCode
from apps.accounts.facts import Factor, Shown
from apps.accounts.models import TotpFactor, User
from apps.accounts.policy import CODE_FAILURES_IN_A_ROW_MAX, CODE_FAILURES_MAX, CODE_FAILURES_WINDOW_S
from apps.accounts.secrets import open_totp
from apps.accounts.services.announcements import tell_codes_guessed
from apps.accounts.totp import is_code, matching_step
from apps.audit.services import count


def use_code(*, user_id: int, code: str) -> Shown:
    """Take `code` for one thing, whatever it is; it never works again, nor does an older one. Says which app made it.

    Under the locks of the user's row and of the factor's, in this order, so parallel uses of one code have one success,
    and no more than CODE_FAILURES_MAX wrong codes are looked at within CODE_FAILURES_WINDOW_S; the owner is told when
    it comes to that. After CODE_FAILURES_IN_A_ROW_MAX without a right one none is looked at before there is another
    password (forget_failures). A text that is no code is refused unseen. Not inside a transaction that its refusal
    would roll back: the count of failures would go with it. Raises WrongCode, TooManyAttempts and FactorMissing.
    """
    if not is_code(code):
        raise WrongCode("A code has six digits, and nothing else.")
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        factor = TotpFactor.objects.select_for_update().filter(user=user_id, confirmed_at__isnull=False).first()
        if factor is None:
            raise FactorMissing("Your account has no authenticator app.")
        if accepted := _take(factor, code):
            factor.save(update_fields=("last_step", "failures", "failures_since", "failures_in_a_row"))
        else:
            factor.save(update_fields=("failures", "failures_since", "failures_in_a_row"))
            if factor.failures == CODE_FAILURES_MAX:
                tell_codes_guessed(user)
    if not accepted:
        count(action="user.log-in-failures", object="second factor")
        raise WrongCode("This code is not right, or was used already. Take the next one that your app shows.")
    return Shown(Factor.AUTHENTICATOR, factor.pk)


def forget_failures(user_id: int) -> None:
    """Whoever guessed knew the old password. In the caller's transaction, with the user's row locked."""
    TotpFactor.objects.filter(user=user_id).update(failures=0, failures_since=None, failures_in_a_row=0)


def _take(factor: TotpFactor, code: str) -> bool:
    """Whether it is right; the row, which is locked, is changed and not saved. Raises TooManyAttempts unseen."""
    if factor.failures_in_a_row >= CODE_FAILURES_IN_A_ROW_MAX:
        raise TooManyAttempts(
            "Too many wrong codes for your account: somebody else may know your password. Set a new one by e-mail "
            "(Forgot your password?); until then the right code is refused, too.",
            retry_after_s=None,
        )
    now = timezone.now()
    since = factor.failures_since
    if since is None or now - since > timedelta(seconds=CODE_FAILURES_WINDOW_S):
        factor.failures, factor.failures_since = 0, now
    if factor.failures >= CODE_FAILURES_MAX:
        raise TooManyAttempts(
            f"Too many wrong codes. Wait {CODE_FAILURES_WINDOW_S // 60} minutes and try again; "
            "until then the right code is refused, too.",
            retry_after_s=CODE_FAILURES_WINDOW_S,
        )
    secret = open_totp(factor.user_id, factor.secret_box)
    step = matching_step(secret, code, now_s=now.timestamp(), after=factor.last_step)
    if step is None:
        factor.failures += 1
        factor.failures_in_a_row += 1
        return False
    factor.last_step, factor.failures, factor.failures_in_a_row = step, 0, 0
    return True
