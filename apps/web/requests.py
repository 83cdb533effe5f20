"""The request at work, with its id: audit entries and problem documents carry it, the answer has it as X-Request-Id."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

HEADER: Final = "X-Request-Id"


@dataclass(frozen=True, slots=True)
class Request:
    id: str
    http: HttpRequest


current_request: ContextVar[Request | None] = ContextVar("current_request", default=None)


def request_id() -> str:
    """Id of the request at work, empty outside of one."""
    request = current_request.get()
    return request.id if request is not None else ""


class RequestIdMiddleware:
    """Must stand after AuthenticationMiddleware: audit entries name the request's user."""

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
