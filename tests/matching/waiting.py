"""Waiting for a condition with a clear failure, never a fixed sleep."""

import time
from collections.abc import Callable


def until(
    holds: Callable[[], bool], *, timeout_s: float = 60.0, what: str | Callable[[], str] = "the condition"
) -> None:
    """`what` may be a function: what is to be said then, such as what everybody was doing."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.01)
