"""Who sent a request, as far as the gateway tells."""

from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The gateway told the site, by its own rule about trusted proxies; no header of the client's changes it."""
    return str(request.META.get("REMOTE_ADDR", ""))
