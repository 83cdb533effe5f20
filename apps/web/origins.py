"""Whether a browser shows a page at the address that its sockets and passkeys work at: each is bound to one origin."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest


def page_elsewhere(request: HttpRequest, origin: str) -> str:
    """This page at `origin`, where the browser shows it at another one; else empty, and for a host that is not ours.

    What a form was sent to may be no page: then it is the first page there.
    """
    try:
        here = f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""
    path = request.get_full_path() if request.method == "GET" else "/"
    return "" if here == origin else f"{origin}{path}"
