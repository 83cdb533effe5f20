"""Amend an order's quantity down; it keeps its place and its client order id (matching-rules.md 10)."""

from typing import Any

from msgspec.structs import replace

from apps.gateway import errors
from apps.gateway.batcher import Batcher
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.filters import lots_of
from apps.gateway.markets import Market, Markets
from apps.gateway.orderform import new_client_id
from apps.gateway.orders import own_events
from apps.gateway.ownhistory import OwnHistory
from apps.gateway.reads import Reads
from apps.gateway.replies import OrderView, amended_order
from apps.streams.commands import AmendOrder
from apps.streams.events import AmendRejected, OrderAmended
from apps.streams.kinds import OrderStatus, Reason


class Amendments:
    def __init__(
        self, markets: Markets, batcher: Batcher, monitor: CoreMonitor, reads: Reads, history: OwnHistory
    ) -> None:
        self._markets = markets
        self._batcher = batcher
        self._monitor = monitor
        self._reads = reads
        self._history = history

    async def amend(self, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """The order is read first: the answer shows what its event does not say, and where PostgreSQL is away nothing
        happens. Raises ApiError; then the order is as it was, but for 504.
        """
        market = self._markets.get(values["symbol"])
        order_id, client_id = values["orderId"], values["origClientOrderId"]
        if order_id is None and client_id is None:
            raise errors.missing_one_of("origClientOrderId", "orderId")
        new_lots = lots_of(market, values["newQty"])
        self._monitor.check_cancel()
        order = await self._order(account_id, market, order_id, client_id)
        records = await self._batcher.send(
            AmendOrder(
                market_id=market.id,
                account_id=account_id,
                order_id=order.order_id,
                quantity_lots=new_lots,
                client_id=client_id or "",
                amend_client_id=values["newClientOrderId"] or new_client_id(),
            )
        )
        for event in own_events(records, account_id):
            if isinstance(event, AmendRejected):
                raise _refusal(event.reason, order, new_lots)
            if isinstance(event, OrderAmended) and event.order_id == order.order_id:
                return amended_order(event, await self._as_amended(order, event), market)
        raise errors.amend_refused(errors.UNKNOWN)

    async def _order(
        self, account_id: int, market: Market, order_id: int | None, client_id: str | None
    ) -> OrderView:  # fmt: skip
        try:
            return await self._reads.order(account_id, market, order_id, client_id)
        except errors.ApiError as error:
            if error.number != errors.order_unknown().number:
                raise
            raise errors.amend_refused(errors.UNKNOWN) from error

    async def _as_amended(self, order: OrderView, event: OrderAmended) -> OrderView:
        """The order at the moment of the amendment. What it had filled only grows, so equal sums are the same fills."""
        order = replace(order, quantity_lots=event.quantity_lots)
        gone_lots = event.quantity_lots - event.left_lots
        if gone_lots == order.filled_lots + order.prevented_lots:
            return order
        try:
            lots, quote_units = await self._history.filled_before(order.order_id, event.seq)
        except errors.ApiError as error:
            raise errors.unknown_outcome() from error
        return replace(
            order, filled_lots=lots, filled_quote_units=quote_units, prevented_lots=gone_lots - lots,
            status=OrderStatus.PARTIALLY_FILLED if lots else OrderStatus.NEW,
        )  # fmt: skip


def _refusal(reason: int, order: OrderView, new_lots: int) -> errors.ApiError:
    if reason == Reason.AMEND_QUANTITY and new_lots >= order.quantity_lots:
        return errors.amend_refused(errors.AMEND_SAME if new_lots == order.quantity_lots else errors.AMEND_UP)
    return errors.amend_refusal(reason)
