"""Says on stdout when a turn is due: python -m tests.benchmarks.pacemaker, one line "COUNT GAP_S" on stdin a series.

A line for each of its moments, the time in µs since the epoch. As what is due comes from another process, as in a
gateway it comes from Redis, a turn begins when it is due. A timer of the event loop would not do: libuv counts a wait
from before the callbacks of that turn, so that a turn of 5 ms would make the next one 5 ms late.
"""

import sys
import time


def main() -> None:
    for line in sys.stdin:
        count, gap_s = line.split()
        began_ns = time.time_ns()
        for number in range(int(count)):
            due_ns = began_ns + int(number * float(gap_s) * 1e9)
            time.sleep(max(0.0, (due_ns - time.time_ns()) / 1e9))
            print(due_ns // 1000, flush=True)


if __name__ == "__main__":
    main()
