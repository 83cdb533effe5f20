"""Amend an order's quantity down; it keeps its place (T4, matching-rules.md 3, 9 and 10).

What goes is taken from an iceberg's reserve first, then from what shows. The order's client id stays, and a repeat of
the order as it was placed is still answered with it.
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.cancel import find_order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.filters import amends_fault, smaller_fault
from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.funds import pays_with, release_lots
from apps.matching.engine.order_list import order_list_of
from apps.matching.engine.shares import block_of
from apps.matching.engine.state import State
from apps.matching.engine.states import PASSES
from apps.matching.engine.terms import AMENDS_MAX, Terms
from apps.streams.kinds import CommandKind, MarketState, Reason

_unpack = fields_of(CommandKind.AMEND_ORDER).unpack_from
_UNKNOWN: Final = Reason.UNKNOWN_ORDER


def amend_order(state: State, frames: bytes, offset: int) -> None:
    """By order_id, or by client id where order_id is 0, to a smaller quantity_lots."""
    (
        parts, flags, market_id, account_id, order_id, quantity_lots, client_id, amend_client_id
    ) = _unpack(frames, offset)  # fmt: skip
    reason: Reason | None
    if not is_text(client_id) or not is_text(amend_client_id):
        client_id = amend_client_id = NO_CLIENT_ID
        reason = Reason.MALFORMED
    elif parts != 1 or flags or quantity_lots <= 0 or not (order_id or client_id != NO_CLIENT_ID):
        reason = Reason.MALFORMED
    else:
        order = find_order(state, market_id, account_id, order_id, client_id)
        reason = _UNKNOWN if order is None else _fault(order, quantity_lots)
        if order is not None and reason is None:
            _shrink(state, order, quantity_lots, amend_client_id)
            return
    assert reason is not None
    state.journal.amend_rejected(market_id, account_id, order_id, client_id, amend_client_id, reason)


def _fault(order: Order, quantity_lots: int) -> Reason | None:
    """filled < new < current, counting what prevented matches took as gone too; and the market's filters."""
    row = PASSES[MarketState(order.market.state)]
    if not row.amend:
        return row.refusal
    if block_of(order) is not None:
        return Reason.BLOCK_UNCHANGEABLE
    if order_list_of(order) is not None:
        return Reason.LIST_UNCHANGEABLE
    if order.level is None:
        return Reason.NOT_AMENDABLE
    gone = order.quantity_lots - order.open_lots
    if not gone < quantity_lots < order.quantity_lots:
        return Reason.AMEND_QUANTITY
    return amends_fault(order) or smaller_fault(order, quantity_lots)


def _shrink(state: State, order: Order, quantity_lots: int, amend_client_id: bytes) -> None:
    terms, level = order.terms, order.level
    assert level is not None
    if terms is None:
        terms = order.terms = Terms()
    old_lots, less = order.quantity_lots, order.quantity_lots - quantity_lots
    terms.placed_lots = terms.placed_lots or old_lots
    terms.amends = min(terms.amends + 1, AMENDS_MAX)
    order.quantity_lots = quantity_lots
    release_lots(order, less)
    from_reserve = min(less, terms.reserve_lots)
    terms.reserve_lots -= from_reserve
    level.hidden_lots -= from_reserve
    order.left_lots -= less - from_reserve
    level.lots -= less - from_reserve
    state.journal.amended(order, old_lots, pays_with(order), level.lots, amend_client_id)
