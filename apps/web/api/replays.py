"""A signed request counts once (threat-T7): this process and redis-edge remember it longer than its time counts."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from redis import Redis

from apps.web.api.edge import EdgeDown, edge
from apps.web.api.policy import SIGNATURES_KEPT_MS
from apps.web.api.problems import RETRY_AFTER_S, Refused


class Seen:
    """What this process has seen; in the order of time, so that what is too old stands first."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._kept: dict[str, int] = {}
        self._lock = Lock()

    def is_first(self, mark: str) -> bool:
        now_ms = self._clock_ms()
        with self._lock:
            while self._kept and next(iter(self._kept.values())) <= now_ms - SIGNATURES_KEPT_MS:
                del self._kept[next(iter(self._kept))]
            if mark in self._kept:
                return False
            self._kept[mark] = now_ms
            return True


HERE: Final = Seen(lambda: time.monotonic_ns() // 1_000_000)


def use_once(mark: str, *, changes_something: bool, here: Seen = HERE) -> None:
    """`mark` stands for what was signed and by whom, not for the signature, of which there may be several spellings.

    Without redis-edge other site processes do not hear of it: reads go on, and changes are refused. Raises Refused.
    """
    if not here.is_first(mark):
        raise _used()

    def ask(client: Redis) -> Any:
        return client.set(f"platform-api:signature:{mark}", 1, nx=True, px=SIGNATURES_KEPT_MS)

    try:
        is_first = edge().ask(ask)
    except EdgeDown:
        if changes_something:
            raise Refused(
                "UNAVAILABLE",
                "Signed changes cannot be taken right now. Sign it again with a new time.",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        return
    if not is_first:
        raise _used()


def _used() -> Refused:
    return Refused(
        "SIGNATURE_USED",
        "This signature was used already, whether the request was carried out or not. Sign a new one, with a new time.",
    )
