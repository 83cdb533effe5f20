"""Cancel one order by id or client id, or all orders of an account. Passes in every market state."""

from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.framing import is_text
from apps.matching.engine.funds import need_units, pays_with, release
from apps.matching.engine.open_orders import withdraw_order
from apps.matching.engine.state import State
from apps.streams.kinds import CommandKind, Reason
from apps.streams.records import COMMANDS

_unpack_cancel = COMMANDS[CommandKind.CANCEL_ORDER].struct.unpack_from
_unpack_cancel_all = COMMANDS[CommandKind.CANCEL_ALL].struct.unpack_from


def end_by_cancel(state: State, order: Order, reason: int, cancel_client_id: bytes) -> None:
    """The resting order leaves the book, its hold is released, ORDER_CLOSED says so."""
    units = need_units(order)
    level_lots = withdraw_order(state, order)
    release(pays_with(order), units)
    state.journal.canceled(order, reason, level_lots, cancel_client_id)


def cancel_order(state: State, frames: bytes, offset: int) -> None:
    """By order_id, or by client id where order_id is 0. Market, order_id and client id, where given, must all fit."""
    (
        _, _, parts, flags, market_id, account_id, _, _, _, order_id, client_id, cancel_client_id
    ) = _unpack_cancel(frames, offset)  # fmt: skip
    reason = Reason.UNKNOWN_ORDER
    if not is_text(client_id) or not is_text(cancel_client_id):
        client_id = cancel_client_id = NO_CLIENT_ID
        reason = Reason.MALFORMED
    elif parts != 1 or flags or not (order_id or client_id != NO_CLIENT_ID):
        reason = Reason.MALFORMED
    else:
        if order_id:
            order = state.orders.get(order_id)
        else:
            account = state.accounts.get(account_id)
            order = account.open_by_client_id.get(client_id) if account is not None else None
        if (
            order is not None
            and order.account.account_id == account_id
            and (order.client_id == client_id or client_id == NO_CLIENT_ID)
            and (order.market.market_id == market_id or market_id == 0)
        ):
            end_by_cancel(state, order, Reason.CANCELED_BY_USER, cancel_client_id)
            return
    state.journal.cancel_rejected(market_id, account_id, order_id, client_id, cancel_client_id, reason)


def cancel_all(state: State, frames: bytes, offset: int) -> None:
    """All orders of the account in one market, or in every market where market_id is 0, by ascending order_id."""
    _, _, parts, flags, market_id, account_id, _, _, _ = _unpack_cancel_all(frames, offset)
    if parts != 1 or flags:
        state.journal.cancel_rejected(market_id, account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, Reason.MALFORMED)
        return
    if market_id and market_id not in state.markets:
        state.journal.cancel_rejected(market_id, account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, Reason.UNKNOWN_MARKET)
        return
    account = state.accounts.get(account_id)
    orders: list[Order] = []
    if account is not None:
        for open_in, by_id in account.open_by_market.items():
            if market_id in (0, open_in):
                orders += by_id.values()
    orders.sort(key=lambda order: order.order_id)
    for order in orders:
        end_by_cancel(state, order, Reason.CANCELED_BY_USER, NO_CLIENT_ID)
    state.journal.all_canceled(market_id, account_id, len(orders))
