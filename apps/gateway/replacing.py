"""Cancel-replace over REST and WebSocket API: one command, answered with what happened to both of its halves.

The new order's own checks come first; where they fail nothing has happened (-2022). Then the cancel, then what of the
new order depends on the account (matching-rules.md 10). One half done: 409, -2021. None: 400, -2022.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from apps.gateway import errors
from apps.gateway.batcher import Batcher
from apps.gateway.cancelreplies import canceled, is_canceled
from apps.gateway.filters import check_filters
from apps.gateway.markets import Market, Markets
from apps.gateway.orderform import OrderForm, new_client_id, parse_order
from apps.gateway.orders import Orders, is_stale, own_events
from apps.gateway.reads import Reads
from apps.gateway.replies import Duplicate, canceled_view, new_order, placed
from apps.streams.codec import encode_replace
from apps.streams.commands import ReplaceOrder
from apps.streams.events import CancelRejected
from apps.streams.kinds import EventKind, OrderStatus, ReplaceMode

SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
NOT_ATTEMPTED: Final = "NOT_ATTEMPTED"
Half = tuple[str, Any]
UNTRIED: Final[Half] = (NOT_ATTEMPTED, None)
_FILTER: Final = -1013
_ENDS: Final = frozenset({EventKind.ORDER_ACCEPTED, EventKind.ORDER_REJECTED, EventKind.ORDER_DUPLICATE})


class Replacements:
    def __init__(self, markets: Markets, batcher: Batcher, reads: Reads, orders: Orders) -> None:
        self._markets = markets
        self._batcher = batcher
        self._reads = reads
        self._orders = orders

    async def replace(self, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """Both answers. Raises ApiError, with both in its data where at least one half was tried."""
        market = self._markets.get(values["symbol"])
        order_id, client_id = values["cancelOrderId"], values["cancelOrigClientOrderId"]
        if order_id is None and client_id is None:
            raise errors.missing_one_of("cancelOrigClientOrderId", "cancelOrderId")
        head = ReplaceOrder(
            flags=values["cancelRestrictions"] or 0,
            market_id=market.id,
            account_id=account_id,
            order_id=order_id or 0,
            client_id=client_id or "",
            cancel_client_id=values["cancelNewClientOrderId"] or new_client_id(),
            mode=values["cancelReplaceMode"],
        )
        form = self._form(values, account_id)
        records = await self._batcher.send_run(encode_replace(head, form.command))
        if is_stale(records):
            # Nothing happened yet: settings come before the cancel.
            await self._reads.reload_markets()
            form = self._form(values, account_id)
            records = await self._batcher.send_run(encode_replace(head, form.command))
        cancel, new = await self._cancel_half(records, head, market), await self._new_half(records, form)
        if new[0] == SUCCESS and isinstance(new[1], Duplicate):
            cancel, new = await self._again(head, form, new[1])
        return _answer(cancel, new)

    async def cancel_only(self, values: dict[str, Any], account_id: int, refusal: errors.ApiError) -> errors.ApiError:
        """The cancel alone, where the account has sent too many orders (`refusal`): the error to answer with.

        Stopping on failure it has the limit's status, 429, whatever became of the cancel.
        """
        with _filters_answered():
            form = parse_order(values, self._markets.get(values["symbol"]), account_id)
            check_filters(form.market, form.command)
        canceling = {
            "symbol": values["symbol"], "orderId": values["cancelOrderId"],
            "origClientOrderId": values["cancelOrigClientOrderId"],
            "newClientOrderId": values["cancelNewClientOrderId"],
            "cancelRestrictions": values["cancelRestrictions"],
        }  # fmt: skip
        cancel: Half
        try:
            cancel = SUCCESS, await self._orders.cancel(canceling, account_id)
        except errors.ApiError as error:
            if error.number != errors.cancel_refused().number:
                raise
            cancel = FAILURE, error.body()
        stops = values["cancelReplaceMode"] is ReplaceMode.STOP_ON_FAILURE
        if cancel[0] == SUCCESS:
            found = errors.replace_half_failed(_data(cancel, (FAILURE, refusal.body())))
        else:
            found = errors.replace_failed(_data(cancel, UNTRIED if stops else (FAILURE, refusal.body())))
        if stops:
            found.status, found.retry_after_s, found.until_ms = 429, refusal.retry_after_s, None
        return found

    def _form(self, values: dict[str, Any], account_id: int) -> OrderForm:
        with _filters_answered():
            return self._orders.form(values, account_id)

    async def _cancel_half(self, records: list[bytes], head: ReplaceOrder, market: Market) -> Half:
        events = own_events(records, head.account_id)
        for event in events:
            if isinstance(event, CancelRejected):
                return FAILURE, errors.refusal(event.reason).body()
            if is_canceled(event) and (
                event.order_id == head.order_id if head.order_id else event.client_id == head.client_id
            ):
                return SUCCESS, (await canceled(events, market, head.account_id, self._reads))[event.order_id]
        return UNTRIED

    async def _new_half(self, records: list[bytes], form: OrderForm) -> Half:
        if not any(record[1] in _ENDS for record in records):
            return UNTRIED
        try:
            outcome = placed(records, form.market)
        except errors.ApiError as error:
            if error.status >= 500:
                raise
            return FAILURE, error.body()
        if isinstance(outcome, Duplicate):
            return SUCCESS, outcome
        return SUCCESS, new_order(outcome, form.market, form.response_type)

    async def _again(self, head: ReplaceOrder, form: OrderForm, duplicate: Duplicate) -> tuple[Half, Half]:
        """A repeat cancels nothing: the first request's outcome, as far as the two orders show it."""
        first, market = await self._orders.first_order(head.account_id, duplicate.order_id)
        new: Half = SUCCESS, new_order(first, market, form.response_type)
        try:
            old = await self._reads.order(head.account_id, market, head.order_id or None, head.client_id or None)
        except errors.ApiError as error:
            if error.status >= 500:
                raise errors.unknown_outcome() from error
            return (FAILURE, errors.cancel_refused().body()), new
        if old.status != OrderStatus.CANCELED:
            return (FAILURE, errors.cancel_refused().body()), new
        return (SUCCESS, canceled_view(old, market, head.cancel_client_id)), new


@contextmanager
def _filters_answered() -> Iterator[None]:
    """A filter that fails already here is answered as the engine's."""
    try:
        yield
    except errors.ApiError as error:
        if error.number != _FILTER:
            raise
        raise errors.replace_failed(_data(UNTRIED, (FAILURE, error.body()))) from error


def _data(cancel: Half, new: Half) -> dict[str, Any]:
    return {
        "cancelResult": cancel[0],
        "newOrderResult": new[0],
        "cancelResponse": cancel[1],
        "newOrderResponse": new[1],
    }


def _answer(cancel: Half, new: Half) -> dict[str, Any]:
    data = _data(cancel, new)
    done = (cancel[0], new[0]).count(SUCCESS)
    if done == 2:
        return data
    raise errors.replace_half_failed(data) if done else errors.replace_failed(data)
