"""How often a network may ask for the public addresses of the log (threat-T20, docs/audit.md)."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.web.api.buckets import address_wait_s
from apps.web.visitor import client_address


def limited(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answers 429 before anything is looked up; the address is the one that the gateway told (threat-T19)."""

    @wraps(view)
    def asked(request: HttpRequest) -> HttpResponse:
        wait_s = address_wait_s(client_address(request))
        if wait_s:
            error = {"code": "audit_too_many_requests", "message": f"Too many requests. Try again in {wait_s} s."}
            return JsonResponse({"error": error}, status=429, headers={"Retry-After": str(wait_s)})
        return view(request)

    return asked
