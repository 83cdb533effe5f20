"""What the head of each page shows of this app."""

from typing import Any

from django.http import HttpRequest

from apps.notifications.selectors import count_unread


def unread_notices(request: HttpRequest) -> dict[str, Any]:
    """A function, which costs its query only where a template asks: pages of nobody do not."""

    def count() -> int:
        return 0 if request.user.pk is None else count_unread(user_id=request.user.pk)

    return {"unread_notices": count}
