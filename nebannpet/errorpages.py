"""The page of a failed request: 503 where the database is away or too many log in, 500 for a fault of ours (T16).

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
from apps.web.api.policy import PREFIX

RETRY_AFTER_S: Final = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while it handles the exception, wherever it was raised: a view, a middleware, a template."""
    error = sys.exception()
    of_api = request.path.startswith(PREFIX)
    if not isinstance(error, OperationalError | InterfaceError | TooBusy):
        return _problem("FAULT", "A fault of ours, which we hear of.") if of_api else fault_of_ours(request)
    busy = isinstance(error, TooBusy)
    # Without a request: its context processors would ask the database who is logged in.
    answer = (
        _problem("TOO_BUSY" if busy else "UNAVAILABLE", "The exchange cannot answer right now. Try again.")
        if of_api
        else render(None, "503.html", {"busy": busy}, status=503)
    )
    answer["Retry-After"] = str(RETRY_AFTER_S)
    answer["Cache-Control"] = "no-store"
    if busy:
        # A full queue is no fault; said here, Django does not log it again as one, with a traceback.
        log_response("%s: %s", error, request.path, response=answer, request=request, level="warning")
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
