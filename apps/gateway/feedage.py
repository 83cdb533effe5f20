"""How old public data may be: when market data last showed that readers had been told of everything.

Market data says once a second up to which event its stream goes (`alive` of marketdata/wire.py), in a quiet market too.
This process reads the events themselves, so it knows which of them there are. Public data are as of the last moment
whose events market data is known to have told; they are stale when that moment is SILENT_MS ago, because market data
has stopped, redis-edge does not answer, or either is too slow. A market in which nothing happens is not stale.
"""

import time
from collections.abc import Callable
from typing import Final

from apps.common.clock import now_ms
from apps.markets.policy import SILENT_MS

SILENT_S: Final = SILENT_MS / 1000


class FeedAge:
    """`seen_seq`: the last event that this process has read by itself. Ages are by the monotonic clock."""

    def __init__(self, seen_seq: Callable[[], int], monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._seen_seq = seen_seq
        self._monotonic_s = monotonic_s
        # Nothing is stale before market data had the time to say a word to this process.
        self._current_s, self._current_ms = monotonic_s(), now_ms()
        self._was_told = False
        # An event that had been seen, and when: what market data has to reach next.
        self._awaited = (0, self._current_s, self._current_ms)

    def spoke_before(self, at_ms: int) -> None:
        """The last word of market data from before this process listened."""
        if not self._was_told:
            self._current_ms = min(self._current_ms, at_ms)

    def told(self, seq: int) -> None:
        """Market data said just now that everything up to event `seq` was told."""
        self._was_told = True
        seen = self._seen_seq()
        awaited, at_s, at_ms = self._awaited
        # The log may have begun anew, with lower numbers.
        if seq >= min(awaited, seen):
            self._current_s, self._current_ms = at_s, at_ms
            self._awaited = (seen, self._monotonic_s(), now_ms())

    def age_s(self) -> float:
        return self._monotonic_s() - self._current_s

    def stale_since_ms(self) -> int | None:
        """From when on public data may lack what happened; None while it lacks nothing."""
        return self._current_ms if self.age_s() > SILENT_S else None
