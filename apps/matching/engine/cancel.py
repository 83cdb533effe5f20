"""Cancel one order by id or client id, or all orders of an account. Passes in every market state.

A cancel of one order may be restricted to one that is NEW, or to one that is PARTIALLY_FILLED (CancelFlag).
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.ending import end_all, end_resting
from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.shares import block_of
from apps.matching.engine.state import State
from apps.matching.engine.terms import PARKED, PENDING
from apps.streams.kinds import CancelFlag, CommandKind, OrderStatus, Reason

_CANCELED: Final = int(OrderStatus.CANCELED)
_UNKNOWN: Final = Reason.UNKNOWN_ORDER
_BY_USER: Final = Reason.CANCELED_BY_USER
_RESTRICTED: Final = Reason.CANCEL_RESTRICTED
_ONLY_NEW: Final = int(CancelFlag.ONLY_NEW)
# What a cancel's flags may be: none or one of them.
RESTRICTIONS: Final = frozenset({0, *map(int, CancelFlag)})
_unpack_cancel = fields_of(CommandKind.CANCEL_ORDER).unpack_from
_unpack_cancel_all = fields_of(CommandKind.CANCEL_ALL).unpack_from


def cancel_order(state: State, frames: bytes, offset: int) -> None:
    """By order_id, or by client id where order_id is 0. Market, order_id and client id, where given, must all fit."""
    (
        parts, flags, market_id, account_id, order_id, client_id, cancel_client_id
    ) = _unpack_cancel(frames, offset)  # fmt: skip
    if not is_text(client_id) or (cancel_client_id != NO_CLIENT_ID and not is_text(cancel_client_id)):
        client_id = cancel_client_id = NO_CLIENT_ID
        reason = Reason.MALFORMED
    elif parts != 1 or flags not in RESTRICTIONS or not (order_id or client_id != NO_CLIENT_ID):
        reason = Reason.MALFORMED
    else:
        order = find_order(state, market_id, account_id, order_id, client_id)
        if order is None:
            reason = _UNKNOWN
        elif flags and is_restricted(order, flags):
            reason = _RESTRICTED
        else:
            end_resting(state, order, _CANCELED, _BY_USER, cancel_client_id)
            return
    state.journal.cancel_rejected(market_id, account_id, order_id, client_id, cancel_client_id, reason)


def replace_named(
    state: State, market_id: int, account_id: int, order_id: int, client_id: bytes, cancel_client_id: bytes,
    flags: int,
) -> bool:  # fmt: skip
    """Cancel the order that another one is to replace, or say why not; whether it was cancelled."""
    order = find_order(state, market_id, account_id, order_id, client_id)
    if order is None:
        reason = _UNKNOWN
    elif block_of(order) is not None:
        reason = Reason.BLOCK_UNCHANGEABLE
    elif flags and is_restricted(order, flags):
        reason = _RESTRICTED
    else:
        end_resting(state, order, _CANCELED, _BY_USER, cancel_client_id)
        return True
    state.journal.cancel_rejected(market_id, account_id, order_id, client_id, cancel_client_id, reason)
    return False


def is_restricted(order: Order, flags: int) -> bool:
    """Whether the open order has another status than the one flag asks for. Parked for review, or pending in a list, it
    is PENDING_NEW, which is neither.
    """
    if order.terms is not None and order.terms.waiting in (PARKED, PENDING):
        return True
    return (order.filled_lots > 0) == (flags == _ONLY_NEW)


def find_order(state: State, market_id: int, account_id: int, order_id: int, client_id: bytes) -> Order | None:
    """The account's open order that all of order_id, client id and market fit, as far as they are given."""
    market = state.markets.get(market_id)
    order: Order | None = None
    if not order_id:
        order = state.client_ids.open_order(account_id, client_id)
    elif market is not None:
        seat = market.seats.get(account_id)
        order = seat.open_orders.get(order_id) if seat is not None else None
    else:
        account = state.accounts.get(account_id)
        order = account.open_order(order_id) if account is not None else None
    if (
        order is not None
        and (order.client_id == client_id or client_id == NO_CLIENT_ID)
        and (order.market.market_id == market_id or market_id == 0)
    ):
        return order
    return None


def cancel_all(state: State, frames: bytes, offset: int) -> None:
    """All orders of the account in one market, or in every market where market_id is 0, by ascending order_id."""
    parts, flags, market_id, account_id = _unpack_cancel_all(frames, offset)
    if parts != 1 or flags:
        state.journal.cancel_rejected(market_id, account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, Reason.MALFORMED)
        return
    if market_id and market_id not in state.markets:
        state.journal.cancel_rejected(market_id, account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, Reason.UNKNOWN_MARKET)
        return
    account = state.accounts.get(account_id)
    orders: list[Order] = []
    if account is not None:
        for seat in account.seats:
            if market_id in (0, seat.market.market_id):
                orders += seat.open_orders.values()
    orders.sort(key=lambda order: order.order_id)
    end_all(state, orders, _CANCELED, _BY_USER)
    state.journal.all_canceled(market_id, account_id, len(orders))
