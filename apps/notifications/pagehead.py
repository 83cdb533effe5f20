"""What the head of each page shows of this app. Functions, which cost something only where a template asks."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from apps.notifications import shownbanners
from apps.notifications.selectors import count_unread
from apps.notifications.shownbanners import Banners, banners_for
from apps.web.origins import page_elsewhere


def unread_notices(request: HttpRequest) -> dict[str, Any]:
    """One query, for those who are logged in."""

    def count() -> int:
        user_id = _user_id(request)
        return 0 if user_id is None else count_unread(user_id=user_id)

    return {"unread_notices": count}


def banners(request: HttpRequest) -> dict[str, Any]:
    """No query, where the process follows them. Those that were closed in this browser are left out."""

    def shown() -> Banners:
        closed = shownbanners.dismissed(request.COOKIES)
        found = banners_for(user_id=_user_id(request), now=timezone.now())
        return tuple(each for each in found if not (each.is_dismissible and each.id in closed))

    return {"banners": shown}


def live(request: HttpRequest) -> dict[str, Any]:
    """Where a page opens its socket, empty in a process that has none; and this page at the only origin that sockets
    are taken from, the trading ones too, where it is shown at another.
    """
    return {
        "live_path": settings.LIVE_PATH,
        "sockets_elsewhere": lambda: page_elsewhere(request, settings.PUBLIC_ORIGIN),
    }


def _user_id(request: HttpRequest) -> int | None:
    """None also for what was refused before anybody looked who asks."""
    user = getattr(request, "user", None)
    return None if user is None else user.pk
