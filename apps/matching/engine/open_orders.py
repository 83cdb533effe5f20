"""An open order stands at its seat and, with a client id, as that id's owner; in its book, or it waits. Only here.

With an end in time it also has a timer (expiry.py, parking.py), which goes with it. A block order is counted at the
accounts that have a share of it.
"""

from apps.matching.engine.allocation import Block
from apps.matching.engine.book import BUY, Order
from apps.matching.engine.conditional import Conditional
from apps.matching.engine.state import State
from apps.matching.engine.terms import CONDITIONAL, TRIGGERED, Terms


def rest_order(state: State, order: Order) -> int:
    """Enter the order at the back of its level; the level's lots then."""
    order.seat.open_orders[order.order_id] = order
    if order.id_key:
        state.client_ids.owners[order.id_key] = order
    return (order.market.bids if order.side == BUY else order.market.asks).add(order)


def wait_order(state: State, order: Order) -> None:
    """Enter the order without a place in a book; its terms say what it waits for."""
    order.seat.open_orders[order.order_id] = order
    if order.id_key:
        state.client_ids.owners[order.id_key] = order


def start_terms(state: State, order: Order, terms: Terms) -> None:
    """What an open order's terms ask of others: its timer, its seat's count of icebergs, its accounts' of shares."""
    if terms.parked_seq:
        state.timers.add(terms.park_due_ms, terms.parked_seq, order)
    elif terms.expires_ms:
        state.timers.add(terms.expires_ms, terms.accepted_seq, order)
    if terms.display_lots:
        order.seat.iceberg_orders += 1
    if terms.block is not None:
        _count_shares(terms.block, 1)


def await_trigger(order: Order, best_ticks: int) -> None:
    """The open order waits for a print; `best_ticks` is that of an active trailing one, else 0."""
    terms, market = order.terms, order.market
    assert terms is not None
    terms.waiting = CONDITIONAL
    order.seat.conditional_orders += 1
    if market.conditional is None:
        market.conditional = Conditional()
    market.conditional.add(order, best_ticks)


def join_triggered(order: Order, seq: int) -> None:
    """To the back of the market's FIFO; `seq` is that of the event that says so."""
    terms = order.terms
    assert terms is not None
    terms.waiting, terms.queued_seq = TRIGGERED, seq
    order.market.triggered[order.order_id] = order


def forget_order(state: State, order: Order) -> None:
    """The order has left its level, or stopped to wait, for good: out of the indexes, its client id into the ring."""
    del order.seat.open_orders[order.order_id]
    state.client_ids.remember(order)
    if order.terms is not None:
        _forget_terms(state, order, order.terms)


def leave_at_entry(state: State, order: Order) -> None:
    """The order has ended without coming to rest. One that waited before was open until now."""
    if order.terms is not None and order.terms.queued_seq:
        forget_order(state, order)
    else:
        state.client_ids.remember(order)


def withdraw_order(state: State, order: Order) -> int:
    """Take a resting order out of its book and the indexes; the lots its level still has."""
    level_lots = (order.market.bids if order.side == BUY else order.market.asks).remove(order)
    del order.seat.open_orders[order.order_id]
    state.client_ids.remember(order)
    if order.terms is not None:
        _forget_terms(state, order, order.terms)
    return level_lots


def recall_order(state: State, order: Order) -> None:
    """The order waits no longer and is on its way into the book: at its seat again when it rests. It keeps its id."""
    terms = order.terms
    assert terms is not None
    assert terms.waiting
    del order.seat.open_orders[order.order_id]
    _forget_terms(state, order, terms)
    terms.waiting = terms.park_due_ms = terms.parked_seq = 0


def stop_waiting(order: Order) -> None:
    """Out of the place where it waits for a print or for its turn."""
    terms, market = order.terms, order.market
    assert terms is not None
    if terms.waiting == CONDITIONAL:
        assert market.conditional is not None
        market.conditional.remove(order)
        order.seat.conditional_orders -= 1
    elif terms.waiting == TRIGGERED:
        market.triggered.pop(order.order_id, None)  # the print that triggers it may end it before it has joined


def _forget_terms(state: State, order: Order, terms: Terms) -> None:
    """The opposite of start_terms."""
    if terms.expires_ms or terms.parked_seq:
        state.timers.leave_behind()
    if terms.display_lots:
        order.seat.iceberg_orders -= 1
    if terms.block is not None:
        _count_shares(terms.block, -1)


def _count_shares(block: Block, more: int) -> None:
    for share in block.shares:
        share.seat.account.open_shares += more
