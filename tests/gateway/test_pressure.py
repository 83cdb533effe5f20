"""The limits by themselves: where each begins and ends, and what is said about it."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from apps.gateway.pressure import MB, Cause, Limits, Pressure, Readings

LIMITS = Limits(
    backlog_frames_max=20_000, unsettled_events_max=500_000, settlement_lag_s_max=60, memory_percent_max=70,
    disk_free_mb_min=500, engine_silent_s_max=2, events_behind_s_max=2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "name", "fine", "too_much", "still", "over"),
    [
        (Cause.BACKLOG, "backlog_frames", 20_000, 20_001, 18_001, 18_000),
        (Cause.UNSETTLED, "unsettled_events", 500_000, 500_001, 450_001, 450_000),
        (Cause.SETTLEMENT_LAG, "settlement_lag_s", 60.0, 60.1, 54.1, 54.0),
        (Cause.MEMORY, "memory_percent", 70, 71, 64, 63),
        (Cause.DISK, "disk_free_bytes", 500 * MB, 500 * MB - 1, 549 * MB, 550 * MB),
        (Cause.ENGINE_SILENT, "engine_silent_s", 2.0, 2.1, 1.9, 1.8),
        (Cause.EVENTS_BEHIND, "events_behind_s", 2.0, 2.1, 1.9, 1.8),
    ],
)
def test_a_limit_begins_and_ends_with_one_line_each(
    cause: Cause, name: str, fine: Any, too_much: Any, still: Any, over: Any
) -> None:
    pressure = Pressure(LIMITS)
    with capture_logs() as lines:
        for value, expected in ((fine, False), (still, False), (too_much, True), (fine, True), (still, True)):
            pressure.update(Readings(**{name: value}))
            assert pressure.causes == ({cause} if expected else set())
        assert [(line["event"], line["cause"]) for line in lines] == [("new orders are refused", str(cause))]
        lines.clear()
        pressure.update(Readings(**{name: over}))
        assert not pressure.causes
        assert [line["event"] for line in lines] == ["this no longer refuses new orders"]


def test_without_a_report_the_disk_refuses_nothing() -> None:
    pressure = Pressure(LIMITS)
    pressure.update(Readings(disk_free_bytes=0))
    pressure.update(Readings(disk_free_bytes=None))
    assert not pressure.causes


def test_several_causes_end_one_by_one() -> None:
    pressure = Pressure(LIMITS)
    pressure.update(Readings(backlog_frames=30_000, memory_percent=80))
    assert pressure.causes == {Cause.BACKLOG, Cause.MEMORY}
    pressure.update(Readings(memory_percent=80))
    assert pressure.causes == {Cause.MEMORY}
