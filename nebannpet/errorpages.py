"""The page of a failed request (T16): 503 where the database is away or too many log in, 429 where one user does too
much at once, 500 for a fault of ours.

Below the platform API's prefix it is a problem document.
"""

import sys
from typing import Final

from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.log import log_response
from django.views.defaults import bad_request as refused_by_django
from django.views.defaults import server_error as fault_of_ours

from apps.accounts.errors import TooBusy
from apps.web.api.codes import kind_of
from apps.web.api.policy import PREFIX
from apps.web.errors import TooManyAtOnce

RETRY_AFTER_S: Final = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while it handles the exception, wherever it was raised: a view, a middleware, a template."""
    error = sys.exception()
    of_api = request.path.startswith(PREFIX)
    match error:
        case TooBusy() | TooManyAtOnce():
            code, detail, level, retry_after_s = error.code, error.message, "warning", error.retry_after_s
        case OperationalError() | InterfaceError():
            code, level, retry_after_s = "UNAVAILABLE", "error", RETRY_AFTER_S
            detail = "The exchange cannot answer right now. Try again."
        case _:
            return _problem("FAULT", "A fault of ours, which we hear of.") if of_api else fault_of_ours(request)
    status = kind_of(code).status
    # Without a request: its context processors would ask the database who is logged in.
    answer = _problem(code, detail) if of_api else render(None, f"{status}.html", {"code": code}, status=status)
    answer["Retry-After"] = str(retry_after_s)
    answer["Cache-Control"] = "no-store"
    # No fault of the code; said here, in one line, Django does not log it again as one, with a traceback.
    log_response("%s: %s", error, request.path, response=answer, request=request, level=level)
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself refuses, before a view or after it."""
    if not request.path.startswith(PREFIX):
        return refused_by_django(request, exception)
    if isinstance(exception, SessionInterrupted):
        return _problem("SESSION_ENDED", "You were logged out meanwhile, and nothing was changed. Log in again.")
    return _problem("INVALID_REQUEST", "The request is not one that this site takes.")


def _problem(code: str, detail: str) -> HttpResponse:
    # Only a request to the API needs what this imports.
    from apps.web.api.problems import problem

    return problem(code, detail)
