"""Gives each request an id, which audit entries carry and the answer shows as X-Request-Id.

Must stand after AuthenticationMiddleware: entries name the request's user.
"""

from collections.abc import Callable
from typing import Final
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from apps.audit.actors import Request, current_request

HEADER: Final = "X-Request-Id"


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The id is ours: one that a client sends could be any other request's."""
        made = Request(id=uuid4().hex, http=request)
        token = current_request.set(made)
        try:
            response = self.get_response(request)
        finally:
            current_request.reset(token)
        response[HEADER] = made.id
        return response
