"""Whether a browser shows a page at the address that its sockets and passkeys work at: each is bound to one origin."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest


def page_elsewhere(request: HttpRequest, origin: str) -> str:
    """This page at `origin`, where the browser shows it at another one; else empty, and for a host that is not ours."""
    try:
        here = f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""
    return "" if here == origin else f"{origin}{request.get_full_path()}"
