"""GTD: an order is good till its expires_ms. From that millisecond on it never trades (T4, matching-rules.md 2).

Its timer ends it before the first command of that time. Where more timers are due than run before one command, a taker
may meet it first: then it ends there, and the taker goes on with the next one.
"""

from apps.matching.engine.book import Order
from apps.matching.engine.ending import end_resting
from apps.matching.engine.state import State
from apps.streams.kinds import OrderStatus, Reason


def expiry_fault(state: State, order: Order) -> Reason | None:
    """A new order must end after now."""
    return Reason.EXPIRY_PASSED if has_expired(order, state.journal.now_ms) else None


def has_expired(order: Order, now_ms: int) -> bool:
    terms = order.terms
    return terms is not None and 0 < terms.expires_ms <= now_ms


def expire_order(state: State, order: Order) -> None:
    """The order's time has come."""
    end_resting(state, order, OrderStatus.EXPIRED, Reason.EXPIRED_BY_TIME)
