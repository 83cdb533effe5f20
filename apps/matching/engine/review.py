"""REVIEW_ORDER: staff releases or rejects a parked order (T7, matching-rules.md 2).

Released it is checked as new, but without the price band, and keeps the hold it has. A market state that takes no such
order now refuses the command, and the order stays parked. Any other check that fails ends the order, EXPIRED with that
reason. Rejected it ends REJECTED, in every market state.
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.ending import end_resting
from apps.matching.engine.filters import account_limits_fault
from apps.matching.engine.framing import fields_of
from apps.matching.engine.funds import release_for
from apps.matching.engine.limit import limit_order_fault, match_and_rest
from apps.matching.engine.open_orders import recall_order
from apps.matching.engine.parking import is_parked
from apps.matching.engine.state import State
from apps.matching.engine.states import entry_fault
from apps.matching.engine.triggered import run_triggered
from apps.streams.kinds import CommandKind, MarketState, OrderStatus, Reason, Review

_unpack = fields_of(CommandKind.REVIEW_ORDER).unpack_from
_DECISIONS: Final = frozenset(int(decision) for decision in Review)


def review_order(state: State, frames: bytes, offset: int) -> Reason | None:
    parts, flags, market_id, account_id, relay_seq, source, order_id, decision = _unpack(frames, offset)
    if parts != 1 or flags or decision not in _DECISIONS:
        return Reason.MALFORMED
    market = state.markets.get(market_id)
    if market is None:
        return Reason.UNKNOWN_MARKET
    seat = market.seats.get(account_id)
    order = seat.open_orders.get(order_id) if seat is not None else None
    if order is None:
        return Reason.UNKNOWN_ORDER
    if not is_parked(order):
        return Reason.NOT_PARKED
    if decision == Review.REJECT:
        state.journal.reviewed(order, relay_seq, source, decision)
        end_resting(state, order, OrderStatus.REJECTED, Reason.REJECTED_BY_STAFF)
        return None
    if market.state != MarketState.OPEN:
        refusal = entry_fault(state, market, order)
        if refusal is not None:
            return refusal
    state.journal.reviewed(order, relay_seq, source, decision)
    _release(state, order)
    if market.triggered:
        run_triggered(state, market)
    return None


def _release(state: State, order: Order) -> None:
    recall_order(state, order)
    reason = limit_order_fault(state, order)
    if reason is None or reason is Reason.PERCENT_PRICE:
        reason = account_limits_fault(order)
    if reason is None:
        match_and_rest(state, order)
        return
    release_for(order)
    state.client_ids.remember(order)
    state.journal.closed(order, OrderStatus.EXPIRED, reason)
