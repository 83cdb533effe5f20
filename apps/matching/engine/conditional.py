"""The conditional orders of a market that wait for a print; what triggers is found in O(log n) (T5, matching-rules.md
5).

STOP_LOSS sell and TAKE_PROFIT buy trigger when last <= stop, STOP_LOSS buy and TAKE_PROFIT sell when last >= stop. A
trailing order becomes active by the same rule with its activation price, and is one of trailing.py from then on.

Layout
    For each direction a list of (key, -accepted_seq, order) sorted by key, which is the stop price for a fall and minus
    the stop price for a rise, so what triggers first is at the end. Between `low` and `high` a print can change nothing
    here: it costs one comparison.
"""

from bisect import bisect_left, insort
from typing import Final

from apps.matching.engine.book import BUY, SELL, Order
from apps.matching.engine.terms import Terms
from apps.matching.engine.trailing import Entry, Trailing, stop_key
from apps.streams.kinds import OrderKind

NEVER_LOW: Final = 0
NEVER_HIGH: Final = 2**63

_STOP_LOSSES: Final = frozenset({int(OrderKind.STOP_LOSS), int(OrderKind.STOP_LOSS_LIMIT)})


def falls_to(order: Order) -> bool:
    """Whether it triggers, or becomes active, when the price falls to its stop price; else when it rises to it."""
    return (order.kind in _STOP_LOSSES) == (order.side == SELL)


def is_met(order: Order, price_ticks: int) -> bool:
    """Whether the stop price is met at this last price. An order without one, which trails, has met it."""
    terms = order.terms
    assert terms is not None
    if not terms.stop_price_ticks:
        return True
    return price_ticks <= terms.stop_price_ticks if falls_to(order) else price_ticks >= terms.stop_price_ticks


def triggers_at(order: Order, price_ticks: int) -> bool:
    """Whether a print at this price would trigger this order, which waits for one.

    Of an active trailing one the stop as it is now says so: a print beyond its best only moves the stop away.
    """
    terms = _terms(order)
    if not terms.trailing_bips:
        return is_met(order, price_ticks)
    sign = 1 if order.side == SELL else -1
    return terms.segment is not None and stop_key(sign, terms.best_ticks, terms.trailing_bips) >= sign * price_ticks


class Conditional:
    """What waits for a print below (`fall`) or above (`rise`), and the active trailing stops of both sides.

    A print at a price p with low < p < high triggers nothing, activates nothing and is nobody's new best price.
    """

    __slots__ = ("fall", "high", "low", "rise", "trailing_buys", "trailing_sells")

    def __init__(self) -> None:
        self.fall: list[Entry] = []
        self.rise: list[Entry] = []
        self.trailing_sells = Trailing(SELL)
        self.trailing_buys = Trailing(BUY)
        self.low = NEVER_LOW
        self.high = NEVER_HIGH

    def add(self, order: Order, best_ticks: int) -> None:
        """`best_ticks` is that of an active trailing order, 0 for every other one."""
        if best_ticks:
            self._trailing(order).add(order, best_ticks)
        else:
            entries, key = self._place(order, _terms(order))
            insort(entries, (*key, order))
        self._look()

    def remove(self, order: Order) -> None:
        terms = _terms(order)
        if terms.segment is not None:
            self._trailing(order).remove(order)
        else:
            entries, key = self._place(order, terms)
            del entries[bisect_left(entries, key)]
        self._look()

    def take(self, price_ticks: int) -> list[tuple[int, Order]]:
        """A print: remove what it triggers, as (stop price, order) in the order in which these take their turns.

        On a fall by descending stop price, on a rise ascending, ties by creation. Best prices follow, and what the
        print activates begins to trail.
        """
        self.trailing_sells.follow(price_ticks)
        self.trailing_buys.follow(price_ticks)
        falls = self._met(self.fall, price_ticks, price_ticks) + self.trailing_sells.take(price_ticks)
        rises = self._met(self.rise, -price_ticks, price_ticks) + self.trailing_buys.take(price_ticks)
        falls.sort(reverse=True)
        rises.sort(reverse=True)
        self._look()
        return [(key, order) for key, _, order in falls] + [(-key, order) for key, _, order in rises]

    def _met(self, entries: list[Entry], least_key: int, price_ticks: int) -> list[Entry]:
        """Remove what has a key of at least that; the orders that trigger, while the trailing ones become active."""
        first = bisect_left(entries, (least_key,))
        met = entries[first:]
        del entries[first:]
        triggered: list[Entry] = []
        for entry in met:
            order = entry[2]
            if _terms(order).trailing_bips:
                self._trailing(order).add(order, price_ticks)
            else:
                triggered.append(entry)
        return triggered

    def _trailing(self, order: Order) -> Trailing:
        return self.trailing_buys if order.side == BUY else self.trailing_sells

    def _place(self, order: Order, terms: Terms) -> tuple[list[Entry], tuple[int, int]]:
        if falls_to(order):
            return self.fall, (terms.stop_price_ticks, -terms.accepted_seq)
        return self.rise, (-terms.stop_price_ticks, -terms.accepted_seq)

    def _look(self) -> None:
        """The nearest prices at which anything happens: a trigger, an activation, a new best price."""
        sells, buys = self.trailing_sells, self.trailing_buys
        self.low = max(
            self.fall[-1][0] if self.fall else NEVER_LOW,
            sells.fronts[-1][0] if sells.fronts else NEVER_LOW,
            buys.bests[-1] - 1 if buys.bests else NEVER_LOW,
        )
        self.high = min(
            -self.rise[-1][0] if self.rise else NEVER_HIGH,
            -buys.fronts[-1][0] if buys.fronts else NEVER_HIGH,
            -sells.bests[-1] + 1 if sells.bests else NEVER_HIGH,
        )


def _terms(order: Order) -> Terms:
    assert order.terms is not None
    return order.terms
