"""The banners of a page, from memory: a page costs no query for them (requirement P4).

The site process follows them (following.py) and keeps those that run or will run; whether one has begun or ended is
looked at with every page. Any other process, a test or a command, keeps nothing and asks PostgreSQL each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from django.db import connection

from apps.notifications.models import Audience
from apps.notifications.policy import DISMISSED_MAX

CHANNEL: Final = "banners"
COOKIE: Final = "dismissed_banners"
# The most severe first, then the newest.
_RUNNING: Final = "FROM notifications_banner b WHERE withdrawn_at IS NULL AND ends_at > now()"
_SQL: Final = f"""
SELECT id, severity, text, link, link_text, audience, is_dismissible, starts_at, ends_at,
       ARRAY(SELECT user_id FROM notifications_bannerrecipient WHERE banner_id = b.id)
  {_RUNNING}
 ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity::text), id DESC
"""  # noqa: S608  # constants of ours


class Cursor(Protocol):
    """Django's or psycopg's."""

    def execute(self, query: Any, /) -> Any: ...

    def fetchall(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class ShownBanner:
    id: int
    severity: str
    text: str
    link: str
    link_text: str
    audience: str
    is_dismissible: bool
    starts_at: datetime
    ends_at: datetime
    users: frozenset[int]

    def is_for(self, user_id: int | None) -> bool:
        """None is a visitor who is not logged in."""
        if self.audience == Audience.EVERYONE:
            return True
        return user_id is not None and (self.audience == Audience.LOGGED_IN or user_id in self.users)


Banners = tuple[ShownBanner, ...]


class _Kept:
    """Of this process. None where nobody follows."""

    banners: Banners | None = None


def read(cursor: Cursor) -> Banners:
    """Those that run or will run, in the order in which they are shown."""
    cursor.execute(_SQL)
    return tuple(ShownBanner(*(*row[:9], frozenset(row[9]))) for row in cursor.fetchall())


def read_ids(cursor: Cursor) -> set[int]:
    """Of those that `read` has. What a banner says, and to whom, never changes."""
    cursor.execute(f"SELECT id {_RUNNING}")
    return {number for (number,) in cursor.fetchall()}


def keep(banners: Banners | None) -> None:
    """What this process shows from now on; None: it asks PostgreSQL each time."""
    _Kept.banners = banners


def banners_for(*, user_id: int | None, now: datetime) -> Banners:
    banners = _Kept.banners
    if banners is None:
        with connection.cursor() as cursor:
            banners = read(cursor)
    return tuple(each for each in banners if each.starts_at <= now < each.ends_at and each.is_for(user_id))


def dismissed(cookies: Mapping[str, str]) -> list[int]:
    """Banners that were closed in this browser, by the cookie, which says 3.17.18; what cannot be read is left out."""
    parts = cookies.get(COOKIE, "")[: 20 * DISMISSED_MAX].split(".")
    return [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 20][-DISMISSED_MAX:]
