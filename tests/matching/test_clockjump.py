"""A clock of redis-core that runs ahead is found (fault-F20); what the worker then does: test_poison.py."""

import pytest

from apps.matching.clockjump import LIMIT_MS, ClockWatch

T = 1_800_000_000_000
Tick = tuple[int, float, float]  # entry_ms, sent_s, answered_s


@pytest.mark.parametrize(
    ("ticks", "jumps"),
    [
        # name by name: even ticks
        ([(T, 10.0, 10.001), (T + 100, 10.1, 10.101), (T + 200, 10.2, 10.201)], [None, None, None]),
        # ahead by exactly the limit, and by one more; an entry id's whole milliseconds may add one
        ([(T, 10.0, 10.0), (T + 2_101, 10.1, 10.1)], [None, None]),
        ([(T, 10.0, 10.0), (T + 2_102, 10.1, 10.1)], [None, 2_001]),
        # an hour ahead: said once, the next ticks are even again
        ([(T, 10.0, 10.0), (T + 3_600_100, 10.1, 10.1), (T + 3_600_200, 10.2, 10.2)], [None, 3_599_999, None]),
        # an hour back: ids stand still
        ([(T, 10.0, 10.0), (T, 10.1, 10.1), (T, 10.2, 10.2)], [None, None, None]),
        # and when the clock is put right after 60 s of standing still, the jump to the true time is one
        ([(T, 10.0, 10.0), (T, 70.0, 70.0), (T + 60_100, 70.1, 70.1)], [None, None, 59_999]),
        # going back is none either (another server)
        ([(T, 10.0, 10.0), (T - 5_000, 10.1, 10.1)], [None, None]),
        # this process was stopped for 30 s between two ticks: both clocks went on
        ([(T, 10.0, 10.0), (T + 30_000, 40.0, 40.0)], [None, None]),
        # stopped between reading its clock and sending
        ([(T, 10.0, 10.0), (T + 30_000, 10.1, 40.0)], [None, None]),
        # redis-core stopped for 30 s before it took the entry, and for 30 s before it answered
        ([(T, 10.0, 10.0), (T + 30_000, 10.1, 40.0), (T + 30_100, 40.1, 40.1)], [None, None, None]),
        ([(T, 10.0, 40.0), (T + 30_100, 40.1, 40.1)], [None, None]),
        # ticks that were not written for a while: the time since the last written one counts
        ([(T, 10.0, 10.0), (T + 9_000, 19.0, 19.0)], [None, None]),
        # a clock that is a little fast
        ([(T, 10.0, 10.0), (T + 150, 10.1, 10.1), (T + 300, 10.2, 10.2)], [None, None, None]),
        # the first tick of all says nothing
        ([(T + 3_600_000, 0.0, 0.0)], [None]),
    ],
)
def test_jumps(ticks: list[Tick], jumps: list[int | None]) -> None:
    watch = ClockWatch()
    assert [watch.judge(*tick) for tick in ticks] == jumps


def test_the_limit_can_be_set() -> None:
    watch = ClockWatch(limit_ms=10)
    assert LIMIT_MS == 2_000
    assert watch.judge(T, 1.0, 1.0) is None
    assert watch.judge(T + 111, 1.1, 1.1) is None
    assert watch.judge(T + 223, 1.2, 1.2) == 11
