"""Visitors who read pages while orders are measured: python -m tests.benchmarks.page_client PORT START [SECONDS].

PAGES_PER_S pages a second on a schedule, from a process of its own; START is a time.monotonic(). They go on for
SECONDS, or until stdin ends. Prints JSON.
"""

import http.client
import itertools
import json
import sys
import threading
import time

PAGES_PER_S = 5
PATHS = ("/markets", "/trade/BTCUSDT", "/")
# So many may be under way at once before a slow page delays the next one.
VISITORS = 5
TIMEOUT_S = 30.0


class Visitor(threading.Thread):
    """Reads every VISITORS-th page of the schedule, those due before `end_s`, until `done`."""

    def __init__(self, number: int, port: int, start_s: float, end_s: float, done: threading.Event) -> None:
        super().__init__()
        self._number = number
        self._port = port
        self._start_s = start_s
        self._end_s = end_s
        self._done = done
        self.milliseconds: list[float] = []
        self.failed: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        for number in itertools.count(self._number, VISITORS):
            due_s = self._start_s + number / PAGES_PER_S
            if due_s >= self._end_s or self._done.wait(max(0.0, due_s - time.monotonic())):
                break
            path = PATHS[number % len(PATHS)]
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{path}: {error!r}")
                connection.close()
                continue
            if answer.status != 200 or b"</html>" not in body:
                self.failed.append(f"{path}: {answer.status}")
            self.milliseconds.append((time.monotonic() - due_s) * 1000)
        connection.close()


def main(port: str, start_s: str, seconds: str = "inf") -> None:
    done = threading.Event()
    visitors = [
        Visitor(number, int(port), float(start_s), float(start_s) + float(seconds), done) for number in range(VISITORS)
    ]
    for visitor in visitors:
        visitor.start()
    if seconds == "inf":
        sys.stdin.read()
        done.set()
    for visitor in visitors:
        visitor.join()
    json.dump(
        {
            "milliseconds": [each for visitor in visitors for each in visitor.milliseconds],
            "failed": [each for visitor in visitors for each in visitor.failed],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
