"""LIMIT orders, good till cancelled: trade up to their price, then rest (T1, T2)."""

from typing import Final

from apps.matching.engine.band import band_fault
from apps.matching.engine.book import Order
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.filters import limit_fault, open_orders_fault
from apps.matching.engine.funds import hold_for, release_for
from apps.matching.engine.open_orders import rest_order
from apps.matching.engine.state import State
from apps.matching.engine.sweep import limit_key, sweep, would_match
from apps.streams.kinds import OrderStatus, Reason, TimeInForce

_GTC: Final = int(TimeInForce.GTC)


def is_well_formed(order: Order) -> bool:
    return (
        order.price_ticks > 0
        and order.quantity_lots > 0
        and order.budget_units == 0
        and order.time_in_force == _GTC
    )  # fmt: skip


def place_limit(state: State, order: Order) -> Reason | None:
    """From the filters on; why it is refused, or None when it is in."""
    reason = limit_fault(order) or band_fault(order) or open_orders_fault(order)
    if reason is not None:
        return reason
    if not hold_for(order):
        return Reason.INSUFFICIENT_BALANCE
    state.last_order_id += 1
    order.order_id = state.last_order_id

    journal = state.journal
    if not would_match(order):
        journal.accepted(order, rest_order(state, order))
        order.priority = journal.seq
        return None

    journal.accepted(order, 0)
    stopped_by = sweep(state, order, limit_key(order))
    if not order.left_lots:
        state.client_ids.remember(order)
    elif stopped_by is Reason.SELF_TRADE:
        release_for(order)
        state.client_ids.remember(order)
        journal.closed(order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    else:
        journal.rested(order, rest_order(state, order))
        order.priority = journal.seq
        if order.market.is_crossed():
            raise InvariantBroken("an order rests although it would match")
    return None
