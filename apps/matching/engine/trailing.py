"""Trailing stops that are active: their stop follows the best last price since activation (T4, matching-rules.md 5).

A sell fires at last <= floor(best x (10^4 - bips) / 10^4), best being the highest last price since its activation; a
buy at last >= ceil(best x (10^4 + bips) / 10^4), best being the lowest.

Layout
    Orders with the same best price make a segment. A print beyond the best of some segments makes all these one
    segment: from then on they have the same best for ever. So a print moves segments and no orders, whatever their
    distances are. A segment's orders are sorted by distance; the shortest fires first.

    As in book.py, a greater key is nearer: `sign` is 1 for sells, which fire on a fall, and -1 for buys. Sorted lists
    have at their end what is needed first.

Invariants
    No empty segment stays. `bests` and `fronts` have one entry for each segment.

Costs
    Adding, removing and firing O(log n) plus a memmove. A print that improves best prices: O(log n) for each segment it
    takes away, and each order is copied O(log n) times in its life, since the smaller segment joins the larger.
"""

from bisect import bisect_left, insort

from apps.common.amounts import BASIS_POINTS
from apps.matching.engine.book import SELL, Order

_FEW = 32  # entries that are put into a sorted list one by one

Entry = tuple[int, int, Order]


def stop_key(sign: int, best_ticks: int, bips: int) -> int:
    """sign x stop price of a trailing order with that best price."""
    return sign * best_ticks * (BASIS_POINTS - sign * bips) // BASIS_POINTS


class Segment:
    """`orders` are (-bips, -accepted_seq, order), the one that fires first at the end."""

    __slots__ = ("best_ticks", "front", "orders")

    def __init__(self, best_ticks: int) -> None:
        self.best_ticks = best_ticks
        self.orders: list[Entry] = []
        self.front = (0, 0)


class Trailing:
    """All active trailing stops of one side in one market."""

    __slots__ = ("bests", "fronts", "segments", "sign")

    def __init__(self, side: int) -> None:
        self.sign = 1 if side == SELL else -1
        self.segments: dict[int, Segment] = {}
        self.bests: list[int] = []  # -sign x best: that which a print improves first at the end
        self.fronts: list[tuple[int, int]] = []  # (sign x stop, best) of each segment's first order

    def add(self, order: Order, best_ticks: int) -> None:
        terms = order.terms
        assert terms is not None
        segment = self._take_out(best_ticks) or Segment(best_ticks)
        insort(segment.orders, (-terms.trailing_bips, -terms.accepted_seq, order))
        terms.segment = segment
        self._put_in(segment)

    def remove(self, order: Order) -> None:
        terms = order.terms
        assert terms is not None
        assert terms.segment is not None
        segment = self._take_out(terms.segment.best_ticks)
        assert segment is terms.segment
        del segment.orders[bisect_left(segment.orders, (-terms.trailing_bips, -terms.accepted_seq))]
        terms.segment = None
        if segment.orders:
            self._put_in(segment)

    def follow(self, price_ticks: int) -> None:
        """A print at this price: it is the best one of every order whose best was worse."""
        while self.bests and self.bests[-1] > -self.sign * price_ticks:
            segment = self._take_out(-self.sign * self.bests[-1])
            assert segment is not None
            equals = self._take_out(price_ticks)
            segment.best_ticks = price_ticks
            self._put_in(segment if equals is None else _joined(segment, equals))

    def take(self, price_ticks: int) -> list[Entry]:
        """Remove and return what fires at this price, as (sign x stop, -accepted_seq, order), in no order."""
        fired: list[Entry] = []
        while self.fronts and self.fronts[-1][0] >= self.sign * price_ticks:
            segment = self._take_out(self.fronts[-1][1])
            assert segment is not None
            orders = segment.orders
            while (
                orders and (key := stop_key(self.sign, segment.best_ticks, -orders[-1][0])) >= self.sign * price_ticks
            ):
                _, seq_key, order = orders.pop()
                assert order.terms is not None
                order.terms.segment = None
                fired.append((key, seq_key, order))
            if orders:
                self._put_in(segment)
        return fired

    def _take_out(self, best_ticks: int) -> Segment | None:
        """The segment of that best price leaves the indexes; it may change and comes back by _put_in."""
        segment = self.segments.pop(best_ticks, None)
        if segment is not None:
            del self.bests[bisect_left(self.bests, -self.sign * best_ticks)]
            del self.fronts[bisect_left(self.fronts, segment.front)]
        return segment

    def _put_in(self, segment: Segment) -> None:
        best_ticks = segment.best_ticks
        segment.front = (stop_key(self.sign, best_ticks, -segment.orders[-1][0]), best_ticks)
        self.segments[best_ticks] = segment
        insort(self.bests, -self.sign * best_ticks)
        insort(self.fronts, segment.front)


def _joined(one: Segment, other: Segment) -> Segment:
    """All orders of both, in the larger one."""
    large, small = (one, other) if len(one.orders) >= len(other.orders) else (other, one)
    if len(small.orders) <= _FEW:
        for entry in small.orders:
            insort(large.orders, entry)
    else:
        large.orders += small.orders
        large.orders.sort()
    for _, _, order in small.orders:
        assert order.terms is not None
        order.terms.segment = large
    return large
