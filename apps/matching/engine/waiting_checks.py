"""What must hold for the orders that wait in no book, recomputed from scratch; a part of invariants.py. O(orders)."""

from collections import Counter

from apps.matching.engine.book import Order
from apps.matching.engine.conditional import Conditional
from apps.matching.engine.errors import require
from apps.matching.engine.market import Market
from apps.matching.engine.order_list import order_list_of
from apps.matching.engine.state import State
from apps.matching.engine.terms import CONDITIONAL, PARKED, PENDING, TRIGGERED, Terms
from apps.matching.engine.trailing import Trailing
from apps.streams.kinds import CONDITIONAL_KINDS, MarketState, OrderKind


def check_waiting(state: State, market: Market, orders: list[Order]) -> None:
    """`orders` are the market's open orders that stand in no book."""
    where = f"market {market.market_id}"
    by_state: dict[int, list[Order]] = {CONDITIONAL: [], PENDING: [], PARKED: [], TRIGGERED: []}
    for order in orders:
        terms, what = order.terms or Terms(), f"order {order.order_id}, which waits"
        require(order.level is None and order.prev is None and order.next is None, f"{what}: has a place in a book")
        require(terms.waiting in by_state, f"{what}: for nothing known")
        by_state[terms.waiting].append(order)
        require(order.left_lots == order.quantity_lots > 0 and not order.filled_lots, f"{what}: has traded")
        if terms.waiting != PARKED:
            require(0 < terms.accepted_seq <= state.journal.seq, f"{what}: accepted in the future")
        require((terms.queued_seq > 0) == (terms.waiting == TRIGGERED), f"{what}: is queued or is not")
        require(terms.queued_seq <= state.journal.seq, f"{what}: queued in the future")
    _check_parked(state, by_state[PARKED])
    _check_queue(market, by_state[TRIGGERED], where)
    for order in by_state[PENDING]:
        require(order_list_of(order) is not None, f"order {order.order_id} is pending in no list")
    conditional = by_state[CONDITIONAL]
    require(all(order.kind in CONDITIONAL_KINDS for order in conditional), f"{where}: a plain order waits for a print")
    counts = Counter(order.account.account_id for order in conditional)
    for account_id, seat in market.seats.items():
        require(seat.conditional_orders == counts[account_id], f"{where}: conditional orders are miscounted")
    _check_conditional(market, conditional, where)


def _check_parked(state: State, orders: list[Order]) -> None:
    for order in orders:
        terms, what = order.terms or Terms(), f"order {order.order_id}, which waits"
        require(order.kind == OrderKind.LIMIT, f"{what}: is no order that may be parked")
        require(0 < terms.parked_seq <= state.journal.seq, f"{what}: parked in the future")
        ends_ms = terms.expires_ms or terms.park_due_ms
        require(0 < terms.park_due_ms <= ends_ms, f"{what}: is parked beyond its end")


def _check_queue(market: Market, orders: list[Order], where: str) -> None:
    """Nothing triggered stands outside the FIFO; it is in order, and empty while the market is open."""
    orders = sorted(orders, key=lambda order: order.terms.queued_seq if order.terms is not None else 0)
    require(list(market.triggered.values()) == orders, f"{where}: the FIFO is not that of the triggered orders")
    require(all(key == order.order_id for key, order in market.triggered.items()), f"{where}: the FIFO has wrong ids")
    require(market.state != MarketState.OPEN or not orders, f"{where}: the FIFO is not empty although it is open")


def _check_conditional(market: Market, orders: list[Order], where: str) -> None:
    """The structure has these orders and nothing else, as if each had been put in just now; none should have fired."""
    watched, fresh = market.conditional or Conditional(), Conditional()
    for order in orders:
        assert order.terms is not None
        segment, best_ticks = order.terms.segment, order.terms.best_ticks
        fresh.add(order, best_ticks)
        order.terms.segment = segment  # that of the real structure
    require(watched.fall == fresh.fall and watched.rise == fresh.rise, f"{where}: conditional orders are not in place")
    for own, other in ((watched.trailing_sells, fresh.trailing_sells), (watched.trailing_buys, fresh.trailing_buys)):
        _check_trailing(own, other, where)
    require((watched.low, watched.high) == (fresh.low, fresh.high), f"{where}: the nearest triggers are others")
    if market.last_price_ticks:
        require(watched.low < market.last_price_ticks < watched.high, f"{where}: something should have triggered")


def _check_trailing(own: Trailing, other: Trailing, where: str) -> None:
    require(own.segments.keys() == other.segments.keys(), f"{where}: segments of other best prices")
    for best_ticks, segment in own.segments.items():
        require(segment.orders == other.segments[best_ticks].orders, f"{where}: segment {best_ticks} has other orders")
        require(segment.best_ticks == best_ticks, f"{where}: segment {best_ticks} has another best price")
        for _, _, order in segment.orders:
            require(order.terms is not None and order.terms.segment is segment, f"{where}: an order of two segments")
    require(own.bests == other.bests and own.fronts == other.fronts, f"{where}: segments are out of order")
