"""Order, price level and one side of a book.

Layout
    A side keeps its levels in a dict and their *keys* in a sorted list with the best one last. The key of a bid level
    is its price, that of an ask level is minus its price, so on both sides a greater key is better, and an opposite
    level is within a limit when its key >= the limit's key. Orders of a level are a doubly linked list, oldest first.

Invariants
    No empty level stays. `Level.lots` is the sum of its orders' `left_lots`, `hidden_lots` that of their
    reserves. Priorities rise from head to tail. `Order.left_lots` is what the order shows: of an iceberg the tip, whose
    reserve stands in its terms.
    An order that left the book has no links, so that no reference cycle is ever left for the garbage collector.

Costs
    Best level O(1), add and remove an order O(1), add and remove a level O(log n) plus a memmove.
"""

from bisect import bisect_left, insort
from typing import Final

from apps.matching.engine.accounts import Seat
from apps.matching.engine.terms import Terms
from apps.streams.kinds import Side

BUY: Final = int(Side.BUY)
SELL: Final = int(Side.SELL)


class Order:
    """An order from its checks to its end.

    `priority` is the seq of the event that gave it its place at its level. `id_key` and `fingerprint` are those of
    client_ids.py; the key is empty without a client id. `quantity_lots` is 0 for an order with a quote budget. `terms`
    is None for an order that has nothing of terms.py.
    """

    __slots__ = (
        "account", "budget_units", "client_id", "filled_lots", "filled_quote_units", "fingerprint", "id_key", "kind",
        "left_lots", "level", "market", "next", "order_id", "prev", "price_ticks", "priority", "quantity_lots",
        "seat", "side", "stp_mode", "terms", "time_in_force",
    )  # fmt: skip

    def __init__(
        self,
        seat: Seat,
        side: int,
        kind: int,
        time_in_force: int,
        stp_mode: int,
        price_ticks: int,
        quantity_lots: int,
        budget_units: int,
        client_id: bytes,
        terms: Terms | None = None,
    ) -> None:
        self.seat = seat
        self.market = seat.market
        self.account = seat.account
        self.side = side
        self.kind = kind
        self.time_in_force = time_in_force
        self.stp_mode = stp_mode
        self.price_ticks = price_ticks
        self.quantity_lots = quantity_lots
        self.left_lots = quantity_lots
        self.budget_units = budget_units
        self.client_id = client_id
        self.terms = terms
        self.id_key = b""
        self.fingerprint = 0
        self.order_id = 0
        self.priority = 0
        self.filled_lots = 0
        self.filled_quote_units = 0
        self.level: Level | None = None
        self.prev: Order | None = None
        self.next: Order | None = None

    @property
    def open_lots(self) -> int:
        """What may still be filled, an iceberg's reserve included."""
        return self.left_lots if self.terms is None else self.left_lots + self.terms.reserve_lots


class Level:
    """All orders at one price, oldest first."""

    __slots__ = ("head", "hidden_lots", "key", "lots", "price_ticks", "tail")

    def __init__(self, key: int, price_ticks: int) -> None:
        self.key = key
        self.price_ticks = price_ticks
        self.lots = 0
        self.hidden_lots = 0
        self.head: Order | None = None
        self.tail: Order | None = None


class BookSide:
    """Bids or asks of one market."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, side: int) -> None:
        self.sign = 1 if side == BUY else -1
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def best_price(self) -> int:
        """Price of the best level in ticks, 0 where the side is empty."""
        return self.keys[-1] * self.sign if self.keys else 0

    def add(self, order: Order) -> int:
        """Put the order at the back of its level; the level's lots, the order's included."""
        key = order.price_ticks * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(key, order.price_ticks)
            insort(self.keys, key)
        tail = level.tail
        if tail is None:
            level.head = order
        else:
            tail.next = order
            order.prev = tail
        level.tail = order
        order.level = level
        level.lots += order.left_lots
        if order.terms is not None:
            level.hidden_lots += order.terms.reserve_lots
        return level.lots

    def remove(self, order: Order) -> int:
        """Take the order out of its level, wherever it stands; the lots that the level still has."""
        level = order.level
        assert level is not None
        before, after = order.prev, order.next
        if before is None:
            level.head = after
        else:
            before.next = after
        if after is None:
            level.tail = before
        else:
            after.prev = before
        order.level = order.prev = order.next = None
        level.lots -= order.left_lots
        if order.terms is not None:
            level.hidden_lots -= order.terms.reserve_lots
        if level.head is None:
            self.drop(level.key)
        return level.lots

    def drop(self, key: int) -> None:
        """Forget an empty level."""
        del self.levels[key]
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]
