"""Answers to cancels: from the command's events, and what those do not tell from the orders' settled rows.

The end of an order names neither its stop price nor what it displayed nor its strategy. An order that may have more to
show than its end tells is read; where that fails the cancel has happened all the same, and is answered without.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from apps.gateway.labelled import NO_LABEL, Label
from apps.gateway.listreplies import ListView, order_ids, order_list
from apps.gateway.markets import Market
from apps.gateway.reads import Reads
from apps.gateway.replies import OrderView, canceled_order, canceled_view
from apps.streams.events import ListChanged, OrderClosed
from apps.streams.kinds import ListStatus, OrderKind, Reason, TimeInForce

_CONDITIONAL: Final = frozenset(
    {OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT}
)


def is_canceled(event: Any) -> bool:
    """By this command: timers that ran before it end orders too, and those are not its answer."""
    return isinstance(event, OrderClosed) and event.reason == Reason.CANCELED_BY_USER


async def canceled(events: Sequence[Any], market: Market, account_id: int, reads: Reads) -> dict[int, dict[str, Any]]:
    """{order id: answer} of every order of the market that a cancel ended, by the account's events of the command.

    A list ends whole, the order that its user cancelled and the others because of it; the answer of each of them is the
    list's, the very same object.
    """
    closed = {
        event.order_id: event for event in events if isinstance(event, OrderClosed) and event.market_id == market.id
    }
    lists = [event for event in events if _is_ended_list(event, closed)]
    members = {order_id for event in lists for order_id in order_ids(event)}
    alone = {order_id: event for order_id, event in closed.items() if is_canceled(event) and order_id not in members}
    asked = [*members, *(order_id for order_id, event in alone.items() if _has_more(event))]
    rows = await reads.closed_orders(account_id, asked) if asked else {}
    labels = await reads.labels(account_id, [order_id for order_id, event in alone.items() if not _has_more(event)])
    found = {
        order_id: _report(event, rows, market, label=labels.get(order_id, NO_LABEL))
        for order_id, event in alone.items()
    }
    for event in lists:
        found |= dict.fromkeys(
            (order_id for order_id in order_ids(event) if order_id in closed), _list(event, closed, rows, market)
        )
    return found


def _is_ended_list(event: Any, closed: Mapping[int, OrderClosed]) -> bool:
    return (
        isinstance(event, ListChanged)
        and event.status == ListStatus.ALL_DONE
        and any(order_id in closed and is_canceled(closed[order_id]) for order_id in order_ids(event))
    )


def _has_more(event: OrderClosed) -> bool:
    return event.order_kind in _CONDITIONAL or event.time_in_force == TimeInForce.GTD


def _report(
    event: OrderClosed,
    rows: Mapping[int, OrderView],
    market: Market,
    list_id: int = 0,
    label: Label = NO_LABEL,
) -> dict[str, Any]:
    row = rows.get(event.order_id)
    if row is None:
        return canceled_order(event, market, list_id, label)
    return canceled_view(row, market, event.cancel_client_id)


def _list(
    event: ListChanged, closed: Mapping[int, OrderClosed], rows: Mapping[int, OrderView], market: Market
) -> dict[str, Any]:
    """All its orders, and reports of those that were still open."""
    client_ids = {order_id: row.client_id for order_id, row in rows.items()}
    client_ids |= {order_id: each.client_id for order_id, each in closed.items()}
    view = ListView(
        event.list_id, event.list_client_id, event.list_kind, True, event.cmd_ms,
        tuple((order_id, client_ids[order_id]) for order_id in order_ids(event) if order_id in client_ids),
    )  # fmt: skip
    ended = [closed[order_id] for order_id in order_ids(event) if order_id in closed]
    cancel_id = next((each.cancel_client_id for each in ended if each.cancel_client_id), "")
    reports = [
        {**report, "clientOrderId": cancel_id or report["clientOrderId"]}
        for report in (_report(each, rows, market, event.list_id) for each in ended)
    ]
    return {**order_list(view, market), "orderReports": reports}
