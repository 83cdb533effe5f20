"""Bars that are followed live: the 16 stored intervals, and those that begin elsewhere at UTC+8 (clients.md section 5).

Named as in streams: '1d' and '1d@+08:00'. Other intervals have the same bars there as in UTC. Pure; milliseconds.
"""

from typing import Final

from apps.markets.intervals import FIXED_MS, HOUR_MS, INTERVALS, bar_close_ms, bar_open_ms

ZONE: Final = "@+08:00"
ZONE_OFFSET_MS: Final = 8 * HOUR_MS
# The same bars at UTC+8: their length divides the offset.
SAME_IN_ZONE: Final = frozenset(name for name, length in FIXED_MS.items() if ZONE_OFFSET_MS % length == 0)
ZONED: Final = tuple(name + ZONE for name in INTERVALS if name not in SAME_IN_ZONE)
LIVE: Final = (*INTERVALS, *ZONED)
# All zoned bars are made of whole bars of this stored interval.
ZONED_SOURCE: Final = "1h"

# (interval, how far its clock is ahead of UTC)
_PARTS: Final = {name: (name.removesuffix(ZONE), ZONE_OFFSET_MS if name.endswith(ZONE) else 0) for name in LIVE}


def live_open_ms(name: str, time_ms: int) -> int:
    """Start of the bar that holds `time_ms`."""
    interval, ahead_ms = _PARTS[name]
    return bar_open_ms(interval, time_ms + ahead_ms) - ahead_ms


def live_close_ms(name: str, open_ms: int) -> int:
    """Last millisecond of the bar that starts at `open_ms`."""
    interval, ahead_ms = _PARTS[name]
    return bar_close_ms(interval, open_ms + ahead_ms) - ahead_ms
