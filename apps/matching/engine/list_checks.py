"""What must hold for order lists, recomputed from scratch; a part of invariants.py. O(orders)."""

from collections import Counter

from apps.matching.engine.client_ids import NO_CLIENT_ID, list_key_of
from apps.matching.engine.errors import require
from apps.matching.engine.list_tables import open_lists
from apps.matching.engine.order_list import OrderList, Stage
from apps.matching.engine.state import State
from apps.matching.engine.terms import PENDING, TRIGGERED
from apps.streams.kinds import ListKind


def check_lists(state: State) -> list[OrderList]:
    """The open lists, checked."""
    found = open_lists(state)
    counts = Counter((each.seat.account.account_id, each.seat.market.market_id) for each in found)
    for market in state.markets.values():
        for account_id, seat in market.seats.items():
            lists = counts[account_id, market.market_id]
            require(seat.order_lists == lists, f"account {account_id}: order lists are miscounted")
    for order_list in found:
        _check(order_list, f"list {order_list.list_id}")
    return found


def _check(each: OrderList, where: str) -> None:
    key = b"" if each.client_id == NO_CLIENT_ID else list_key_of(each.seat.account.account_id, each.client_id)
    require(each.id_key == key, f"{where}: its key is not that of its client id")
    require(len(each.order_ids) == (3 if each.kind == ListKind.OTOCO else 2), f"{where}: of another length")
    require(0 < len(each.legs) <= len(each.order_ids), f"{where}: without an order")
    for order_id, order in each.legs.items():
        require(order_id in each.order_ids and order.order_id == order_id, f"{where}: a foreign order")
        require(order.terms is not None and order.terms.order_list is each, f"{where}: an order of another list")
        require(order.seat is each.seat, f"{where}: an order of another account")
        require(order.seat.open_orders.get(order_id) is order, f"{where}: an order that has ended")
        is_pending = order.terms is not None and order.terms.waiting in (PENDING, TRIGGERED)
        require(is_pending or not each.holds_nothing(order), f"{where}: a pending order does not wait")
        if order.terms is not None and order.terms.waiting == PENDING:
            require(each.holds_nothing(order), f"{where}: an order is pending for nothing")
    works = each.order_ids[0] in each.legs
    if each.kind == ListKind.OCO:
        require(each.stage is Stage.ENTERED and len(each.legs) <= 2, f"{where}: an OCO with a working order")
    elif each.stage is Stage.WORKING:
        require(works and len(each.legs) == len(each.order_ids), f"{where}: pending without its working order")
    else:
        require(not works, f"{where}: the working order is still there")
    if each.stage is Stage.QUEUED:
        first = next(iter(each.legs.values()))
        require(first.terms is not None and first.terms.waiting == TRIGGERED, f"{where}: is not in the FIFO")
    for order in each.legs.values():
        if each.sibling_of(order) is not None:
            require(not order.filled_lots and order.open_lots == order.quantity_lots, f"{where}: both legs go on")
