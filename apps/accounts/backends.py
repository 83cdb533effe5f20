"""Checking a log-in: Django's way, behind the throttle. Every log-in passes here, the staff admin's too."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from apps.accounts.errors import TooManyAttempts
from apps.accounts.models import User
from apps.accounts.services.throttle import begin_attempt
from apps.audit.services import count

_REFUSAL = "accounts.refusal"


class ThrottledBackend(ModelBackend):
    """Constant work for unknown addresses is ModelBackend's; a throttled attempt does no hashing for anyone."""

    def user_can_authenticate(self, user: Any) -> bool:
        """Nobody gets in, or stays in, without a proved address (requirement A1)."""
        return super().user_can_authenticate(user) and user.email_verified_at is not None

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        subject = username if username is not None else kwargs.get(User.USERNAME_FIELD)
        if subject is None or password is None:
            return None
        address = "" if request is None else request.META.get("REMOTE_ADDR", "")
        try:
            attempt = begin_attempt(subject=subject, address=address)
        except TooManyAttempts as refusal:
            count(action="user.log-in-failures", object="log-in")
            if request is not None:
                request.META[_REFUSAL] = refusal
            raise PermissionDenied(refusal.message) from refusal
        user = super().authenticate(request, username=subject, password=password)
        if user is None:
            count(action="user.log-in-failures", object="log-in")
            return None
        attempt.succeeded()
        assert isinstance(user, User)
        return user


def throttle_refusal(request: HttpRequest | None) -> TooManyAttempts | None:
    """Why the log-in attempt of this request was refused without looking at the password, if it was."""
    return None if request is None else request.META.get(_REFUSAL)
