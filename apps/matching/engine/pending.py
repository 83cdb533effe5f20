"""The pending part of an OTO or OTOCO takes its turn: the working order has filled whole (matching-rules.md 5).

It is checked like a triggered order, and only now it needs its funds: filters and band, limits, funds, would match,
would trigger. Where one of its orders fails, all of it ends EXPIRED with that reason.
"""

from apps.matching.engine.book import BUY, Order
from apps.matching.engine.ending import leave_list
from apps.matching.engine.expiry import has_expired
from apps.matching.engine.filters import conditional_orders_fault
from apps.matching.engine.funds import hold, pays_with
from apps.matching.engine.list_entry import at_once_fault, enter
from apps.matching.engine.market_order import enter_unheld
from apps.matching.engine.open_orders import forget_order
from apps.matching.engine.order_kinds import KINDS
from apps.matching.engine.order_list import OrderList, Stage, need_of_whole, shared_units
from apps.matching.engine.reach import NO_LIMIT, would_print
from apps.matching.engine.state import State
from apps.matching.engine.stop_order import set_hold
from apps.streams.kinds import CONDITIONAL_KINDS, OrderKind, OrderStatus, Reason


def enter_pending(state: State, order_list: OrderList) -> None:
    orders = list(order_list.legs.values())
    seq = 0
    for order in orders:
        assert order.terms is not None
        seq = order.terms.queued_seq or seq
        order.terms.waiting = 0
        order.terms.queued_seq = seq  # both were open before
    reason = _fault(state, orders)
    if reason is not None:
        _refuse(state, order_list, orders, reason)
        return
    order_list.stage = Stage.ENTERED
    pays, units = pays_with(orders[0]), _need(orders)
    hold(pays, units)
    for order in orders:
        state.journal.pending_entered(order, order_list.list_id, is_waiting=order.kind in CONDITIONAL_KINDS)
    if orders[0].kind == OrderKind.MARKET:
        enter_unheld(state, orders[0])
    else:
        enter(state, orders)


def _fault(state: State, orders: list[Order]) -> Reason | None:
    """The first step at which one of them fails, in the order of work of an incoming order."""
    for order in orders:
        if has_expired(order, state.journal.now_ms):
            return Reason.EXPIRED_BY_TIME
    for order in orders:
        reason = KINDS[order.kind].fault(state, order)
        if reason is not None:
            return reason
    conditional = sum(order.kind in CONDITIONAL_KINDS for order in orders)
    reason = conditional_orders_fault(orders[0], conditional) if conditional else None
    if reason is not None:
        return reason
    for order in orders:
        set_hold(order)
    first = orders[0]
    wanted = _need(orders)
    if first.kind == OrderKind.MARKET and first.side == BUY:
        wanted = would_print(state, first, NO_LIMIT).quote_units
    if pays_with(first).available_units < wanted:
        return Reason.INSUFFICIENT_BALANCE
    for order in orders:
        reason = at_once_fault(state, order)
        if reason is not None:
            return reason
    return None


def _need(orders: list[Order]) -> int:
    """Units that they hold from now on; a market buy nothing."""
    return shared_units(*orders) if len(orders) == 2 else need_of_whole(orders[0])


def _refuse(state: State, order_list: OrderList, orders: list[Order], reason: Reason) -> None:
    for order in orders:
        assert order.terms is not None
        order.terms.hold_units = 0
        forget_order(state, order)
        state.journal.closed(order, OrderStatus.EXPIRED, reason)
    for order in orders[1:]:
        del order_list.legs[order.order_id]
    leave_list(state, orders[0], OrderStatus.EXPIRED, reason)
