"""What is due at a time: a heap, run before every command in (due_ms, creation seq) order (architecture.md section 4).

Layout
    A heap of (due_ms, creation seq, subject); the subject is an order that ends (expiry.py), an account whose orders
    are cancelled (cancel_timer.py) or a market whose state ends (phases.py). A subject that has no use for its entry
    any more leaves it behind; a stale entry is dropped when it comes to the top, and all of them when they are more
    than half. So nothing is searched when an order ends, and who sets and clears timers without end holds no more
    memory than two entries for each that is live.

Invariants
    Each open order that is parked or has expires_ms, each account with a cancel timer and each market whose state ends
    by itself has one live entry. `due_ms` is that of the first entry, at most NEVER. Stale entries never change what
    happens: a snapshot has none of them.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from apps.matching.engine.accounts import Account
from apps.matching.engine.book import Order
from apps.matching.engine.market import Market

NEVER: Final = 2**62  # ms: no command has such a time, and a time plus any timer's length stays below 2^63
RUN_MAX: Final = 1_000  # before one command; the rest before the next one
_STALE_KEPT: Final = 64

Subject = Order | Account | Market
Entry = tuple[int, int, Subject]


class Timers:
    __slots__ = ("due_ms", "heap", "stale")

    def __init__(self) -> None:
        self.heap: list[Entry] = []
        self.stale = 0
        self.due_ms = NEVER

    def add(self, due_ms: int, seq: int, subject: Subject) -> None:
        """`seq` is that of the event that created the timer. O(log n)."""
        heappush(self.heap, (due_ms, seq, subject))
        self.due_ms = min(self.heap[0][0], NEVER)

    def leave_behind(self) -> None:
        """One entry has become stale. Amortised O(1)."""
        self.stale += 1
        if self.stale > _STALE_KEPT and self.stale * 2 > len(self.heap):
            self.heap[:] = [entry for entry in self.heap if is_live(entry)]
            heapify(self.heap)
            self.stale = 0
            self.due_ms = min(self.heap[0][0], NEVER) if self.heap else NEVER

    def live_entries(self, now_ms: int) -> list[Entry]:
        """Those that are due, in no order. O(entries)."""
        return [entry for entry in self.heap if entry[0] <= now_ms and is_live(entry)]

    def next_due(self, now_ms: int) -> Subject | None:
        """Whose time has come first; the entry stays until it is stale. None where nothing is due."""
        heap = self.heap
        while heap and heap[0][0] <= now_ms and not is_live(heap[0]):
            heappop(heap)
            self.stale -= 1
        self.due_ms = min(heap[0][0], NEVER) if heap else NEVER
        return heap[0][2] if self.due_ms <= now_ms else None


def is_live(entry: Entry) -> bool:
    """Whether the order is still open, or the account's or market's timer still that one."""
    _, seq, subject = entry
    if isinstance(subject, Order):
        terms = subject.terms
        assert terms is not None
        return (
            seq == (terms.parked_seq or terms.accepted_seq)
            and subject.seat.open_orders.get(subject.order_id) is subject
        )
    return (subject.cancel_timer_seq if isinstance(subject, Account) else subject.timer_seq) == seq
