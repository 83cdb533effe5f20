"""Which numbers a writer has used, as spans: what a counter says costs no memory, however big it is."""

from bisect import bisect_right


class Numbers:
    """Disjoint spans (first, last) in order, neighbours joined: a whole log of a writer is one span."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> bool:
        """False, and nothing is added, where one of them is there already."""
        at = bisect_right(self._firsts, first)
        if (at and self._lasts[at - 1] >= first) or (at < len(self._firsts) and self._firsts[at] <= last):
            return False
        joins_left = at > 0 and self._lasts[at - 1] == first - 1
        joins_right = at < len(self._firsts) and self._firsts[at] == last + 1
        if joins_left and joins_right:
            self._lasts[at - 1] = self._lasts.pop(at)
            del self._firsts[at]
        elif joins_left:
            self._lasts[at - 1] = last
        elif joins_right:
            self._firsts[at] = first
        else:
            self._firsts.insert(at, first)
            self._lasts.insert(at, last)
        return True

    @property
    def last(self) -> int:
        """0 where there is none."""
        return self._lasts[-1] if self._lasts else 0

    @property
    def first_missing(self) -> int:
        """The first from 1 on that is not there."""
        return self._lasts[0] + 1 if self._firsts and self._firsts[0] == 1 else 1
