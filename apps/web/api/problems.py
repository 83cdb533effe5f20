"""Every error of the platform API as a problem document (RFC 9457): status and title of each code, from one table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from rest_framework import exceptions

from apps.common.errors import DomainError
from apps.web.api.codes import kind_of
from apps.web.requests import request_id
from apps.web.waiting import tell_wait

DOCS: Final = "/docs/platform-api"
# After a fault of ours, or of something that we need.
RETRY_AFTER_S: Final = 5


class FieldError(NamedTuple):
    """`field` is a name of the body or of the query, with dots and numbers within lists; empty for the whole."""

    field: str
    message: str


class Refused(exceptions.APIException):
    """A refusal of the API itself, with a code of the table. What apps refuse are their own DomainErrors."""

    def __init__(
        self, code: str, detail: str, *, errors: Sequence[FieldError] = (), retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.text = detail
        self.errors = errors
        self.retry_after_s = retry_after_s
        self.status_code = kind_of(code).status


def invalid(field: str, message: str) -> Refused:
    """One thing is wrong with the request."""
    return Refused("INVALID_REQUEST", message, errors=[FieldError(field, message)])


def answer_to(error: Exception, context: Mapping[str, Any] | None = None) -> HttpResponse | None:
    """The problem document of an exception; None for a fault of ours, which Django logs and errorpages.py answers."""
    match error:
        case Refused():
            return problem(error.code, error.text, errors=error.errors, retry_after_s=error.retry_after_s)
        case DomainError():
            return problem(error.code, error.message, error.retry_after_s)
        case exceptions.ValidationError():
            errors = list(_flat(error.detail))
            return problem("INVALID_REQUEST", _summary(errors), errors=errors)
        case exceptions.MethodNotAllowed():
            answer = problem("METHOD_NOT_ALLOWED", "This address does not take this method.")
            view = (context or {}).get("view")
            answer["Allow"] = ", ".join(getattr(view, "allowed_methods", ()))
            return answer
        case exceptions.UnsupportedMediaType():
            return problem("NOT_JSON", "Send the body as application/json.")
        case exceptions.ParseError():
            return problem("MALFORMED_JSON", str(error.detail))
        case exceptions.NotFound() | Http404():
            return problem("NOT_FOUND", "There is nothing at this address.")
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return problem("LOG_IN_NEEDED", "Log in, or sign the request with an API key.")
        case exceptions.PermissionDenied() | PermissionDenied():
            return problem("ACCESS_DENIED", "You may not do this.")
        case OperationalError() | InterfaceError():
            return problem("UNAVAILABLE", "The exchange cannot answer right now. Try again.", RETRY_AFTER_S)
    return None


def problem(
    code: str, detail: str, retry_after_s: int | None = None, *, errors: Sequence[FieldError] = ()
) -> HttpResponse:
    status, title = kind_of(code)
    body: dict[str, Any] = {
        "type": f"{DOCS}#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    # What Django refuses before a request has its id has none.
    if known := request_id():
        body["request_id"] = known
    if errors:
        body["errors"] = [{"field": each.field, "message": each.message} for each in errors]
    answer = HttpResponse(
        json.dumps(body, ensure_ascii=False), status=status, content_type="application/problem+json"
    )  # fmt: skip
    answer["Cache-Control"] = "no-store"
    if status == 401:
        answer["WWW-Authenticate"] = 'X-API-Key realm="platform"'
    tell_wait(answer, retry_after_s)
    return answer


def _flat(detail: Any, path: str = "") -> Iterator[FieldError]:
    """What serializers say, which is nested as the body is."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            whole = name == "non_field_errors"
            yield from _flat(inner, path if whole else f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flat(inner, path)
    else:
        yield FieldError(path, str(detail))


def _summary(errors: Sequence[FieldError]) -> str:
    first = errors[0]
    text = f"{first.field}: {first.message}" if first.field else first.message
    return text if len(errors) == 1 else f"{text} And {len(errors) - 1} more."
