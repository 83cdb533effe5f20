"""Opening and ending site sessions, and with them the trading sockets that they opened (threat-T5)."""

from typing import Final

from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.services.announcements import tell_password_changed
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import use_up_all_of

# What a user who only has a password proves to log in.
BY_PASSWORD: Final = frozenset({"password"})
# Where the session keeps what was proved: a sorted list.
FACTORS: Final = "factors"


def open_session(*, request: HttpRequest, user: User, factors: frozenset[str]) -> None:
    """The one place where a log-in completes, after every step that the user has to take.

    `factors` are what was proved just now. The session gets a new key, so that nobody who knew the old one is logged
    in, too; the audit log has an entry by the signal (audited.py).
    """
    with transaction.atomic():
        login(request, user)
        request.session[FACTORS] = sorted(factors)


def close_session(*, request: HttpRequest) -> None:
    """Log out: the session's row goes, and with it, by the trigger accounts_session_ended, its trading tickets.

    One transaction, so that no other process sees one without the other.
    """
    with transaction.atomic():
        logout(request)


def change_password(*, request: HttpRequest, user: User, new_password: str) -> None:
    """Set a new password, keep this session under a new key, end all others and every trading socket of the user.

    Other sessions end because their stored hash of the password no longer fits; the sockets, this page's too, by the
    trigger accounts_user_changed (the page asks for a new ticket). Mailed links of the user end, withdrawals are held
    for a day, and the owner is told.
    Raises Django's ValidationError and TooBusy.
    """
    validate_password(new_password, user)
    with transaction.atomic():
        # Links before the user's row, as where a link is followed: so the two never wait for each other.
        use_up_all_of(user.pk)
        user.set_password(new_password)
        user.save(update_fields=("password",))
        hold_withdrawals(user=user, reason=HoldReason.PASSWORD_CHANGED)
        update_session_auth_hash(request, user)
        tell_password_changed(user)
