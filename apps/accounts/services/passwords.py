"""Asking a logged-in user for the password again."""

from apps.accounts.models import User
from apps.accounts.services.throttle import IN_SESSION, begin_attempt
from apps.audit.services import count


def confirm_password(*, user: User, password: str, address: str) -> bool:
    """True if it is the user's password. Counts together with log-in attempts; raises TooManyAttempts."""
    attempt = begin_attempt(subject=user.email, address=address, origin=IN_SESSION)
    if not user.check_password(password):
        count(action="user.log-in-failures", object="confirmation")
        return False
    attempt.succeeded()
    return True
