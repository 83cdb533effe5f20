"""LIMIT orders: trade up to their price, then rest (GTC, GTD) or expire (IOC, FOK) (T1, T2, T4).

IOC expires what does not print at once. FOK prints whole or expires: a read-only run of the sweep tells, and where it
is short nothing else happens.
"""

from typing import Final

from apps.matching.engine.band import band_fault
from apps.matching.engine.book import Order
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.expiry import expiry_fault, start_expiry
from apps.matching.engine.filters import limit_fault, open_orders_fault
from apps.matching.engine.funds import hold_for, release_for
from apps.matching.engine.iceberg import hide_reserve, iceberg_fault
from apps.matching.engine.open_orders import rest_order
from apps.matching.engine.reach import limit_key, meets_book, would_print
from apps.matching.engine.state import State
from apps.matching.engine.sweep import sweep
from apps.streams.kinds import OrderStatus, Reason, TimeInForce

_GTC: Final = int(TimeInForce.GTC)
_GTD: Final = int(TimeInForce.GTD)
_FOK: Final = int(TimeInForce.FOK)
_IMMEDIATE: Final = frozenset({int(TimeInForce.IOC), _FOK})
_KNOWN: Final = frozenset({_GTC, _GTD}) | _IMMEDIATE


def is_well_formed(order: Order) -> bool:
    """A price, a quantity, and what its time in force takes: an end for GTD only, a display only where it can rest."""
    terms = order.terms
    return (
        order.price_ticks > 0
        and order.quantity_lots > 0
        and order.budget_units == 0
        and order.time_in_force in _KNOWN
        and (
            order.time_in_force != _GTD
            if terms is None
            else 0 <= terms.display_lots <= order.quantity_lots
            and terms.expires_ms >= 0
            and (terms.expires_ms > 0) == (order.time_in_force == _GTD)
            and order.time_in_force not in _IMMEDIATE
        )
    )


def place_limit(state: State, order: Order) -> Reason | None:
    """From the account's limits on; why it is refused, or None when it is in."""
    reason = hold_fault(order)
    if reason is not None:
        return reason
    enter(state, order)
    return None


def limit_order_fault(state: State, order: Order) -> Reason | None:
    """Filters and band."""
    reason = limit_fault(order)
    if reason is None and order.terms is not None:
        reason = iceberg_fault(order, order.terms) or expiry_fault(state, order)
    return reason or band_fault(order)


def hold_fault(order: Order) -> Reason | None:
    """The account's open orders, for an order that can rest; then hold what it needs."""
    if order.time_in_force not in _IMMEDIATE:
        reason = open_orders_fault(order)
        if reason is not None:
            return reason
    return None if hold_for(order) else Reason.INSUFFICIENT_BALANCE


def enter(state: State, order: Order) -> None:
    """The order is accepted and its funds are held: match it, then rest or expire what is left."""
    state.last_order_id += 1
    order.order_id = state.last_order_id
    journal = state.journal
    if not meets_book(order) and order.time_in_force not in _IMMEDIATE:
        if order.terms is not None:
            hide_reserve(order)
        journal.accepted(order, rest_order(state, order))
        order.priority = journal.seq
        if order.terms is not None:
            order.terms.accepted_seq = journal.seq
            start_expiry(state, order)
        return

    journal.accepted(order, 0)
    if order.terms is not None:
        order.terms.accepted_seq = journal.seq
    worst_key = limit_key(order)
    if order.time_in_force == _FOK and would_print(state, order, worst_key).lots < order.quantity_lots:
        stopped_by: Reason | None = Reason.NO_LIQUIDITY
    else:
        stopped_by = sweep(state, order, worst_key)
    if stopped_by is Reason.SELF_TRADE:
        _end(state, order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    elif not order.left_lots:
        state.client_ids.remember(order)
    elif order.time_in_force in _IMMEDIATE:
        _end(state, order, OrderStatus.EXPIRED, Reason.NO_LIQUIDITY)
    else:
        if order.terms is not None:
            hide_reserve(order)
            start_expiry(state, order)
        journal.rested(order, rest_order(state, order))
        order.priority = journal.seq
        if order.market.is_crossed():
            raise InvariantBroken("an order rests although it would match")


def _end(state: State, order: Order, status: OrderStatus, reason: Reason) -> None:
    """It never came to rest; what it still holds is released."""
    release_for(order)
    state.client_ids.remember(order)
    state.journal.closed(order, status, reason)
