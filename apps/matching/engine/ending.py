"""An open order ends other than by being filled: it leaves its book or the place where it waits, gives back its hold,
and one event says so. With it ends what depends on it (order_list.py).
"""

from collections.abc import Iterable
from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.funds import release_for
from apps.matching.engine.open_orders import forget_order, join_triggered, stop_waiting, withdraw_order
from apps.matching.engine.order_list import Stage, order_list_of
from apps.matching.engine.state import State
from apps.streams.kinds import ListStatus, OrderStatus, Reason

_FILLED: Final = int(OrderStatus.FILLED)
_CANCELED: Final = int(OrderStatus.CANCELED)
_EXPIRED: Final = int(OrderStatus.EXPIRED)


def end_resting(state: State, order: Order, status: int, reason: int, cancel_client_id: bytes = NO_CLIENT_ID) -> None:
    """`status` is an OrderStatus, `reason` a Reason; `cancel_client_id` that of the cancel command."""
    _end(state, order, status, reason, cancel_client_id)
    if order.terms is not None and order.terms.order_list is not None:
        leave_list(state, order, status, reason)


def end_all(state: State, orders: Iterable[Order], status: int, reason: int) -> None:
    """In that order; a list ends whole at its first member."""
    for order in orders:
        if order.order_id in order.seat.open_orders:
            end_resting(state, order, status, reason)


def leave_list(state: State, order: Order, status: int, reason: int) -> None:
    """A member has ended, and was told so. Filled whole, a working order brings what is pending to the FIFO; any other
    end ends the others, CANCELED after a cancel, else EXPIRED. Nothing for an order of no list.
    """
    order_list = order_list_of(order)
    if order_list is None or order_list.legs.pop(order.order_id, None) is None:
        return
    if status == _FILLED and order_list.is_working(order):
        order_list.stage = Stage.QUEUED
        state.journal.list_changed(order_list, ListStatus.UPDATED)
        join_triggered(next(iter(order_list.legs.values())), state.journal.seq)
        return
    for other in list(order_list.legs.values()):
        if other.order_id in order_list.legs:
            if status == _CANCELED:
                end_resting(state, other, _CANCELED, reason)
            else:
                end_resting(state, other, _EXPIRED, Reason.LIST_ENDED)
    if not order_list.legs and not order_list.is_done:
        order_list.is_done = True
        order_list.seat.order_lists -= 1
        state.client_ids.remember(order_list)
        state.journal.list_changed(order_list, ListStatus.ALL_DONE)


def end_sibling(state: State, order: Order) -> None:
    """A leg of an OCO has traded, lost lots to a prevented match, or triggered: the other one ends."""
    order_list = order_list_of(order)
    sibling = None if order_list is None else order_list.sibling_of(order)
    if order_list is not None and sibling is not None:
        _end(state, sibling, _EXPIRED, Reason.LIST_ENDED, NO_CLIENT_ID)
        del order_list.legs[sibling.order_id]


def after_print(state: State, maker: Order) -> None:
    """A resting member of a list has traded."""
    end_sibling(state, maker)
    if not maker.open_lots:
        leave_list(state, maker, _FILLED, Reason.NONE)


def _end(state: State, order: Order, status: int, reason: int, cancel_client_id: bytes) -> None:
    if order.level is None:
        stop_waiting(order)
        forget_order(state, order)
        release_for(order)
        state.journal.closed(order, status, reason, cancel_client_id)
        return
    level_lots = withdraw_order(state, order)
    release_for(order)
    state.journal.closed(order, status, reason, cancel_client_id, True, level_lots)
