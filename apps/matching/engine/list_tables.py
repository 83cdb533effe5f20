"""Open order lists as rows of a snapshot, and restored from them."""

from collections.abc import Iterator

from apps.matching.engine.book import Order
from apps.matching.engine.order_list import OrderList, Stage
from apps.matching.engine.snapshot_tables import Row
from apps.matching.engine.state import State
from apps.matching.engine.terms import Terms


def open_lists(state: State) -> list[OrderList]:
    """By list_id, which is that of the first order. O(orders)."""
    found = {
        order.terms.order_list.list_id: order.terms.order_list
        for order in state.open_orders()
        if order.terms is not None and order.terms.order_list is not None
    }
    return [order_list for _, order_list in sorted(found.items())]


def list_rows(state: State) -> Iterator[Row]:
    """order_id_3 is 0 for a list of two; the orders that are still open are its legs."""
    for each in open_lists(state):
        ids = (*each.order_ids, 0)[:3]
        yield (
            each.list_id, each.seat.account.account_id, each.seat.market.market_id, each.kind, int(each.stage),
            each.client_id, each.id_key, each.fingerprint, *ids,
        )  # fmt: skip


def restore_lists(state: State, rows: list[Row]) -> None:
    """The orders stand at their seats already; lists without any of them are refused (ValueError)."""
    if not rows:
        return
    orders: dict[int, Order] = {order.order_id: order for order in state.open_orders()}
    for list_id, account_id, market_id, kind, stage, client_id, id_key, fingerprint, *ids in rows:
        seat = state.markets[market_id].seats[account_id]
        order_list = OrderList(seat, kind, client_id, id_key if any(id_key) else b"", fingerprint)
        order_list.stage = Stage(stage)
        order_list.order_ids = tuple(order_id for order_id in ids if order_id)
        for order_id in order_list.order_ids:
            order = orders.get(order_id)
            if order is not None:
                order.terms = order.terms or Terms()
                order.terms.order_list = order_list
                order_list.legs[order_id] = order
        if not order_list.legs or order_list.list_id != list_id:
            raise ValueError(f"list {list_id} has no open order")
        seat.order_lists += 1
        if order_list.id_key:
            state.client_ids.owners[order_list.id_key] = order_list
