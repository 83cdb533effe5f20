"""Bounds what one user does at once (threat-T20), and ends site sessions that are idle or too old (threat-T5)."""

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.accounts.models import OpenSession
from apps.accounts.policy import API_KEY_HEADER, SESSION_TOUCH_S
from apps.accounts.services.sessions import close_session
from apps.accounts.sessiontimes import begin, times_of, touch
from apps.web.api.policy import PREFIX
from apps.web.errors import SessionEnded
from apps.web.turns import SAFE_METHODS, give_back, take_turn


class TurnMiddleware:
    """What changes something waits for its user's turn (apps/web/turns.py); that of API keys, once they are known.

    Must stand before whatever reads the session, which may end while the request waits.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            if request.method not in SAFE_METHODS:
                self._wait(request)
            return self.get_response(request)
        finally:
            give_back(request)

    def _wait(self, request: HttpRequest) -> None:
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        # Of a signed request the session counts for nothing (api/authentication.py).
        if cookie is None or (request.path.startswith(PREFIX) and API_KEY_HEADER in request.headers):
            return
        opened = OpenSession.objects.filter(session=cookie).values_list("user", flat=True).first()
        if opened is not None:
            take_turn(request, opened)


class SessionLifetimeMiddleware:
    """Logs out a session after an hour without a request and after twelve hours in any case.

    Must stand after SessionMiddleware and AuthenticationMiddleware.

    That it was used is written at most once a minute, so that most pages write nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without the cookie there is no session, and asking for the user would cost nothing but habit.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            self._check(request, now_s=int(time.time()))
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What was asked in a session that ended meanwhile (services/ending.py) leads to the log-in."""
        if not isinstance(exception, SessionEnded):
            return None
        request.session.flush()
        request.user = AnonymousUser()
        messages.error(request, exception.message)
        return redirect("accounts:log-in")

    def _check(self, request: HttpRequest, *, now_s: int) -> None:
        times = times_of(request.session)
        if times is None:
            # Opened by other means than open_session.
            begin(request.session, now_s=now_s)
        elif now_s > times.ends_at_s:
            close_session(request=request)
        elif now_s - times.seen_at_s > SESSION_TOUCH_S:
            touch(request.session, now_s=now_s)
