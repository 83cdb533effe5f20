"""LIMIT orders: trade up to their price, then rest (GTC, GTD) or expire (IOC, FOK) (T1, T2, T4).

LIMIT_MAKER, post-only, rests or is refused where it would match an order that has not expired, its own family's too.

IOC expires what does not print at once. FOK prints whole or expires: a read-only run of the sweep tells, and where it
is short nothing else happens.
"""

from typing import Final

from apps.matching.engine.band import band_fault
from apps.matching.engine.book import Order
from apps.matching.engine.call_phase import meets_family
from apps.matching.engine.ending import leave_list
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.expiry import expiry_fault
from apps.matching.engine.filters import account_limits_fault, limit_fault
from apps.matching.engine.funds import hold_for, release_for
from apps.matching.engine.halt import trip_breaker
from apps.matching.engine.iceberg import hide_reserve, iceberg_fault
from apps.matching.engine.open_orders import leave_at_entry, rest_order, start_terms
from apps.matching.engine.parking import park_order
from apps.matching.engine.reach import limit_key, meets_book, would_match, would_print
from apps.matching.engine.shares import tell_held
from apps.matching.engine.state import State
from apps.matching.engine.sweep import sweep
from apps.streams.kinds import MarketState, OrderKind, OrderStatus, Reason, StpMode, TimeInForce

_LIMIT_MAKER: Final = int(OrderKind.LIMIT_MAKER)
_GTC: Final = int(TimeInForce.GTC)
_GTD: Final = int(TimeInForce.GTD)
_AUCTION: Final = int(MarketState.AUCTION)
_FOK: Final = int(TimeInForce.FOK)
_IMMEDIATE: Final = frozenset({int(TimeInForce.IOC), _FOK})
_KNOWN: Final = frozenset({_GTC, _GTD}) | _IMMEDIATE


def is_well_formed(order: Order, *, has_trigger: bool = False) -> bool:
    """A price, a quantity, and what its time in force takes: an end for GTD only, a display only where it can rest.

    `has_trigger` says whether it must have one, or must not.
    """
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
            and (order.time_in_force not in _IMMEDIATE or not terms.display_lots | terms.expires_ms)
            and bool(terms.stop_price_ticks | terms.trailing_bips) == has_trigger
        )
    )


def is_well_formed_maker(order: Order) -> bool:
    """LIMIT_MAKER is there to rest."""
    return order.time_in_force not in _IMMEDIATE and is_well_formed(order)


def limit_order_fault(state: State, order: Order) -> Reason | None:
    """Filters and band."""
    reason = limit_fault(order)
    if reason is None and order.terms is not None:
        reason = iceberg_fault(order, order.terms) or expiry_fault(state, order)
    return reason or band_fault(order)


def place_limit(state: State, order: Order) -> Reason | None:
    """From the account's limits on, LIMIT_MAKER too; why it is refused, or None when it is in."""
    immediate, terms = order.time_in_force in _IMMEDIATE, order.terms
    if not immediate:
        reason = account_limits_fault(order)
        if reason is not None:
            return reason
    if not hold_for(order):
        return Reason.INSUFFICIENT_BALANCE
    if order.kind == _LIMIT_MAKER and would_match(state, order):
        release_for(order)
        return Reason.WOULD_MATCH

    state.last_order_id += 1
    order.order_id = state.last_order_id
    if terms is not None and terms.waiting:
        park_order(state, order, terms)
        return None
    journal = state.journal
    if not immediate and not meets_book(order):
        if terms is not None:
            hide_reserve(order)
        journal.accepted(order, rest_order(state, order))
        order.priority = journal.seq
        if terms is not None:
            terms.accepted_seq = journal.seq
            start_terms(state, order, terms)
            tell_held(journal, order)
        return None

    journal.accepted(order, 0)
    if terms is not None:
        terms.accepted_seq = journal.seq
        tell_held(journal, order)
    match_and_rest(state, order)
    return None


def match_and_rest(state: State, order: Order) -> None:
    """What an accepted order does in its market: it trades up to its price; the rest of it rests or expires."""
    if order.market.state == _AUCTION:
        _join_call(state, order)
        return
    worst_key = limit_key(order)
    if order.time_in_force == _FOK and would_print(state, order, worst_key).lots < order.quantity_lots:
        stopped_by: Reason | None = Reason.NO_LIQUIDITY
    else:
        stopped_by = sweep(state, order, worst_key)
    if stopped_by is Reason.SELF_TRADE:
        _end(state, order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    elif not order.left_lots:
        leave_at_entry(state, order)
        if order.terms is not None:
            leave_list(state, order, OrderStatus.FILLED, Reason.NONE)
    elif stopped_by is Reason.BREAKER:
        _end(state, order, OrderStatus.EXPIRED, Reason.BREAKER)
        trip_breaker(state, order.market)
    elif order.time_in_force in _IMMEDIATE:
        _end(state, order, OrderStatus.EXPIRED, Reason.NO_LIQUIDITY)
    else:
        _rest(state, order)
        if order.market.is_crossed():
            raise InvariantBroken("an order rests although it would match")


def _join_call(state: State, order: Order) -> None:
    """A call phase: the order rests, crossing or not, unless it meets its own family."""
    met = meets_family(state, order)
    if met is None:
        _rest(state, order)
        return
    order.market.last_prevented_id += 1
    lots = min(order.left_lots, met.open_lots)
    state.journal.prevented(order.market.last_prevented_id, order, met, lots, StpMode.EXPIRE_TAKER)
    _end(state, order, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)


def _rest(state: State, order: Order) -> None:
    terms = order.terms
    if terms is not None:
        hide_reserve(order)
        if terms.queued_seq:  # it was open before, with its timer and counts
            terms.queued_seq = 0
        else:
            start_terms(state, order, terms)
    state.journal.rested(order, rest_order(state, order))
    order.priority = state.journal.seq


def _end(state: State, order: Order, status: OrderStatus, reason: Reason) -> None:
    """It never came to rest; what it still holds is released."""
    release_for(order)
    leave_at_entry(state, order)
    state.journal.closed(order, status, reason)
    if order.terms is not None:
        leave_list(state, order, status, reason)
