"""Waiting for a condition with a clear failure, never a fixed sleep."""

import time
from collections.abc import Callable

from apps.streams.bus.base import Bus


def until(
    holds: Callable[[], bool], *, timeout_s: float = 60.0, what: str | Callable[[], str] = "the condition"
) -> None:
    """`what` may be a function: what is to be said then, such as what everybody was doing."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.01)


def usurp_lease(bus: Bus, holder: str, *, by: str, or_has: str = "") -> None:
    """Until `by` has the lease of `holder`, for longer than a test lasts, unless `or_has` was quicker. The holder
    lives: it renews its lease, and takes it again while nobody has it.
    """

    def usurped() -> bool:
        bus.release_lease(holder)
        return bus.take_lease(by, ttl_ms=600_000) or bus.lease_holder() == or_has

    until(usurped)
