"""Evaluating conditional orders after a print: what it triggers joins the market's FIFO (T5, matching-rules.md 5).

Nothing runs here. An order takes its turn when the incoming order has rested or ended (triggered.py).
"""

from apps.matching.engine.ending import end_sibling
from apps.matching.engine.market import Market
from apps.matching.engine.open_orders import join_triggered
from apps.matching.engine.state import State
from apps.matching.engine.terms import TRIGGERED


def evaluate(state: State, market: Market, price_ticks: int) -> None:
    """After a print at this price, the market's last one. A second call at the same price changes nothing.

    All that it triggers has left the structure before the first event says so; an order that another one's trigger ends
    is passed by.
    """
    watched = market.conditional
    if watched is None or watched.low < price_ticks < watched.high:
        return
    taken = watched.take(price_ticks)
    for _, order in taken:
        assert order.terms is not None
        order.terms.waiting = TRIGGERED
        order.seat.conditional_orders -= 1
    for stop_price_ticks, order in taken:
        if order.order_id in order.seat.open_orders:
            state.journal.triggered(order, stop_price_ticks, price_ticks)
            join_triggered(order, state.journal.seq)
            end_sibling(state, order)
