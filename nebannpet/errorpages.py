"""The page of a failed request: 503 where the database is away or too many log in, 500 for a fault of ours (T16)."""

import sys
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.log import log_response
from django.views.defaults import server_error as fault_of_ours

from apps.accounts.errors import TooBusy

RETRY_AFTER_S: Final = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while it handles the exception, wherever it was raised: a view, a middleware, a template."""
    error = sys.exception()
    if not isinstance(error, OperationalError | InterfaceError | TooBusy):
        return fault_of_ours(request)
    busy = isinstance(error, TooBusy)
    # Without a request: its context processors would ask the database who is logged in.
    answer = render(None, "503.html", {"busy": busy}, status=503)
    answer["Retry-After"] = str(RETRY_AFTER_S)
    answer["Cache-Control"] = "no-store"
    if busy:
        # A full queue is no fault; said here, Django does not log it again as one, with a traceback.
        log_response("%s: %s", error, request.path, response=answer, request=request, level="warning")
    return answer
