"""Who sent a request, as far as a request tells."""

from django.http import HttpRequest

from apps.accounts.browsers import browser_name


def client_address(request: HttpRequest) -> str:
    """The gateway told the site, by its own rule about trusted proxies; no header of the client's changes it."""
    return str(request.META.get("REMOTE_ADDR", ""))


def client_browser(request: HttpRequest) -> str:
    return browser_name(request.headers.get("user-agent", ""))
