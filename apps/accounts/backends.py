"""Checking a log-in: Django's way, behind the throttle. Every log-in passes here, the staff admin's too."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest

from apps.accounts.errors import TooBusy, TooManyAttempts
from apps.accounts.models import User
from apps.accounts.services.devices import known_device_id
from apps.accounts.services.history import note_attempt
from apps.accounts.services.throttle import begin_attempt, with_device
from apps.accounts.visitor import client_browser
from apps.audit.services import count
from apps.web.visitor import client_address

_REFUSAL = "accounts.refusal"


class ThrottledBackend(ModelBackend):
    """Constant work for unknown addresses is ModelBackend's; a throttled attempt does no hashing for anyone."""

    def user_can_authenticate(self, user: Any) -> bool:
        """Nobody gets in, or stays in, without a proved address (requirement A1), nor once its owner locked it (A7)."""
        return super().user_can_authenticate(user) and user.email_verified_at is not None and user.locked_at is None

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        subject = username if username is not None else kwargs.get(User.USERNAME_FIELD)
        if subject is None or password is None:
            return None
        address = "" if request is None else client_address(request)
        browser = "" if request is None else client_browser(request)
        device_id = None if request is None else known_device_id(request=request, email=subject)
        try:
            with transaction.atomic():
                attempt = begin_attempt(subject=subject, address=address, origin=with_device(device_id))
                noted = note_attempt(email=subject, browser=browser, address=address)
        except TooManyAttempts as refusal:
            count(action="user.log-in-failures", object="log-in")
            if request is not None:
                request.META[_REFUSAL] = refusal
            raise PermissionDenied(refusal.message) from refusal
        try:
            user = super().authenticate(request, username=subject, password=password)
        except TooBusy:
            noted.take_back()
            raise
        if user is None:
            count(action="user.log-in-failures", object="log-in")
            return None
        attempt.succeeded()
        noted.password_was_right()
        assert isinstance(user, User)
        return user


def throttle_refusal(request: HttpRequest | None) -> TooManyAttempts | None:
    """Why the log-in attempt of this request was refused without looking at the password, if it was."""
    return None if request is None else request.META.get(_REFUSAL)
