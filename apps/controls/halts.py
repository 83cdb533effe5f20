"""Markets that do not trade, to be looked at beside the switches. They are engine state: only the engine refuses by it,
and the app of the markets mirrors it and moves it.
"""

from collections.abc import Callable
from typing import NamedTuple


class Halt(NamedTuple):
    """A market that is listed and not open."""

    symbol: str
    state: str
    cause: str


_readers: list[Callable[[], list[Halt]]] = []


def register(read: Callable[[], list[Halt]]) -> None:
    """Called once by the app that has the markets, when it is ready."""
    _readers.append(read)


def halts() -> list[Halt]:
    """By symbol, as far as the settled record knows."""
    return sorted(halt for read in _readers for halt in read())
