"""Recovery codes: made, shown once, used once (requirement A2)."""

import base64
import hashlib
import secrets
from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Now

from apps.accounts.errors import FactorMissing, LinkDead, WrongCode
from apps.accounts.models import RecoveryCode, User
from apps.accounts.policy import RECOVERY_CODE_BYTES, RECOVERY_CODES
from apps.accounts.selectors import has_second_factor
from apps.accounts.services.announcements import tell_factors_changed, tell_recovered
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import Purpose, find_link, issue_link, use_up
from apps.accounts.services.throttle import WITH_LINK, begin_attempt
from apps.audit.actors import acting, of_user
from apps.audit.services import count, record
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def issue_codes(user: User) -> Sequence[str]:
    """New codes in place of all old ones, in the clear for the only time. In the caller's transaction."""
    RecoveryCode.objects.filter(user=user).delete()
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, code_hash=_hash(user.pk, code)) for code in codes)
    return codes


def reissue_codes(*, user_id: int) -> Sequence[str]:
    """New codes because the user asked; the owner is told. Raises FactorMissing: without a factor there is no need."""
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        if not has_second_factor(user_id=user_id):
            raise FactorMissing("Recovery codes stand in for a second factor, and your account has none yet.")
        codes = issue_codes(user)
        record(actor=acting(), action="user.recovery-codes", object=f"user:{user_id}")
        tell_factors_changed(user, "It has new recovery codes, and the old ones do not work any more.")
        return codes


def request_recovery(*, user: User, client: str) -> None:
    """Mail a link that, with the password and a recovery code, logs in without the factor. Raises TooManyAttempts."""
    with transaction.atomic():
        link = issue_link(purpose=Purpose.RECOVER, address=user.email, user_id=user.pk, client=client)
        if link is not None:
            send_email(
                to=user.email,
                template="recover",
                context={"link": link, "phrase": user.mail_phrase},
                topic=Topic.SECURITY,
                user_id=user.pk,
            )


def recover(*, user: User, token: str, code: str, client: str) -> None:
    """Use up the link and one recovery code of `user`, who has proved the password; the owner is told.

    Withdrawals are held (A4): whoever is in can make another factor the account's, of any kind.
    Raises LinkDead, WrongCode, and TooManyAttempts as for passwords.
    """
    find_link(purpose=Purpose.RECOVER, token=token, user_id=user.pk)
    attempt = begin_attempt(subject=f"recovery code of user {user.pk}", address=client, origin=WITH_LINK)
    with transaction.atomic():
        link = find_link(purpose=Purpose.RECOVER, token=token, user_id=user.pk, lock=True)
        if link.address != user.email:
            raise LinkDead("This link does not work any more. Ask for a new one.")
        unused = RecoveryCode.objects.filter(user=user, code_hash=_hash(user.pk, code), used_at=None)
        used = unused.update(used_at=Now())
        if used:
            use_up(link)
            left = RecoveryCode.objects.filter(user=user, used_at=None).count()
            record(actor=of_user(user), action="user.recovery", object=f"user:{user.pk}", after={"left": left})
            hold_withdrawals(user=user, reason=HoldReason.RECOVERED)
            tell_recovered(user, left)
    if not used:
        count(action="user.log-in-failures", object="recovery code")
        raise WrongCode("This is none of your recovery codes, or it was used already.")
    attempt.succeeded()


def _new_code() -> str:
    """Letters and digits in fours; base32 has no 0, 1, 8 and 9 that look like letters."""
    text = base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode("ascii")
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _hash(user_id: int, code: str) -> bytes:
    """Of any spelling of the code. It has 120 random bits, so a plain hash cannot be searched."""
    plain = "".join(code.split()).replace("-", "").upper()
    return hashlib.sha256(f"{user_id}:{plain}".encode("utf-8", "surrogatepass")).digest()
