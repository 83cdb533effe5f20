"""The cookie by which a browser shows that its user logged in there before (requirement A7).

It has one random token for each of the last few users of the browser, with dots between them, so that nobody can tell
from the database that two accounts share a browser. A token opens nothing: it spares its owner, with the password, a
link by e-mail while strangers guess (services/throttle.py), and the mail about a new device.
"""

import re
import secrets
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.accounts.policy import DEVICE_KEPT_S, DEVICE_TOKENS_PER_BROWSER_MAX
from apps.accounts.tokens import hash_token

_TOKEN: Final = re.compile(r"[\w-]{43}", re.ASCII)
_TO_SET: Final = "accounts.device_tokens"


def token_hashes(request: HttpRequest) -> list[bytes]:
    """Hashes of the tokens that the browser sent; what has not the form of one is passed over."""
    return [hash_token(token) for token in _tokens(request)]


def give_new_token(request: HttpRequest) -> str:
    """A token that the answer to `request` will set, before those that the browser has; the oldest go."""
    token = secrets.token_urlsafe(32)
    request.META[_TO_SET] = [token, *_tokens(request)][:DEVICE_TOKENS_PER_BROWSER_MAX]
    return token


def keep_tokens(request: HttpRequest) -> None:
    """The answer sets the same cookie again: it lasts a year from now on."""
    request.META.setdefault(_TO_SET, _tokens(request))


def _tokens(request: HttpRequest) -> list[str]:
    sent = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "").split(".", DEVICE_TOKENS_PER_BROWSER_MAX)
    return [token for token in sent[:DEVICE_TOKENS_PER_BROWSER_MAX] if _TOKEN.fullmatch(token)]


class DeviceCookieMiddleware:
    """Sets the cookie where a log-in or a mailed link gave a token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if _TO_SET in request.META:
            response.set_cookie(
                settings.DEVICE_COOKIE_NAME,
                ".".join(request.META[_TO_SET]),
                max_age=DEVICE_KEPT_S,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Strict",
            )
        return response
