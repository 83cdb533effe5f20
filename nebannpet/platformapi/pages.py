"""The pages about the platform API. They need none of its views, and so not what these import."""

from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from apps.gateway.markdown import to_html
from nebannpet.platformapi.codes import PROBLEMS

DOCUMENT: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "platform-api.md"
# The address that the document's examples have; the page shows the exchange's own in its place.
EXAMPLE_ORIGIN: Final = "http://localhost:8000"


@require_GET
def about(request: HttpRequest) -> HttpResponse:
    """docs/platform-api.md, and behind it the table of errors."""
    problems = [(code, kind.status, kind.title) for code, kind in PROBLEMS.items()]
    context = {"document": _document(settings.PUBLIC_ORIGIN), "problems": problems}
    return render(request, "platformapi/about.html", context)


@require_GET
@ensure_csrf_cookie
def reference(request: HttpRequest) -> HttpResponse:
    """Every address, to read and to try; requests from the page are those of the session and carry its CSRF token."""
    return render(request, "platformapi/reference.html", {"csrf_cookie": settings.CSRF_COOKIE_NAME})


@cache
def _document(origin: str) -> SafeString:
    """Every text in it is escaped by `to_html`."""
    html = to_html(DOCUMENT.read_text().replace(EXAMPLE_ORIGIN, origin))
    return mark_safe(html)  # noqa: S308  # nosec B308 B703 # made of our own text
