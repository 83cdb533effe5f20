"""Icebergs: only the tip is shown; used up, it is refilled from the reserve at the back of its level (T6).

The incoming order trades with its whole quantity and shows nothing. What rests shows min(display, rest). A refill's
place is that of its event: everything shown at the price trades before it.
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.state import State
from apps.matching.engine.terms import Terms
from apps.streams.kinds import Reason

PARTS_MAX: Final = 100  # of the whole quantity, so that no order prints, or is walked over, without end


def iceberg_fault(order: Order, terms: Terms) -> Reason | None:
    """The tip must be an order's size, and the parts must not be too many."""
    if not terms.display_lots:
        return None
    if terms.display_lots < order.market.settings.min_lots:
        return Reason.LOT_SIZE
    if terms.display_lots * PARTS_MAX < order.quantity_lots:
        return Reason.ICEBERG_PARTS
    return None


def hide_reserve(order: Order) -> None:
    """The order comes to rest: what is above its display becomes the reserve."""
    terms = order.terms
    if terms is not None and 0 < terms.display_lots < order.left_lots:
        terms.reserve_lots = order.left_lots - terms.display_lots
        order.left_lots = terms.display_lots


def refill(state: State, order: Order, terms: Terms) -> None:
    """The tip is used up: the next one goes to the back of the level, with the place of this event."""
    level = order.level
    assert level is not None
    if order is not level.tail:
        before, after = order.prev, order.next
        assert after is not None
        if before is None:
            level.head = after
        else:
            before.next = after
        after.prev = before
        assert level.tail is not None
        level.tail.next = order
        order.prev, order.next = level.tail, None
        level.tail = order
    order.left_lots = tip = min(terms.display_lots, terms.reserve_lots)
    terms.reserve_lots -= tip
    level.lots += tip
    level.hidden_lots -= tip
    state.journal.iceberg_refilled(order, level.lots)
    order.priority = state.journal.seq
