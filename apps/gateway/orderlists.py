"""Order lists as one story for REST and WebSocket API: OCO, OTO, OTOCO (T4, matching-rules.md 5).

A list is accepted whole or not at all, under a client id of its own (T15). Cancelling one of its orders ends it; so a
list is cancelled by cancelling whichever of its orders is still open.
"""

from collections.abc import Callable, Mapping
from typing import Any

from apps.gateway import errors
from apps.gateway.batcher import Batcher
from apps.gateway.cancelreplies import canceled
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.filters import check_filters
from apps.gateway.listform import ListForm
from apps.gateway.listreplies import ListRepeat, ListView, order_list, placed_list
from apps.gateway.markets import Market, Markets
from apps.gateway.orderform import new_client_id
from apps.gateway.orders import is_stale, own_events
from apps.gateway.reads import Reads
from apps.gateway.replies import new_order
from apps.streams.codec import decode_event, encode_list
from apps.streams.commands import CancelOrder, PlaceList
from apps.streams.kinds import ListKind

Parse = Callable[[Mapping[str, Any], Market, int], ListForm]


class OrderLists:
    def __init__(self, markets: Markets, batcher: Batcher, monitor: CoreMonitor, reads: Reads) -> None:
        self._markets = markets
        self._batcher = batcher
        self._monitor = monitor
        self._reads = reads

    async def place(self, kind: ListKind, parse: Parse, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """The list with a report of each of its orders. Raises ApiError; 504 means that the outcome is unknown."""
        form = self._form(parse, values, account_id)
        records = await self._batcher.send_run(_frames(kind, form, account_id))
        if is_stale(records):
            await self._reads.reload_markets()
            form = self._form(parse, values, account_id)
            records = await self._batcher.send_run(_frames(kind, form, account_id))
        outcome = placed_list([decode_event(record) for record in records], form.market, form.response_type)
        return await self._first(outcome, form, account_id) if isinstance(outcome, ListRepeat) else outcome

    def _form(self, parse: Parse, values: dict[str, Any], account_id: int) -> ListForm:
        form = parse(values, self._markets.get(values["symbol"]), account_id)
        if not form.client_id_given:
            for leg in form.legs:
                check_filters(leg.market, leg.command)
        self._monitor.check_new_order()
        return form

    async def _first(self, repeat: ListRepeat, form: ListForm, account_id: int) -> dict[str, Any]:
        """The list that a repeat repeats, as it is now. It was accepted, so its answer is never that nothing was."""
        try:
            view, market = await self._reads.order_list(account_id, repeat.list_id, None)
            orders = await self._reads.orders_of_list(account_id, view)
        except errors.ApiError as error:
            raise errors.unknown_outcome() from error
        reports = [new_order(order, market, form.response_type) for order in orders]
        return {**order_list(view, market), "orderReports": reports}

    async def cancel(self, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """The list and reports of the orders that ended with it. -2011 when none of them is open."""
        market = self._markets.get(values["symbol"])
        view = await self._named(values, values["listClientOrderId"], account_id, market)
        cancel_id = values["newClientOrderId"] or new_client_id()
        self._monitor.check_cancel()
        for order_id, _ in view.orders:
            records = await self._batcher.send(
                CancelOrder(market_id=market.id, account_id=account_id, order_id=order_id, cancel_client_id=cancel_id)
            )
            answers = await canceled(own_events(records, account_id), market, account_id, self._reads)
            if order_id in answers:
                return answers[order_id]
        raise errors.list_cancel_refused()

    async def _named(
        self, values: dict[str, Any], client_id: str | None, account_id: int, market: Market
    ) -> ListView:  # fmt: skip
        if values["orderListId"] is None and client_id is None:
            raise errors.missing_one_of("orderListId", "listClientOrderId")
        try:
            view, of_market = await self._reads.order_list(account_id, values["orderListId"], client_id)
        except errors.ApiError as error:
            if error.number != errors.list_unknown().number:
                raise
            raise errors.list_cancel_refused() from error
        if of_market.id != market.id:
            raise errors.list_cancel_refused()
        return view


def _frames(kind: ListKind, form: ListForm, account_id: int) -> bytes:
    head = PlaceList(
        market_id=form.market.id, account_id=account_id, list_kind=kind, list_client_id=form.client_id
    )  # fmt: skip
    return encode_list(head, [leg.command for leg in form.legs])
