"""What every view of the platform API is."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework.exceptions import MethodNotAllowed, NotFound, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.web.api import paging
from apps.web.api.access import Access
from apps.web.api.fields import Sent
from apps.web.api.parameters import Parameter
from apps.web.api.policy import BODY_BYTES_MAX
from apps.web.api.problems import invalid
from apps.web.api.strictjson import too_large
from apps.web.api.throttling import admit_address
from apps.web.errors import SessionEnded

SAFE_METHODS = ("GET", "HEAD")


class ApiView(APIView):
    """`access` says who may use which method; without it nobody may. `parameters` are those of its GET.

    A request is looked at in this order: method, how often the address asks, size, who asks, what they may, how often
    they ask, parameters, kind of the body.
    """

    access: ClassVar[Mapping[str, Access]] = {}
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method not in self.allowed_methods:
            raise MethodNotAllowed(request.method or "")
        admit_address(request)
        _check_size(request)
        super().initial(request, *args, **kwargs)
        self.query = self._query(request)
        if request.method not in SAFE_METHODS and request.content_type and _is_no_json(request.content_type):
            raise UnsupportedMediaType(request.content_type)

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, SessionEnded):
            # As on pages (apps/accounts/middleware.py): what is left of it is not to be stored.
            http_request(self.request).session.flush()
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response["Cache-Control"] = "no-store"
        return super().finalize_response(request, response, *args, **kwargs)

    def sent(self, request: Request, kind: type[Sent]) -> dict[str, Any]:
        """The body. Raises ValidationError."""
        found = kind(data=request.data)
        found.is_valid(raise_exception=True)
        return dict(found.validated_data)

    def wanted_page(self) -> paging.Wanted:
        return paging.wanted_page(self.query)

    def _query(self, request: Request) -> dict[str, str]:
        allowed = [each.name for each in self.parameters] if request.method in SAFE_METHODS else []
        for name, values in request.query_params.lists():
            if name not in allowed:
                raise invalid(name[:60], f"There is no parameter {name[:60]!r}.")
            if len(values) > 1:
                raise invalid(name, f"The parameter '{name}' is there more than once.")
        return {name: str(value) for name, value in request.query_params.items()}


class UnknownAddress(ApiView):
    """Whatever nothing else of the API answers to."""

    access = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), Access.PUBLIC)
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        admit_address(request)
        raise NotFound


def http_request(request: Request) -> HttpRequest:
    """Django's own, with session and address, as services know it."""
    return request._request


def _check_size(request: Request) -> None:
    """And says how long a body is that came in pieces: without a length the parser would take it for none."""
    meta = request._request.META
    length = str(meta.get("CONTENT_LENGTH") or "")
    if length and (not length.isdecimal() or int(length[:20]) > BODY_BYTES_MAX):
        raise too_large()
    if not length and request.method not in SAFE_METHODS:
        body = request._request.body
        if len(body) > BODY_BYTES_MAX:
            raise too_large()
        meta["CONTENT_LENGTH"] = str(len(body))


def _is_no_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() != "application/json"
