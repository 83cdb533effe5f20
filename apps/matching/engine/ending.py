"""An open order ends other than by being filled: it leaves its book or the place where it waits, gives back its hold,
and one event says so.
"""

from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.funds import release_for
from apps.matching.engine.open_orders import forget_order, stop_waiting, withdraw_order
from apps.matching.engine.state import State


def end_resting(state: State, order: Order, status: int, reason: int, cancel_client_id: bytes = NO_CLIENT_ID) -> None:
    """`status` is an OrderStatus, `reason` a Reason; `cancel_client_id` that of the cancel command."""
    if order.level is None:
        stop_waiting(order)
        forget_order(state, order)
        release_for(order)
        state.journal.closed(order, status, reason, cancel_client_id)
        return
    level_lots = withdraw_order(state, order)
    release_for(order)
    state.journal.closed(order, status, reason, cancel_client_id, True, level_lots)
