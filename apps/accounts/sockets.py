"""Who opens a socket of the site: whoever a page would be served to with the same cookies (threat-T5, T15).

Only pages of our own origin open one: a browser sends its cookies from everywhere, and a socket has no token.
"""

import time
from typing import Any, cast

import structlog
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import timezone

from apps.accounts.sessiontimes import times_of
from apps.accounts.tokens import hash_token
from apps.common.networks import network_of
from apps.notifications.live.visitors import Visitor, refuse
from apps.notifications.policy import LIVE_HANDSHAKES_MAX

log = structlog.get_logger(__name__)


class VisitorMiddleware:
    """Adds `visitor` to the scope of a socket at `path`; refuses other paths, other origins, while PostgreSQL is away
    whoever shows a session, and whoever comes while too many are looked up.
    """

    def __init__(self, app: ASGI3Application, *, path: str) -> None:
        self.app = app
        self.path = path
        self._looked_up = 0

    async def __call__(self, scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["path"] != self.path:
            await refuse(receive, send)
            return
        headers = dict(scope["headers"])
        if headers.get(b"origin", b"").decode("latin-1") != settings.PUBLIC_ORIGIN:
            await refuse(receive, send)
            return
        client = scope.get("client")
        network = network_of(client[0] if client else "")
        if self._looked_up >= LIVE_HANDSHAKES_MAX:
            await refuse(receive, send)
            return
        self._looked_up += 1
        try:
            visitor = await _visitor(_session_key(headers.get(b"cookie", b"")), network)
        except (OperationalError, InterfaceError) as error:
            log.warning("a page waits for its socket", error=str(error).strip())
            await refuse(receive, send)
            return
        finally:
            self._looked_up -= 1
        await self.app(cast(WebSocketScope, {**scope, "visitor": visitor}), receive, send)


def _session_key(header: bytes) -> str:
    """Empty for what cannot be one."""
    key = parse_cookie(header.decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")
    return key if key.isascii() and key.isalnum() else ""


async def _visitor(session_key: str, network: str) -> Visitor:
    if not session_key:
        return Visitor(network)
    found: Visitor = await database_sync_to_async(visitor_of)(session_key, network)
    return found


def visitor_of(session_key: str, network: str) -> Visitor:
    """As SessionLifetimeMiddleware and Django have it; but a socket is no use of a session, which ends as it would."""
    began_at_s = time.monotonic()
    request: Any = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    times = times_of(request.session)
    now_s = int(timezone.now().timestamp())
    if not user.is_authenticated or times is None or now_s > times.ends_at_s:
        return Visitor(network)
    return Visitor(network, user.pk, hash_token(session_key).hex(), times.ends_at_s, began_at_s)
