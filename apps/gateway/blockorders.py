"""Block orders: one order for many sub-accounts, allocated as it fills (T12, matching-rules.md 8). Not of the dialect.

The account names one of its allocation rules; a pro-rata rule also needs the quantity that each of its accounts asks
for, in the rule's order. Everything else is as for a single order.
"""

from typing import Any, Final

from apps.common.amounts import format_units
from apps.gateway import errors
from apps.gateway.filters import lots_of
from apps.gateway.markets import Market, Markets
from apps.gateway.orderform import ORDER_PARAMS
from apps.gateway.orders import Orders
from apps.gateway.params import Amounts, Integer, Param
from apps.gateway.reads import Reads, Share
from apps.streams.codec import decode_event, encode_block
from apps.streams.commands import PlaceBlock, PlaceOrder
from apps.streams.events import Allocated
from apps.streams.kinds import AllocationStep, OrderKind, Side
from apps.streams.messages import MAX_ALLOCATION_ACCOUNTS

BLOCK_PARAMS: Final[tuple[Param, ...]] = (
    *ORDER_PARAMS,
    Integer("allocationId", required=True, minimum=1, maximum=2**31 - 1),
    Amounts("allocationQuantities", above="LOT_SIZE", longest=MAX_ALLOCATION_ACCOUNTS),
)
KINDS: Final = {kind.name: kind for kind in (OrderKind.LIMIT, OrderKind.LIMIT_MAKER, OrderKind.MARKET)}


class BlockOrders:
    def __init__(self, markets: Markets, orders: Orders, reads: Reads) -> None:
        self._markets = markets
        self._orders = orders
        self._reads = reads

    async def place(self, values: dict[str, Any], account_id: int) -> dict[str, Any]:
        """The order's answer, and each sub-account's share. Raises ApiError."""
        market = self._markets.get(values["symbol"])
        _check_kind(values)
        rule_id, asked = values["allocationId"], values["allocationQuantities"] or []
        requested_lots = [lots_of(market, units) if units else 0 for units in asked]

        def frames(order: PlaceOrder) -> bytes:
            head = PlaceBlock(market_id=order.market_id, account_id=account_id, rule_id=rule_id)
            return encode_block(head, order, requested_lots)

        answer, records = await self._orders.place_as(values, account_id, frames)
        shares = [event for event in map(decode_event, records) if isinstance(event, Allocated)]
        shown = [
            {"accountId": share.account_id, "quantity": market.quantity(share.final_lots)}
            for share in shares
            if share.step == AllocationStep.HELD and share.order_id == answer["orderId"]
        ]
        if not shown:  # a repeat is answered with the first order
            found = await self._reads.shares(account_id, market, answer["orderId"])
            shown = [{"accountId": share.account_id, "quantity": market.quantity(share.final_lots)} for share in found]
        return {**answer, "allocationId": rule_id, "allocations": shown}

    async def allocations(self, values: dict[str, Any], account_id: int) -> list[dict[str, Any]]:
        """The shares of a block order with what each account got of which trade: all of them for the order's owner, a
        sub-account's own for itself. Without `orderId` those of all block orders that the account has open.
        """
        market = self._markets.get(values["symbol"])
        if values["orderId"] is None:
            found = await self._reads.open_shares(account_id, market)
        else:
            found = await self._reads.shares(account_id, market, values["orderId"])
            if not found:
                raise errors.order_unknown()
        return [_share(share, market) for share in found]


def _check_kind(values: dict[str, Any]) -> None:
    """Kinds of which it is known at acceptance how much each account may have to pay."""
    if values["type"] not in KINDS.values():
        raise errors.invalid_order_type(f"Invalid orderType. Supported for block orders: {', '.join(KINDS)}.")
    for name in ("icebergQty", "quoteOrderQty"):
        if values[name] is not None:
            raise errors.not_required(name)
    if values["type"] is OrderKind.MARKET and values["side"] is Side.BUY:
        raise errors.unsupported_combination()


def _share(share: Share, market: Market) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "orderId": share.order_id,
        "accountId": share.account_id,
        "quantity": market.quantity(share.final_lots),
        "executedQty": market.quantity(share.allocated_lots),
        "fills": [
            {
                "tradeId": fill.trade_id,
                "price": market.price(fill.price_ticks),
                "qty": market.quantity(fill.quantity_lots),
                "commission": format_units(fill.fee_units),
                "commissionAsset": fill.fee_asset,
            }
            for fill in share.fills
        ],
    }
