"""The FIFO of triggered orders is emptied (matching-rules.md 5).

It happens at the end of the command that filled it, or that brings the market back to OPEN. What one order triggers in
turn joins the back, so a cascade is a loop and no recursion; as each order triggers once, it ends. In every state but
OPEN the FIFO stands still.
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.ending import leave_list
from apps.matching.engine.expiry import has_expired
from apps.matching.engine.funds import release_for
from apps.matching.engine.market import Market
from apps.matching.engine.open_orders import forget_order
from apps.matching.engine.order_kinds import BECOMES, KINDS
from apps.matching.engine.order_list import order_list_of
from apps.matching.engine.pending import enter_pending
from apps.matching.engine.state import State
from apps.streams.kinds import MarketState, OrderStatus, Reason

_OPEN: Final = int(MarketState.OPEN)


def run_triggered(state: State, market: Market) -> None:
    """Each order of the FIFO in turn, as long as the market is open."""
    while market.triggered and market.state == _OPEN:
        _, order = market.triggered.popitem(last=False)
        order_list = order_list_of(order)
        if order_list is not None and order_list.holds_nothing(order):
            enter_pending(state, order_list)
        else:
            _take_turn(state, order)


def _take_turn(state: State, order: Order) -> None:
    """The order is checked again like a new one, and goes on as what it has become; refused, it expires."""
    terms = order.terms
    assert terms is not None
    terms.waiting = 0
    rules = KINDS[BECOMES.get(order.kind, order.kind)]
    if has_expired(order, state.journal.now_ms):
        reason: Reason | None = Reason.EXPIRED_BY_TIME
    else:
        reason = rules.fault(state, order)
    if reason is None:
        rules.enter(state, order)
        return
    forget_order(state, order)
    release_for(order)
    state.journal.closed(order, OrderStatus.EXPIRED, reason)
    leave_list(state, order, OrderStatus.EXPIRED, reason)
