"""What is due at a time: a heap, run before every command in (due_ms, creation seq) order (architecture.md section 4).

Layout
    A heap of (due_ms, creation seq, order). An order that ends before its time leaves its entry behind; a stale entry
    is dropped when it comes to the top, and all of them when they are more than half. So nothing is to be searched
    when an order ends, and who places and cancels without end holds no more memory than two entries an open order.

Invariants
    Each open order with expires_ms has one entry. `due_ms` is not later than the first live entry's. Stale entries
    never change what happens: a snapshot has none of them.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from apps.matching.engine.book import Order

NEVER: Final = 2**63
RUN_MAX: Final = 1_000  # before one command; the rest before the next one
_STALE_KEPT: Final = 64


class Timers:
    __slots__ = ("due_ms", "heap", "stale")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Order]] = []
        self.stale = 0
        self.due_ms = NEVER

    def add(self, due_ms: int, seq: int, order: Order) -> None:
        """`seq` is that of the event that created the timer. O(log n)."""
        heappush(self.heap, (due_ms, seq, order))
        self.due_ms = self.heap[0][0]

    def forget(self, order: Order) -> None:
        """The order is not open any more. Amortised O(1)."""
        if order.terms is None or not order.terms.expires_ms:
            return
        self.stale += 1
        if self.stale > _STALE_KEPT and self.stale * 2 > len(self.heap):
            self.heap[:] = [entry for entry in self.heap if is_live(entry[2])]
            heapify(self.heap)
            self.stale = 0
            self.due_ms = self.heap[0][0] if self.heap else NEVER

    def next_due(self, now_ms: int) -> Order | None:
        """The order whose time has come first, which stays there until it ends; None where nothing is due."""
        heap = self.heap
        while heap and heap[0][0] <= now_ms:
            order = heap[0][2]
            if is_live(order):
                break
            heappop(heap)
            self.stale -= 1
        self.due_ms = heap[0][0] if heap else NEVER
        return heap[0][2] if heap and self.due_ms <= now_ms else None


def is_live(order: Order) -> bool:
    """Whether the order is still open."""
    return order.seat.open_orders.get(order.order_id) is order
