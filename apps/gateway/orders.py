"""Orders as one story for REST and WebSocket API: check, append, wait for the durable events, answer."""

from collections.abc import Callable
from typing import Any, Final

from apps.common.clock import now_ms
from apps.gateway import errors
from apps.gateway.batcher import Batcher
from apps.gateway.cancelreplies import canceled, is_canceled
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.filters import check_filters
from apps.gateway.markets import Market, Markets
from apps.gateway.orderform import OrderForm, new_client_id, parse_order
from apps.gateway.reads import Reads
from apps.gateway.replies import Duplicate, OrderView, new_order, placed
from apps.streams.codec import decode_event, encode_command
from apps.streams.commands import CancelAll, CancelOrder, PlaceOrder, SetCancelTimer
from apps.streams.events import CancelRejected, CancelTimerSet, InternalReject
from apps.streams.kinds import EventKind, Reason, TimerFlag

# Kind and reason of a record, as numbers.
_REJECTED: Final = frozenset({int(EventKind.ORDER_REJECTED), int(EventKind.LIST_REJECTED)})
_STALE: Final = int(Reason.STALE_SETTINGS)


class Orders:
    """No database on the way of a first attempt; PostgreSQL is asked for repeats only."""

    def __init__(self, markets: Markets, batcher: Batcher, monitor: CoreMonitor, reads: Reads) -> None:
        self._markets = markets
        self._batcher = batcher
        self._monitor = monitor
        self._reads = reads

    def check(self, values: dict[str, Any], account_id: int) -> None:
        """Everything about an order that needs neither engine nor market data (order/test)."""
        form = parse_order(values, self._markets.get(values["symbol"]), account_id)
        check_filters(form.market, form.command)
        if 0 < form.command.expires_ms <= now_ms():
            raise errors.refusal(Reason.EXPIRY_PASSED)

    async def place(self, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """The answer in the asked response type. Raises ApiError; 504 means that the outcome is unknown."""
        return (await self.place_as(values, account_id, encode_command))[0]

    async def place_as(
        self, values: dict[str, Any], account_id: int, frames: Callable[[PlaceOrder], bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """The same for an order that `frames` makes into its command; also the command's events."""
        form = self.form(values, account_id)
        records = await self._batcher.send_run(frames(form.command))
        if is_stale(records):
            # The engine has newer settings than we had: wait until they are settled, count again, try once more.
            await self._reads.reload_markets()
            form = self.form(values, account_id)
            records = await self._batcher.send_run(frames(form.command))
        outcome = placed(records, form.market)
        if isinstance(outcome, Duplicate):
            first, market = await self.first_order(account_id, outcome.order_id)
            return new_order(first, market, form.response_type), records
        return new_order(outcome, form.market, form.response_type), records

    def form(self, values: dict[str, Any], account_id: int) -> OrderForm:
        """A new order's form; refused where the answer is sure already, or where no order may be taken now."""
        form = parse_order(values, self._markets.get(values["symbol"]), account_id)
        if not form.client_id_given:
            check_filters(form.market, form.command)
        self._monitor.check_new_order()
        return form

    async def first_order(self, account_id: int, order_id: int) -> tuple[OrderView, Market]:
        """The order that a repeat repeats. It was accepted, so while it cannot be read the answer is never that
        nothing was executed.
        """
        try:
            found = await self._reads.order_with_fills(account_id, order_id)
        except errors.ApiError as error:
            raise errors.unknown_outcome() from error
        if found is None:
            raise errors.unknown_outcome()
        return found

    async def cancel(self, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """Cancel one order by id, by client id, or by both (then they must name the same order).

        An order of a list ends the whole list, and the answer is the list's. With `cancelRestrictions` an order of
        another status stays.
        """
        market = self._markets.get(values["symbol"])
        order_id, client_id = values["orderId"], values["origClientOrderId"]
        if order_id is None and client_id is None:
            raise errors.missing_one_of("origClientOrderId", "orderId")
        self._monitor.check_cancel()
        records = await self._batcher.send(
            CancelOrder(
                flags=values["cancelRestrictions"] or 0,
                market_id=market.id,
                account_id=account_id,
                order_id=order_id or 0,
                client_id=client_id or "",
                cancel_client_id=values["newClientOrderId"] or new_client_id(),
            )
        )
        events = own_events(records, account_id)
        for event in events:
            if isinstance(event, CancelRejected):
                raise errors.refusal(event.reason)
            if is_canceled(event) and (
                event.order_id == order_id if order_id is not None else event.client_id == client_id
            ):
                return (await canceled(events, market, account_id, self._reads))[event.order_id]
        raise errors.cancel_refused()

    async def cancel_all(self, values: dict[str, Any], account_id: int) -> list[dict[str, Any]]:
        """Cancel every open order of one market; -2011 when there is none."""
        market = self._markets.get(values["symbol"])
        self._monitor.check_cancel()
        records = await self._batcher.send(CancelAll(market_id=market.id, account_id=account_id))
        events = own_events(records, account_id)
        answers = await canceled(events, market, account_id, self._reads)
        closed = [answers[event.order_id] for event in events if is_canceled(event) and event.order_id in answers]
        if not closed:
            raise errors.cancel_refused()
        # A list stands there once, whichever of its orders was cancelled first.
        return list({id(answer): answer for answer in closed}.values())

    async def cancel_all_after(self, timeout_ms: int, account_id: int) -> dict[str, int]:
        """The dead man's switch: cancel the account's orders, in every market, `timeout_ms` from now; 0 stops it."""
        self._monitor.check_cancel()
        records = await self._batcher.send(SetCancelTimer(account_id=account_id, timeout_ms=timeout_ms))
        for event in own_events(records, account_id):
            # A timer that was due has fired under this command before it was set anew.
            if isinstance(event, CancelTimerSet) and not event.flags & TimerFlag.FIRED:
                return {"currentTime": event.cmd_ms, "triggerTime": event.due_ms}
        # The engine does not know the account: it has never had money, and so has no orders.
        raise errors.cancel_refused()


def own_events(records: list[bytes], account_id: int) -> list[Any]:
    """This account's events of a cancel command; raises when the command was skipped."""
    events = [decode_event(record) for record in records]
    for event in events:
        if isinstance(event, InternalReject):
            raise errors.cancel_failed() if event.reason == Reason.INTERNAL else errors.refusal(event.reason)
    return [event for event in events if event.account_id == account_id]


def is_stale(records: list[bytes]) -> bool:
    return any(record[1] in _REJECTED and record[3] == _STALE for record in records)
