"""Ends site sessions that are idle or too old (threat-T5).

Must stand after SessionMiddleware and AuthenticationMiddleware.
"""

import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.accounts.policy import SESSION_ABSOLUTE_S, SESSION_IDLE_S, SESSION_TOUCH_S
from apps.accounts.services.sessions import close_session

_OPENED_AT: Final = "opened_at_s"
_SEEN_AT: Final = "seen_at_s"


class SessionLifetimeMiddleware:
    """Logs out a session after an hour without a request and after twelve hours in any case.

    The times stand in the session as whole epoch seconds; `seen` is written at most once a minute, so that most
    pages write nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without the cookie there is no session, and asking for the user would cost nothing but habit.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            self._check(request, now_s=int(time.time()))
        return self.get_response(request)

    def _check(self, request: HttpRequest, *, now_s: int) -> None:
        opened_at = request.session.get(_OPENED_AT)
        seen_at = request.session.get(_SEEN_AT)
        if opened_at is None or seen_at is None:
            # First request after log-in, whichever page made the log-in.
            request.session[_OPENED_AT] = now_s
            request.session[_SEEN_AT] = now_s
        elif now_s - opened_at > SESSION_ABSOLUTE_S or now_s - seen_at > SESSION_IDLE_S:
            close_session(request=request)
        elif now_s - seen_at > SESSION_TOUCH_S:
            request.session[_SEEN_AT] = now_s
