"""What the subject of a switch may be. The apps above know: each registers how it finds one of its own."""

from collections.abc import Callable

from apps.controls.errors import UnknownSubject
from apps.controls.kinds import Scope

# What staff typed -> how it stands in the row, or None where there is no such thing.
Find = Callable[[str], str | None]

_FINDERS: dict[Scope, Find] = {}


def register(scope: Scope, find: Find) -> None:
    """Called once by the app that has the subjects, when it is ready."""
    _FINDERS[scope] = find


def find_subject(scope: Scope, typed: str) -> str:
    """Raises UnknownSubject: a typing error must not suspend nothing in silence."""
    found = _FINDERS[scope](typed.strip())
    if found is None:
        raise UnknownSubject(f"There is no {scope.value.replace('-', ' ')} {typed.strip()[:60]!r}.")
    return found
