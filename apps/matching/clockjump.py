"""A clock of redis-core that jumps ahead, judged by the worker's own (architecture.md section 4, Time; fault-F20).

Entry ids carry redis-core's time and never go back, so a jump ahead stays: every timer due in between would run at once
and prices would be compared over time that never passed. Trading halts instead, by sequenced commands. A clock that
goes back needs nothing: the ids stand still until it has caught up.
"""

from typing import Final

LIMIT_MS: Final = 2_000


class ClockWatch:
    """Compares each tick with the one before: may that much time have passed?"""

    def __init__(self, limit_ms: int = LIMIT_MS) -> None:
        self._limit_ms = limit_ms
        self._before: tuple[int, float] | None = None

    def judge(self, entry_ms: int, sent_s: float, answered_s: float) -> int | None:
        """By how many milliseconds the time ran ahead since the last call, where that is more than the limit.

        `entry_ms` is the time in the tick's entry id; `sent_s` and `answered_s` are this process's monotonic clock
        before the append and after its answer. redis-core read its clock somewhere between, so at most the time from
        the last tick's sending to this one's answer has passed: a pause of either process makes that longer, never
        shorter. None at the first tick and for a clock that stands still or goes back.
        """
        before, self._before = self._before, (entry_ms, sent_s)
        if before is None:
            return None
        before_ms, before_sent_s = before
        # Entry ids have whole milliseconds: two of them may lie up to one more apart than their moments do.
        passed_at_most_ms = round((answered_s - before_sent_s) * 1000) + 1
        ahead_ms = entry_ms - before_ms - passed_at_most_ms
        return ahead_ms if ahead_ms > self._limit_ms else None
