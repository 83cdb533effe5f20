"""MARKET orders, by base quantity or by quote budget. They never rest (T3, matching-rules.md 2)."""

from typing import Final

from apps.matching.engine.book import BUY, Order
from apps.matching.engine.budget import Budget
from apps.matching.engine.ending import leave_list
from apps.matching.engine.filters import market_budget_fault, market_quantity_fault
from apps.matching.engine.funds import hold, hold_for, pays_with, release, release_for
from apps.matching.engine.halt import trip_breaker
from apps.matching.engine.open_orders import forget_order
from apps.matching.engine.reach import NO_LIMIT, would_print
from apps.matching.engine.shares import tell_held
from apps.matching.engine.state import State
from apps.matching.engine.sweep import sweep
from apps.streams.kinds import OrderStatus, Reason, TimeInForce

_NONE: Final = int(TimeInForce.NONE)


def is_well_formed(order: Order) -> bool:
    """Exactly one of quantity and budget, and no terms that only other kinds have."""
    terms = order.terms
    return (
        order.price_ticks == 0
        and order.quantity_lots >= 0
        and order.budget_units >= 0
        and (order.quantity_lots > 0) != (order.budget_units > 0)
        and order.time_in_force == _NONE
        and (terms is None or not terms.display_lots | terms.expires_ms | terms.stop_price_ticks | terms.trailing_bips)
    )


def market_order_fault(state: State, order: Order) -> Reason | None:
    """Filters."""
    return market_budget_fault(order) if order.budget_units else market_quantity_fault(order)


def place_market(state: State, order: Order) -> Reason | None:
    """From the funds on; why it is refused, or None when it was accepted and has ended."""
    return _by_budget(state, order) if order.budget_units else _by_quantity(state, order)


def _by_quantity(state: State, order: Order) -> Reason | None:
    """A buy must afford what would print and holds nothing; a sell must have, and holds, its whole quantity."""
    if order.side == BUY:
        if order.seat.quote.available_units < would_print(state, order, NO_LIMIT).quote_units:
            return Reason.INSUFFICIENT_BALANCE
    elif not hold_for(order):
        return Reason.INSUFFICIENT_BALANCE

    _accept(state, order)
    stopped_by = sweep(state, order, NO_LIMIT)
    state.client_ids.remember(order)
    if order.left_lots or stopped_by is Reason.SELF_TRADE:
        if order.side != BUY:
            release_for(order)
        _expire(state, order, stopped_by)
    return None


def enter_market(state: State, order: Order) -> None:
    """A triggered one, which has its hold: a sell its quantity, a buy a sum that each print must stay within.

    It ends EXPIRED where the book ends first, or where what is left of the sum buys no lot.
    """
    terms = order.terms
    assert terms is not None
    budget = Budget(order, terms.hold_units) if order.side == BUY else None
    stopped_by = sweep(state, order, NO_LIMIT, budget)
    terms.hold_units = 0
    forget_order(state, order)
    if not order.left_lots and stopped_by is not Reason.SELF_TRADE:
        leave_list(state, order, OrderStatus.FILLED, Reason.NONE)
        return
    pays = pays_with(order)
    release(pays, order.left_lots * order.market.lot_size if budget is None else budget.rest_units())
    if stopped_by is Reason.BUDGET_SPENT:
        _close(state, order, OrderStatus.EXPIRED, Reason.HOLD_SPENT)
    else:
        _expire(state, order, stopped_by)


def enter_unheld(state: State, order: Order) -> None:
    """A pending one of a list: a sell holds its quantity since just now, a buy nothing, as when it is placed."""
    stopped_by = sweep(state, order, NO_LIMIT)
    forget_order(state, order)
    if not order.left_lots and stopped_by is not Reason.SELF_TRADE:
        leave_list(state, order, OrderStatus.FILLED, Reason.NONE)
        return
    if order.side != BUY:
        release_for(order)
    _expire(state, order, stopped_by)


def _by_budget(state: State, order: Order) -> Reason | None:
    """A buy holds its budget, a sell the lots whose proceeds stay within it. What is left over is released."""
    pays = pays_with(order)
    lot_size = order.market.lot_size
    if order.side == BUY:
        need = order.budget_units
    else:
        need = would_print(state, order, NO_LIMIT, budget_units=order.budget_units).lots * lot_size
    if pays.available_units < need:
        return Reason.INSUFFICIENT_BALANCE
    hold(pays, need)

    _accept(state, order)
    budget = Budget(order, order.budget_units)
    stopped_by = sweep(state, order, NO_LIMIT, budget)
    state.client_ids.remember(order)
    release(pays, budget.rest_units() if order.side == BUY else need - order.filled_lots * lot_size)
    if stopped_by is not Reason.SELF_TRADE and (stopped_by is Reason.BUDGET_SPENT or not budget.rest_units()):
        if budget.ended_by_prevention():
            state.journal.closed(order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
        else:
            state.journal.closed(order, OrderStatus.FILLED, Reason.BUDGET_SPENT)
    else:
        _expire(state, order, stopped_by)
    return None


def _accept(state: State, order: Order) -> None:
    state.last_order_id += 1
    order.order_id = state.last_order_id
    state.journal.accepted(order, 0)
    if order.terms is not None:
        tell_held(state.journal, order)


def _expire(state: State, order: Order, stopped_by: Reason | None) -> None:
    """The rest expires: the book ended first, or self-trade prevention or a circuit breaker stopped it."""
    if stopped_by is Reason.SELF_TRADE:
        _close(state, order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    elif stopped_by is Reason.BREAKER:
        _close(state, order, OrderStatus.EXPIRED, Reason.BREAKER)
        trip_breaker(state, order.market)
    else:
        _close(state, order, OrderStatus.EXPIRED, Reason.NO_LIQUIDITY)


def _close(state: State, order: Order, status: OrderStatus, reason: Reason) -> None:
    state.journal.closed(order, status, reason)
    if order.terms is not None:
        leave_list(state, order, status, reason)
