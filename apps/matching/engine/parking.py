"""Parking: a limit order outside the price band waits for review instead of being refused (T7, matching-rules.md 2).

Where the market says so, and only LIMIT orders that are GTC or GTD, placed by themselves. Every other check has passed
by then. A parked order has its order_id, owns its client id and holds its funds; it stands in no book, can be cancelled
in every market state, and ends when nobody has reviewed it in time, or at its own end if that comes first.

One timer does both: due at the earlier time, with the seq of ORDER_PARKED.
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.ending import end_resting
from apps.matching.engine.open_orders import start_terms, wait_order
from apps.matching.engine.shares import tell_held
from apps.matching.engine.state import State
from apps.matching.engine.terms import Terms
from apps.streams.kinds import OrderKind, OrderStatus, Reason, TimeInForce, Waiting

_LIMIT: Final = int(OrderKind.LIMIT)
_MAY_WAIT: Final = frozenset({int(TimeInForce.GTC), int(TimeInForce.GTD)})
_PARKED: Final = int(Waiting.PARKED)


def may_park(order: Order) -> bool:
    """Asked of an order whose only fault is its price's distance from the reference."""
    return order.market.settings.park_outside_band and order.kind == _LIMIT and order.time_in_force in _MAY_WAIT


def mark_for_review(order: Order) -> None:
    """The order will be parked where the checks that follow let it in."""
    if order.terms is None:
        order.terms = Terms()
    order.terms.waiting = _PARKED


def is_parked(order: Order) -> bool:
    return order.terms is not None and order.terms.waiting == _PARKED


def park_order(state: State, order: Order, terms: Terms) -> None:
    """The order has its id and its hold."""
    journal, market = state.journal, order.market
    journal.accepted(order, 0)
    terms.accepted_seq = journal.seq
    tell_held(journal, order)
    due_ms = journal.now_ms + market.settings.park_expiry_s * 1_000
    if terms.expires_ms:
        due_ms = min(due_ms, terms.expires_ms)
    journal.parked(order, market.reference_price(), due_ms)
    wait_order(state, order)
    terms.park_due_ms, terms.parked_seq = due_ms, journal.seq
    start_terms(state, order, terms)


def end_review(state: State, order: Order, terms: Terms) -> None:
    """The timer of a parked order: its own end has come, or nobody reviewed it in time."""
    own_end = terms.expires_ms == terms.park_due_ms
    end_resting(state, order, OrderStatus.EXPIRED, Reason.EXPIRED_BY_TIME if own_end else Reason.PARK_EXPIRED)
