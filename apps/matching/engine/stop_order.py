"""STOP_LOSS, TAKE_PROFIT and their limit forms, until they trigger (T3, T4, matching-rules.md 5).

Such an order is checked, holds its funds and waits in no book. A limit form holds what its limit order would, a sell
its quantity, a market buy its notional at the stop price and the market's buffer. It is an open order in every other
way.
"""

from typing import Final

from apps.common.amounts import AMOUNT_MAX, BASIS_POINTS, ceil_div
from apps.matching.engine import limit
from apps.matching.engine.book import BUY, Order
from apps.matching.engine.conditional import is_met
from apps.matching.engine.expiry import expiry_fault
from apps.matching.engine.filters import (
    account_limits_fault,
    conditional_orders_fault,
    limit_fault,
    market_lots_fault,
    stop_price_fault,
)
from apps.matching.engine.funds import hold_waiting, release_for
from apps.matching.engine.iceberg import iceberg_fault
from apps.matching.engine.open_orders import await_trigger, start_terms, wait_order
from apps.matching.engine.state import State
from apps.matching.engine.terms import Terms
from apps.matching.engine.trailing import stop_key
from apps.streams.kinds import OrderKind, Reason, TimeInForce

TRAILING_BIPS_MIN: Final = 10
TRAILING_BIPS_MAX: Final = 2_000

_NONE: Final = int(TimeInForce.NONE)
_MARKET_KINDS: Final = frozenset({int(OrderKind.STOP_LOSS), int(OrderKind.TAKE_PROFIT)})


def is_well_formed_limit(order: Order) -> bool:
    """A limit order with a stop price, a trailing distance, or both."""
    return _has_trigger(order) and limit.is_well_formed(order, has_trigger=True)


def is_well_formed_market(order: Order) -> bool:
    """A quantity, no price, no budget, and a stop price, a trailing distance, or both."""
    terms = order.terms
    return (
        _has_trigger(order)
        and terms is not None
        and order.price_ticks == 0
        and order.quantity_lots > 0
        and order.budget_units == 0
        and order.time_in_force == _NONE
        and not terms.display_lots
        and not terms.expires_ms
    )


def _has_trigger(order: Order) -> bool:
    terms = order.terms
    return terms is not None and terms.stop_price_ticks >= 0 and terms.stop_price_ticks + terms.trailing_bips > 0


def stop_limit_fault(state: State, order: Order) -> Reason | None:
    """Filters; the price band is asked when the order triggers."""
    return (
        _trigger_fault(order) or limit_fault(order) or iceberg_fault(order, _terms(order)) or expiry_fault(state, order)
    )


def stop_market_fault(state: State, order: Order) -> Reason | None:
    """Filters, with the notional at the stop price, and whether what a buy holds fits into an amount."""
    reason = _trigger_fault(order) or market_lots_fault(order, first_stop(order))
    if reason is None and order.side == BUY and buffered_units(order) > AMOUNT_MAX:
        return Reason.OVERFLOW
    return reason


def _trigger_fault(order: Order) -> Reason | None:
    terms = _terms(order)
    if terms.stop_price_ticks:
        reason = stop_price_fault(order.market.settings, terms.stop_price_ticks)
        if reason is not None:
            return reason
    if terms.trailing_bips and not TRAILING_BIPS_MIN <= terms.trailing_bips <= TRAILING_BIPS_MAX:
        return Reason.TRAILING_DELTA
    return None


def first_stop(order: Order) -> int:
    """The stop price as of now: that of a trailing order as if its best price were its activation price, or the last
    price where it is active at once.
    """
    terms = _terms(order)
    if not terms.trailing_bips:
        return terms.stop_price_ticks
    last_ticks = order.market.reference_price()
    best_ticks = last_ticks if is_met(order, last_ticks) else terms.stop_price_ticks
    sign = -1 if order.side == BUY else 1
    return sign * stop_key(sign, best_ticks, terms.trailing_bips)


def buffered_units(order: Order) -> int:
    """What a conditional market buy holds."""
    notional_units = first_stop(order) * order.quantity_lots * order.market.unit_factor
    buffer_bp = order.market.settings.conditional_buffer_bp
    return ceil_div(notional_units * (BASIS_POINTS + buffer_bp), BASIS_POINTS)


def set_hold(order: Order) -> None:
    """What a conditional market buy will hold; nothing for any other order."""
    if order.kind in _MARKET_KINDS and order.side == BUY:
        _terms(order).hold_units = buffered_units(order)


def place_conditional(state: State, order: Order) -> Reason | None:
    """From the account's limits on; why it is refused, or None when it waits."""
    terms, market = _terms(order), order.market
    reason = account_limits_fault(order) or conditional_orders_fault(order)
    if reason is not None:
        return reason
    set_hold(order)
    if not hold_waiting(order):
        return Reason.INSUFFICIENT_BALANCE
    last_ticks = market.reference_price()
    met = is_met(order, last_ticks)
    if met and not terms.trailing_bips:
        release_for(order)
        return Reason.WOULD_TRIGGER

    state.last_order_id += 1
    order.order_id = state.last_order_id
    state.journal.waits(order)
    terms.accepted_seq = state.journal.seq
    wait_order(state, order)
    await_trigger(order, last_ticks if met else 0)
    start_terms(state, order, terms)
    return None


def _terms(order: Order) -> Terms:
    assert order.terms is not None
    return order.terms
