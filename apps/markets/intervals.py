"""Candle intervals 1s to 1M (T14) and their arithmetic, in UTC milliseconds; pure.

Fixed intervals start at multiples of their length since the epoch, weeks on Mondays, months on the first. Every
boundary of every interval is a boundary of '1s', so bars of one second add up to bars of any other interval.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS
# 1970-01-05 was the first Monday after the epoch.
FIRST_MONDAY_MS: Final = 4 * DAY_MS

FIXED_MS: Final[dict[str, int]] = {
    "1s": SECOND_MS,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
}
INTERVALS: Final = (*FIXED_MS, "1w", "1M")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _month_index(time_ms: int) -> int:
    """Months since January 1970."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return (moment.year - 1970) * 12 + moment.month - 1


def _month_open_ms(index: int) -> int:
    moment = datetime(1970 + index // 12, index % 12 + 1, 1, tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def bar_open_ms(interval: str, time_ms: int) -> int:
    """Start of the bar that holds `time_ms`. KeyError for an unknown interval."""
    return shifted_open_ms(interval, time_ms, 0)


def shifted_open_ms(interval: str, time_ms: int, bars: int) -> int:
    """Start of the bar `bars` after (or before, if negative) the one that holds `time_ms`."""
    if interval == "1M":
        return _month_open_ms(_month_index(time_ms) + bars)
    offset, length = (FIRST_MONDAY_MS, WEEK_MS) if interval == "1w" else (0, FIXED_MS[interval])
    return time_ms - (time_ms - offset) % length + bars * length


def bar_close_ms(interval: str, open_ms: int) -> int:
    """Last millisecond of the bar that starts at `open_ms`."""
    return shifted_open_ms(interval, open_ms, 1) - 1


def bar_opens(interval: str, first_ms: int, last_ms: int) -> list[int]:
    """Starts of all bars from the one holding `first_ms` to the one holding `last_ms`, oldest first."""
    if first_ms > last_ms:
        return []
    if interval == "1M":
        return [_month_open_ms(index) for index in range(_month_index(first_ms), _month_index(last_ms) + 1)]
    first, last = bar_open_ms(interval, first_ms), bar_open_ms(interval, last_ms)
    return list(range(first, last + 1, WEEK_MS if interval == "1w" else FIXED_MS[interval]))
