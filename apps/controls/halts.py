"""Markets that do not trade, to be looked at beside the switches. They are engine state: only the engine refuses by it,
and the app of the markets mirrors it and moves it.
"""

from collections.abc import Callable
from typing import NamedTuple


class Halt(NamedTuple):
    """A market that is listed and not open; `ends` says when and how, and is empty where no timer runs."""

    symbol: str
    state: str
    cause: str
    ends: str


class Halts(NamedTuple):
    """By symbol. `is_live` is False where market data is silent: then they are as old as the settled record."""

    markets: list[Halt]
    is_live: bool


_readers: list[Callable[[], Halts]] = []


def register(read: Callable[[], Halts]) -> None:
    """Called once by the app that has the markets, when it is ready."""
    _readers.append(read)


def halts() -> Halts:
    """As traders are subject to them now."""
    found = [read() for read in _readers]
    return Halts(sorted(halt for each in found for halt in each.markets), all(each.is_live for each in found))
