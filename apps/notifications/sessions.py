"""Whether the session of a request still lives: the app of accounts knows, which stands above this one (threat-T5)."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from django.http import HttpRequest

# The transaction of what the logged-in user of the request changes; it raises where the session was ended meanwhile.
StillIn = Callable[[HttpRequest], AbstractContextManager[None]]

_REGISTERED: list[StillIn] = []


def register(still_in: StillIn) -> None:
    """Called once by the app of accounts, when it is ready."""
    _REGISTERED[:] = [still_in]


def still_in(request: HttpRequest) -> AbstractContextManager[None]:
    (registered,) = _REGISTERED
    return registered(request)
