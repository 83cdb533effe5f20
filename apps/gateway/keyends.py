"""Which API keys that somebody has a connection open by expire next."""

import heapq


class Ends:
    """A key is added when somebody follows it, any number of times, and comes out once, when its end has come."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        # A key's end never changes, so one entry is enough however often it is followed.
        self._known: set[int] = set()

    def add(self, expires_us: int, key_id: int) -> None:
        """O(log n)."""
        if key_id not in self._known:
            self._known.add(key_id)
            heapq.heappush(self._heap, (expires_us, key_id))

    def due(self, at_us: int) -> list[int]:
        """Ids of keys whose end has come by `at_us` (microseconds since 1970), earliest first."""
        found = []
        while self._heap and self._heap[0][0] <= at_us:
            _, key_id = heapq.heappop(self._heap)
            self._known.discard(key_id)
            found.append(key_id)
        return found
