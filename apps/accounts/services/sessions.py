"""Opening and closing site sessions, and with them the trading sockets that they opened (threat-T5)."""

import time
from typing import Final

from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.facts import Shown
from apps.accounts.models import OpenSession, User
from apps.accounts.policy import SESSIONS_PER_USER_MAX
from apps.accounts.selectors import has_second_factor, is_still_theirs
from apps.accounts.services.announcements import tell_owner, tell_password_changed
from apps.accounts.services.codes import forget_failures
from apps.accounts.services.devices import remember_device
from apps.accounts.services.ending import check_still_in, end_sessions, is_as_read, lock_sessions
from apps.accounts.services.history import note_log_in
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import use_up_all_of
from apps.accounts.sessiontimes import begin
from apps.accounts.visitor import client_browser
from apps.web.errors import SessionEnded
from apps.web.visitor import client_address

# What a user who only has a password proves to log in.
BY_PASSWORD: Final = frozenset({"password"})
# Where the session keeps what was proved: a sorted list.
FACTORS: Final = "factors"


def open_session(
    *, request: HttpRequest, user: User, proofs: frozenset[str] = frozenset(), shown: Shown | None = None
) -> None:
    """The one place where a log-in completes, after every step that the user has to take.

    `proofs` and the factor `shown` are what was proved just now. The session gets a new key, so that nobody who knew
    the old one is logged in, too. The browser is a device of the user from now on, and the owner is told of a new one
    by e-mail, except at the first log-in of all. Raises SessionEnded if the account was locked, switched off or given
    another password since `user` was read, if the password is all that was proved of a user who has a second factor,
    and if the very passkey or app that was shown is not theirs any more: its owner may just have removed what was
    stolen.
    """
    is_first = user.last_login is None
    factors = proofs if shown is None else proofs | {shown.factor.value}
    assert factors, "something was proved"
    with transaction.atomic():
        # Whoever removes or replaces a factor has the user's row locked, too.
        lock_sessions(user.pk)
        # A caller that has looked for a second factor may have looked before there was one.
        without_factor = factors == BY_PASSWORD and has_second_factor(user_id=user.pk)
        removed = shown is not None and not is_still_theirs(user_id=user.pk, shown=shown)
        if without_factor or removed or not is_as_read(user.pk, user.password):
            raise SessionEnded("Your account was changed meanwhile. Log in again.")
        device, is_new_device = remember_device(request=request, user=user, logged_in=True)
        login(request, user)
        request.session[FACTORS] = sorted(factors)
        begin(request.session, now_s=int(time.time()))
        request.session.save()
        session_key = request.session.session_key
        assert session_key is not None
        browser, address = client_browser(request), client_address(request)
        OpenSession.objects.create(session_id=session_key, user=user, device=device, browser=browser, address=address)
        too_many = OpenSession.objects.filter(user=user).order_by("-id")[SESSIONS_PER_USER_MAX:]
        end_sessions(OpenSession.objects.filter(pk__in=[each.pk for each in too_many]))
        note_log_in(user_id=user.pk, browser=browser, address=address, factors=factors, new_device=is_new_device)
        if is_new_device and not is_first:
            tell_owner(user, "new_device", browser=browser, address=address, at=timezone.now())


def close_session(*, request: HttpRequest) -> None:
    """Log out: the session's row goes, and with it, by the trigger accounts_session_ended, its trading tickets.

    One transaction, so that no other process sees one without the other.
    """
    with transaction.atomic():
        logout(request)


def change_password(*, request: HttpRequest, user: User, new_password: str) -> None:
    """Set a new password, keep this session under a new key, end all others and every trading socket of the user.

    The sockets end, this page's too, by the trigger accounts_user_changed (the page asks for a new ticket). Mailed
    links of the user end, withdrawals are held for a day, and the owner is told. Raises Django's ValidationError,
    TooBusy, and SessionEnded where the password was reset, or the account locked, while this one was hashed.
    """
    validate_password(new_password, user)
    old_hash = user.password
    user.set_password(new_password)
    with transaction.atomic():
        # Links before the user's row, as where a link is followed: so the two never wait for each other.
        use_up_all_of(user.pk)
        check_still_in(user_id=user.pk, password_hash=old_hash, session_key=request.session.session_key)
        mine = OpenSession.objects.filter(user=user, session=request.session.session_key).first()
        end_sessions(OpenSession.objects.filter(user=user).exclude(session=request.session.session_key))
        user.save(update_fields=("password",))
        forget_failures(user.pk)
        hold_withdrawals(user=user, reason=HoldReason.PASSWORD_CHANGED)
        update_session_auth_hash(request, user)
        if mine is not None:
            # The row went with the old key.
            new_key = request.session.session_key
            assert new_key is not None
            OpenSession.objects.create(
                session_id=new_key, user=user, device_id=mine.device_id, browser=mine.browser, address=mine.address
            )
        tell_password_changed(user)
