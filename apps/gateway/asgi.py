"""The ASGI interface as this app uses it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """The only header of that name; None where there is none or more than one."""
    return headers_of(scope).get(name)


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers that came once, by name."""
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    found = dict(pairs)
    if len(found) != len(pairs):
        times = Counter(name for name, _ in pairs)
        found = {name: value for name, value in pairs if times[name] == 1}
    return found
