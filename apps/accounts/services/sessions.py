"""Ending site sessions, and with them the trading sockets that they opened (threat-T5)."""

from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.services.tickets import revoke_session_tickets


def close_session(*, request: HttpRequest) -> None:
    """Log out: revoke the session's tickets and delete the session, in one transaction.

    The row lock is what issue_ticket waits for, so no ticket slips in between.
    """
    session_key = request.session.session_key
    with transaction.atomic():
        if session_key is not None:
            list(Session.objects.select_for_update().filter(session_key=session_key))
            revoke_session_tickets(session_key=session_key)
        logout(request)


def change_password(*, request: HttpRequest, user: User, new_password: str) -> None:
    """Set a new password, keep this session under a new key, end all others and every trading socket of the user.

    Other sessions end because their stored hash of the password no longer fits; the sockets, this page's too, by the
    trigger accounts_user_changed (the page asks for a new ticket). Raises Django's ValidationError.
    """
    validate_password(new_password, user)
    with transaction.atomic():
        user.set_password(new_password)
        user.save(update_fields=("password",))
        update_session_auth_hash(request, user)
