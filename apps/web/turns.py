"""At most a few changes of one user at once in this process (threat-T20).

They wait for one another at the user's row in any case, each with one of the site's few connections: a flood of one
user's would take them all, and pages of everybody else would wait.
"""

from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import Final

from django.db import connection
from django.http import HttpRequest

from apps.web.errors import TooManyAtOnce

AT_ONCE: Final = 2
# More or longer, and the request is refused with 429: each that waits holds a thread.
WAITING_MAX: Final = 50
WAIT_S: Final = 5
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
_ATTRIBUTE: Final = "_turns_of_users"
_REFUSED: Final = "You do too much at the same time. Wait until some of it is done, and try again."


@dataclass(slots=True)
class _Line:
    """`people` are those at work and those who wait: without any the line is forgotten."""

    turns: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(AT_ONCE))
    people: int = 0


_LOCK: Final = Lock()
_LINES: Final[dict[int, _Line]] = {}


def take_turn(request: HttpRequest, user_id: int) -> bool:
    """Until give_back(request). True if it had to wait: what was read before may be old. Raises TooManyAtOnce."""
    with _LOCK:
        line = _LINES.setdefault(user_id, _Line())
        if line.people >= AT_ONCE + WAITING_MAX:
            raise TooManyAtOnce(_REFUSED)
        line.people += 1
    waits = not line.turns.acquire(blocking=False)
    if waits:
        release_connection()
        if not line.turns.acquire(timeout=WAIT_S):
            _leave(user_id)
            raise TooManyAtOnce(_REFUSED)
    setattr(request, _ATTRIBUTE, [*getattr(request, _ATTRIBUTE, ()), user_id])
    return waits


def give_back(request: HttpRequest) -> None:
    """The turns that the request has taken, if any."""
    for user_id in getattr(request, _ATTRIBUTE, ()):
        _LINES[user_id].turns.release()
        _leave(user_id)


def release_connection() -> None:
    """Who waits needs none of the site's few connections, except for what it has begun."""
    if not connection.in_atomic_block:
        connection.close()


def _leave(user_id: int) -> None:
    with _LOCK:
        _LINES[user_id].people -= 1
        if not _LINES[user_id].people:
            del _LINES[user_id]
