"""Waiting for a condition with a clear failure, never a fixed sleep."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], *, timeout_s: float = 30.0, what: str = "the condition") -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout_s} s"
        time.sleep(0.01)
