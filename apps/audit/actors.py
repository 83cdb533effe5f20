"""Who did it: a kind and an id. And who is at work right now, as the middleware or the process knows."""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.conf import settings

from apps.web.requests import Request, current_request


class ActorKind(StrEnum):
    """`operator` is somebody with a shell on the server, by the name of the system's user."""

    USER = "user"
    STAFF = "staff"
    API_KEY = "api-key"
    PROCESS = "process"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is a user's number, a staff member's login name, a public API key, or a process's or operator's name."""

    kind: ActorKind
    id: str


# Under this name a request has the public API key by which it was signed.
API_KEY_ATTRIBUTE: Final = "acting_api_key"
# The texts in which requests to the engine name who asked (apps/outbox/requests.py).
_USER: Final = "user: "
_STAFF: Final = "staff: "
_COMMAND_LINE: Final = "command line: "

_still_there: ContextVar[Callable[[], None] | None] = ContextVar("audit_still_there", default=None)


def user(user_id: int) -> Actor:
    return Actor(ActorKind.USER, str(user_id))


def process(name: str) -> Actor:
    return Actor(ActorKind.PROCESS, name)


def user_text(user_id: int) -> str:
    """How a user is named in texts that `named` reads."""
    return f"{_USER}{user_id}"


def staff_text(name: str) -> str:
    """How a staff member is named in texts that `named` reads."""
    return _STAFF + name


def operator_text() -> str:
    """How whoever runs a command is named in texts that `named` reads."""
    return _COMMAND_LINE + getpass.getuser()


def named(text: str) -> Actor:
    """The actor of a text that user_text, staff_text or operator_text made; any other is the name of a process."""
    if text.startswith(_USER):
        return user(int(text.removeprefix(_USER)))
    if text.startswith(_STAFF):
        return Actor(ActorKind.STAFF, text.removeprefix(_STAFF))
    if text.startswith(_COMMAND_LINE):
        return Actor(ActorKind.OPERATOR, text.removeprefix(_COMMAND_LINE))
    return process(text)


def of_user(found: Any) -> Actor:
    """The actor of a row of settings.AUTH_USER_MODEL."""
    return Actor(ActorKind.STAFF, found.get_username()) if found.is_staff else user(found.pk)


def acting() -> Actor:
    """The API key that signed the request at work, or who is logged in in it, `user anonymous` where nobody is; else
    the process or operator."""
    request = current_request.get()
    if request is not None:
        if by_key := _api_key(request):
            return by_key
        found = getattr(request.http, "user", None)
        return of_user(found) if found is not None and found.is_authenticated else Actor(ActorKind.USER, "anonymous")
    if settings.PROCESS:
        return process(settings.PROCESS)
    return named(operator_text())


def asking_for(user_id: int) -> Actor:
    """The user, or the API key of theirs that signed the request at work."""
    request = current_request.get()
    return (_api_key(request) if request is not None else None) or user(user_id)


def _api_key(request: Request) -> Actor | None:
    name = getattr(request.http, API_KEY_ATTRIBUTE, "")
    return Actor(ActorKind.API_KEY, name) if name else None


@contextmanager
def while_there(check: Callable[[], None]) -> Iterator[None]:
    """In here each entry asks `check`, in the transaction of what it records, which raises where the actor is gone."""
    token = _still_there.set(check)
    try:
        yield
    finally:
        _still_there.reset(token)


def check_still_there() -> None:
    """Raises what while_there's question raises; nothing outside of one."""
    if (check := _still_there.get()) is not None:
        check()
