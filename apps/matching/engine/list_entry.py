"""Orders of a list begin: at once, or when a pending part takes its turn. Their funds are held."""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.conditional import is_met
from apps.matching.engine.limit import match_and_rest
from apps.matching.engine.open_orders import await_trigger, start_terms
from apps.matching.engine.reach import would_match
from apps.matching.engine.state import State
from apps.streams.kinds import CONDITIONAL_KINDS, OrderKind, Reason

_LIMIT_MAKER: Final = int(OrderKind.LIMIT_MAKER)


def at_once_fault(state: State, order: Order) -> Reason | None:
    """It must not match at once (LIMIT_MAKER), or trigger at once (conditional orders that do not trail)."""
    if order.kind == _LIMIT_MAKER and would_match(state, order):
        return Reason.WOULD_MATCH
    if order.kind in CONDITIONAL_KINDS:
        assert order.terms is not None
        if not order.terms.trailing_bips and is_met(order, order.market.reference_price()):
            return Reason.WOULD_TRIGGER
    return None


def enter(state: State, orders: list[Order]) -> None:
    """Accepted orders that hold their funds begin: what waits for a trigger first, then what goes into the book."""
    for order in orders:
        if order.kind in CONDITIONAL_KINDS:
            assert order.terms is not None
            last_ticks = order.market.reference_price()
            await_trigger(order, last_ticks if is_met(order, last_ticks) else 0)
            if order.terms.queued_seq:  # it was open before, with its timer and counts
                order.terms.queued_seq = 0
            else:
                start_terms(state, order, order.terms)
    for order in orders:
        if order.kind not in CONDITIONAL_KINDS:
            match_and_rest(state, order)
