"""How fast an archive grows: what an operator needs to size a disk and to choose a retention."""

import time
from collections import deque
from pathlib import Path
from typing import Final

from apps.orders.archive.reader import Archive

DAY_S: Final = 86_400
# One sum a minute, so that a day is a short list.
STEP_S: Final = 60


class Growth:
    """Bytes appended over the last day, from the segments' own dates at the start and from then on as written."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int]] = deque()
        self._since_s = time.time()

    def start(self, directory: Path) -> None:
        """Take what was written before this process: a segment grew from its opening to its last change."""
        self._steps.clear()
        archive = Archive(directory)
        self._since_s = archive.segments[0].opening.created_ms / 1000 if archive.segments else time.time()
        for segment in archive.segments:
            found = segment.path.stat()
            first, last = segment.opening.created_ms // 1000, int(found.st_mtime)
            steps = max(1, (last - first) // STEP_S)
            for step in range(max(0, steps - DAY_S // STEP_S), steps):
                self.add(found.st_size // steps, at_s=first + step * STEP_S)

    def add(self, count: int, *, at_s: int | None = None) -> None:
        step = int(time.time() if at_s is None else at_s) // STEP_S
        if self._steps and self._steps[-1][0] == step:
            count += self._steps.pop()[1]
        self._steps.append((step, count))

    def per_day(self) -> int:
        """Bytes of the last day; of a younger archive what a day of the same would be."""
        now_s = time.time()
        oldest = int(now_s - DAY_S) // STEP_S
        while self._steps and self._steps[0][0] < oldest:
            self._steps.popleft()
        age_s = min(DAY_S, max(STEP_S, int(now_s - self._since_s)))
        return sum(count for _, count in self._steps) * DAY_S // age_s
