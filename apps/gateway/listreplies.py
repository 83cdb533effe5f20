"""Answers about order lists in the dialect's shapes, from a command's events or from settled rows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.gateway import errors
from apps.gateway.dialect import CONTINGENCIES
from apps.gateway.markets import Market
from apps.gateway.replies import new_order, view_of
from apps.streams.events import InternalReject, ListChanged, ListDuplicate, ListRejected, OrderAccepted
from apps.streams.kinds import ListStatus


@dataclass(frozen=True, slots=True)
class ListView:
    """An order list; `orders` are (order id, client order id) in the list's order."""

    list_id: int
    client_id: str
    kind: int
    is_done: bool
    updated_ms: int
    orders: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class ListRepeat:
    """The engine knows this list already."""

    list_id: int


def order_list(view: ListView, market: Market) -> dict[str, Any]:
    return {
        "orderListId": view.list_id,
        "contingencyType": CONTINGENCIES[view.kind],
        "listStatusType": "ALL_DONE" if view.is_done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if view.is_done else "EXECUTING",
        "listClientOrderId": view.client_id,
        "transactionTime": view.updated_ms,
        "symbol": market.symbol,
        "orders": [
            {"symbol": market.symbol, "orderId": order_id, "clientOrderId": client_id}
            for order_id, client_id in view.orders
        ],
    }


def placed_list(events: Sequence[Any], market: Market, response_type: str) -> dict[str, Any] | ListRepeat:
    """The answer to PLACE_LIST from all events of that command. Raises ApiError for a refusal."""
    started: ListChanged | None = None
    for event in events:
        if isinstance(event, ListRejected | InternalReject):
            raise errors.refusal(event.reason)
        if isinstance(event, ListDuplicate):
            return ListRepeat(event.list_id)
        if isinstance(event, ListChanged) and event.status == ListStatus.EXEC_STARTED:
            started = event
            break
    assert started is not None, "a list command ends in started, rejected, duplicate or skipped"
    ids = order_ids(started)
    accepted = {event.order_id: event for event in events if isinstance(event, OrderAccepted)}
    is_done = any(
        isinstance(event, ListChanged) and event.list_id == started.list_id and event.status == ListStatus.ALL_DONE
        for event in events
    )
    view = ListView(
        started.list_id, started.list_client_id, started.list_kind, is_done, started.cmd_ms,
        tuple((order_id, accepted[order_id].client_id) for order_id in ids),
    )  # fmt: skip
    reports = [
        new_order(view_of(accepted[order_id], events, market, started.list_id), market, response_type)
        for order_id in ids
    ]
    return {**order_list(view, market), "orderReports": reports}


def order_ids(event: ListChanged) -> list[int]:
    return [order_id for order_id in (event.order_id_1, event.order_id_2, event.order_id_3) if order_id]
