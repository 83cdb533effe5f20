"""Which limits are passed, and so whether new orders are taken (architecture.md section 3, back-pressure).

Cancels and money commands are never refused by these: they are few, and they make the load smaller. A limit that was
passed is over only well below it, so that a load at the limit does not switch ten times a second.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from apps.gateway.metrics import PRESSURE

log = structlog.get_logger("nebannpet.gateway.pressure")

MB: Final = 1024 * 1024


class Cause(StrEnum):
    """Why new orders are refused; the names stand in health checks, metrics and logs."""

    BACKLOG = "backlog"
    UNSETTLED = "unsettled"
    SETTLEMENT_LAG = "settlement-lag"
    MEMORY = "memory"
    DISK = "disk"
    ENGINE_SILENT = "engine-silent"
    EVENTS_BEHIND = "events-behind"


@dataclass(frozen=True, slots=True)
class Limits:
    """The figures and their reasons stand in nebannpet/settings/base.py, section 'Back-pressure'."""

    backlog_frames_max: int
    unsettled_events_max: int
    settlement_lag_s_max: int
    memory_percent_max: int
    disk_free_mb_min: int
    engine_silent_s_max: int
    events_behind_s_max: int


@dataclass(frozen=True, slots=True)
class Readings:
    """What the last poll saw. `disk_free_bytes` is None without a report, which is no reason to refuse anything."""

    backlog_frames: int = 0
    unsettled_events: int = 0
    settlement_lag_s: float = 0.0
    memory_percent: int = 0
    disk_free_bytes: int | None = None
    engine_silent_s: float = 0.0
    events_behind_s: float = 0.0


class Pressure:
    """`causes` are in force; `update` moves them, says so once in the log, and shows them as metrics."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.causes: frozenset[Cause] = frozenset()
        for cause in Cause:
            PRESSURE.labels(cause).set(0)

    def update(self, readings: Readings) -> None:
        now = frozenset(cause for cause in Cause if self._in_force(cause, readings))
        for cause in now - self.causes:
            PRESSURE.labels(cause).set(1)
            log.error("new orders are refused", cause=str(cause), **self._figures(cause, readings))
        for cause in self.causes - now:
            PRESSURE.labels(cause).set(0)
            log.warning("this no longer refuses new orders", cause=str(cause), **self._figures(cause, readings))
        self.causes = now

    def _in_force(self, cause: Cause, readings: Readings) -> bool:
        was = cause in self.causes
        value, limit = self._value_and_limit(cause, readings)
        if value is None:
            return False
        if cause is Cause.DISK:
            return value < (limit + limit / 10 if was else limit)
        return value > (limit - limit / 10 if was else limit)

    def _value_and_limit(self, cause: Cause, readings: Readings) -> tuple[float | None, int]:
        limits = self._limits
        match cause:
            case Cause.BACKLOG:
                return readings.backlog_frames, limits.backlog_frames_max
            case Cause.UNSETTLED:
                return readings.unsettled_events, limits.unsettled_events_max
            case Cause.SETTLEMENT_LAG:
                return readings.settlement_lag_s, limits.settlement_lag_s_max
            case Cause.MEMORY:
                return readings.memory_percent, limits.memory_percent_max
            case Cause.DISK:
                free = readings.disk_free_bytes
                return (free // MB if free is not None else None), limits.disk_free_mb_min
            case Cause.ENGINE_SILENT:
                return readings.engine_silent_s, limits.engine_silent_s_max
            case Cause.EVENTS_BEHIND:
                return readings.events_behind_s, limits.events_behind_s_max

    def _figures(self, cause: Cause, readings: Readings) -> dict[str, float | None]:
        value, limit = self._value_and_limit(cause, readings)
        return {"value": round(value, 1) if value is not None else None, "limit": limit}
