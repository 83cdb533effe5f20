"""Orders as they were before some events: the events are undone, the newest first. Pure.

What a report about an order needs is put back exactly (quantities, whether it waits, its turn); the status of an order
that had ended becomes one of an open order, which every report then replaces.
"""

from collections.abc import Collection, Iterable
from typing import Any

from msgspec.structs import replace

from apps.gateway.markets import Markets
from apps.gateway.replies import OrderView
from apps.streams.events import (
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderReviewed,
    OrderTriggered,
    PendingEntered,
    PreventedMatch,
    Trade,
)
from apps.streams.kinds import OrderStatus, Review, StpMode

Orders = dict[int, tuple[OrderView, int]]


def missing(groups: Iterable[list[Any]], account_id: int, known: Collection[int]) -> list[int]:
    """Orders of the account that these events are about and that began before them, apart from the `known` ones."""
    accepted: set[int] = set()
    found: dict[int, None] = {}
    for group in groups:
        for event in group:
            if isinstance(event, OrderAccepted):
                accepted.add(event.order_id)
            for order_id in _orders_of(event, account_id):
                if order_id not in accepted and order_id not in known:
                    found[order_id] = None
    return list(found)


def _orders_of(event: Any, account_id: int) -> list[int]:
    if isinstance(event, Trade | PreventedMatch):
        sides = ((event.account_id, event.taker_order_id), (event.maker_account_id, event.maker_order_id))
        return [order_id for account, order_id in sides if account == account_id]
    if isinstance(event, OrderClosed | OrderTriggered | OrderAmended | OrderReviewed | PendingEntered):
        return [event.order_id]
    return []


def rewind(
    orders: Orders, groups: Iterable[list[Any]], account_id: int, markets: Markets
) -> list[tuple[OrderView, int]]:
    """`orders`: (order, market id) by order id, as they stand behind the events. Returns them as they stood before."""
    before = dict(orders)
    for group in reversed(list(groups)):
        for event in reversed(group):
            if isinstance(event, OrderAccepted):
                before.pop(event.order_id, None)
                continue
            for order_id in _orders_of(event, account_id):
                if order_id in before:
                    view, market_id = before[order_id]
                    before[order_id] = _undone(view, event, markets), market_id
    return [before[order_id] for order_id in sorted(before)]


def _undone(view: OrderView, event: Any, markets: Markets) -> OrderView:
    match event:
        case Trade():
            quote_units = markets.by_id[event.market_id].quote_units(event.price_ticks, event.quantity_lots)
            view = replace(
                view, filled_lots=view.filled_lots - event.quantity_lots,
                filled_quote_units=view.filled_quote_units - quote_units,
            )  # fmt: skip
            return _open(view)
        case OrderClosed():
            return _open(replace(view, reason=0))
        case OrderTriggered():
            return replace(view, is_waiting=True, working_ms=0)
        case PendingEntered():
            return replace(view, status=OrderStatus.PENDING_NEW, is_pending=True, is_waiting=False, working_ms=0)
        case OrderReviewed() if event.decision == Review.RELEASE:
            return replace(view, status=OrderStatus.PENDING_NEW)
        case OrderAmended():
            return replace(view, quantity_lots=event.old_quantity_lots)
        case PreventedMatch() if event.stp_mode == StpMode.DECREMENT and not view.budget_units:
            return replace(view, prevented_lots=view.prevented_lots - event.prevented_lots)
    return view


def _open(view: OrderView) -> OrderView:
    if view.is_pending:
        return replace(view, status=OrderStatus.PENDING_NEW)
    return replace(view, status=OrderStatus.PARTIALLY_FILLED if view.filled_lots else OrderStatus.NEW)
