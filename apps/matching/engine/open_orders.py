"""A resting order stands in its book, at its seat and, with a client id, as that id's owner. Only here.

With an end in time it also has a timer (expiry.py), which goes with it.
"""

from apps.matching.engine.book import BUY, Order
from apps.matching.engine.state import State


def rest_order(state: State, order: Order) -> int:
    """Enter the order at the back of its level; the level's lots then."""
    order.seat.open_orders[order.order_id] = order
    if order.id_key:
        state.client_ids.owners[order.id_key] = order
    return (order.market.bids if order.side == BUY else order.market.asks).add(order)


def forget_order(state: State, order: Order) -> None:
    """The order has left its level for good: out of the indexes, its client id into the ring."""
    del order.seat.open_orders[order.order_id]
    state.client_ids.remember(order)
    if order.terms is not None and order.terms.expires_ms:
        state.timers.leave_behind()


def withdraw_order(state: State, order: Order) -> int:
    """Take a resting order out of its book and the indexes; the lots its level still has."""
    level_lots = (order.market.bids if order.side == BUY else order.market.asks).remove(order)
    del order.seat.open_orders[order.order_id]
    state.client_ids.remember(order)
    if order.terms is not None and order.terms.expires_ms:
        state.timers.leave_behind()
    return level_lots
