"""What stays of a user whose account is closed: the record, and nothing that lets anybody in (requirement A8)."""

from typing import Final

from django.contrib.auth.hashers import make_password
from django.db.models.functions import Now
from django_otp_webauthn.models import WebAuthnUserHandle

from apps.accounts.models import (
    ApiKey,
    Device,
    LockLink,
    LogIn,
    OpenSession,
    PasskeyChallenge,
    RecoveryCode,
    TotpFactor,
    TradingAccount,
    TradingTicket,
    User,
)
from apps.accounts.selectors import passkeys_of
from apps.accounts.services.announcements import tell_closed
from apps.accounts.services.api_keys import revoke_keys
from apps.accounts.services.ending import check_still_in, end_sessions
from apps.accounts.services.links import use_up_all_of
from apps.audit.actors import acting
from apps.audit.services import record
from apps.notifications.models import Notice, NoticePreference

# RFC 2606: nobody ever has an address there.
_NOBODY: Final = "closed-{}@closed.invalid"
_OWN: Final = (Device, LogIn, RecoveryCode, TotpFactor, LockLink, PasskeyChallenge, WebAuthnUserHandle, Notice,
               NoticePreference)  # fmt: skip


def lock_to_close(*, user: User, session_key: str | None) -> None:
    """All that a closing changes, in the order of all who lock several of these (services/locking.py).

    From here to the end of the transaction no transfer, key, sub-account, log-in or freeze of the user comes between.
    Raises SessionEnded.
    """
    use_up_all_of(user.pk)
    check_still_in(user_id=user.pk, password_hash=user.password, session_key=session_key)
    list(TradingAccount.objects.select_for_update().filter(owner=user).order_by("-is_main", "pk"))


def end_account(*, user: User) -> None:
    """Close it, in the transaction of lock_to_close; whoever calls this has seen that nothing is left in it.

    The accounts are frozen, so that nothing leaves or enters an order book whoever asks. Orders, trades, ledger and
    audit log stay: they are part of the record. What said where the user logged in from, and what let them in, goes.
    """
    tell_closed(user)
    record(actor=acting(), action="user.closed", object=f"user:{user.pk}")
    end_sessions(OpenSession.objects.filter(user=user))
    TradingTicket.objects.filter(user=user, revoked_at=None).update(revoked_at=Now())
    revoke_keys(ApiKey.objects.filter(account__owner=user))
    TradingAccount.objects.filter(owner=user, frozen_at=None).update(frozen_at=Now())
    passkeys_of(user_id=user.pk).delete()
    for model in _OWN:
        model.objects.filter(user=user.pk).delete()
    User.objects.filter(pk=user.pk).update(
        email=_NOBODY.format(user.pk), closed_email=user.email, closed_at=Now(), is_active=False,
        password=make_password(None), mail_phrase="",
    )  # fmt: skip
