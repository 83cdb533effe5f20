"""Refusals of a request, whatever it asks. Each says what to do; nothing has changed when one is raised."""

from apps.common.errors import DomainError


class SessionEnded(DomainError):
    """The session that asked is gone: logged out in another tab, expired or revoked."""

    code = "SESSION_ENDED"


class TooManyAtOnce(DomainError):
    """The user's earlier requests are not done yet (apps/web/turns.py)."""

    code = "TOO_MANY_AT_ONCE"
    retry_after_s = 5
