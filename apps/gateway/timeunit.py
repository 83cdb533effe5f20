"""Times in microseconds for those who ask for them: with the header X-MBX-TIME-UNIT, or `timeUnit` in the address of a
WebSocket (clients.md section 3). Pure.

The exchange counts in milliseconds: answers keep their shape, and every time in them is a thousand times as large.
Parameters that are times may come in either unit, whatever the answer's (params.Time). The wallet's endpoints know
milliseconds only, as in the dialect.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from apps.gateway import errors

HEADER: Final = b"x-mbx-time-unit"
UNITS: Final = {"MILLISECOND": False, "millisecond": False, "MICROSECOND": True, "microsecond": True}
PER_MS: Final = 1000
# The names under which answers carry times. 0 and -1 stand for none and stay; so does null.
FIELDS: Final = frozenset(
    {
        "serverTime", "time", "updateTime", "transactTime", "transactionTime", "workingTime", "openTime", "closeTime",
        "goodTillDate", "currentTime", "triggerTime", "until", "resumesAt", "staleSince", "T", "retryAfter",
        "authorizedSince", "connectedSince",
    }
)  # fmt: skip
# A bar has no names: its first and its seventh value are times, the latter the last moment before the next bar.
_OPENS, _CLOSES = 0, 6


def is_microseconds(unit: str) -> bool:
    """Raises -1194 for anything but the two units in capitals or small letters."""
    if unit not in UNITS:
        raise errors.invalid_time_unit()
    return UNITS[unit]


def in_microseconds(answer: Any) -> Any:
    """The same answer with its times in microseconds."""
    answer = _decoded(answer)
    if isinstance(answer, list) and answer and isinstance(answer[0], list):
        return [_bar(bar) for bar in answer]
    return _converted(answer)


def _bar(bar: list[Any]) -> list[Any]:
    converted = list(bar)
    converted[_OPENS] = bar[_OPENS] * PER_MS
    converted[_CLOSES] = (bar[_CLOSES] + 1) * PER_MS - 1
    return converted


def _decoded(value: Any) -> Any:
    """What was built before, as one answer or as a row of a list."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _converted(value: Any) -> Any:
    value = _decoded(value)
    if isinstance(value, Mapping):
        return {
            name: each * PER_MS if name in FIELDS and isinstance(each, int) and each > 0 else _converted(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_converted(each) for each in value]
    return value
