"""Pages for developers: how to use this exchange with an existing bot."""

from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET

from apps.gateway.markdown import to_html

BOTS: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "bots.md"
# The address that the document's examples have; the page shows the exchange's own in its place.
EXAMPLE_ORIGIN: Final = "http://localhost:8000"


@require_GET
def bots(request: HttpRequest) -> HttpResponse:
    return render(request, "gateway/bots.html", {"document": _document(settings.PUBLIC_ORIGIN)})


@cache
def _document(origin: str) -> SafeString:
    """docs/bots.md as HTML; every text in it is escaped by `to_html`."""
    html = to_html(BOTS.read_text().replace(EXAMPLE_ORIGIN, origin))
    return mark_safe(html)  # noqa: S308  # nosec B308 B703 # made of our own text
