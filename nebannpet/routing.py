"""The site's ASGI application: Django's pages, and the socket of a page."""

from typing import Any, Final

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

LIVE: Final = "/live/"


def site_application() -> Any:
    pages = get_asgi_application()
    # They need Django's apps, which the line above loads.
    from apps.accounts.sockets import VisitorMiddleware
    from apps.notifications.consumers import LiveConsumer

    return ProtocolTypeRouter({"http": pages, "websocket": VisitorMiddleware(LiveConsumer.as_asgi(), path=LIVE)})
