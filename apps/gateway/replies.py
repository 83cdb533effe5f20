"""Answers about orders, built from the engine's events or from settled rows, in the dialect's shapes. Pure.

Money is text padded to 8 decimals; ids and times are integers. `clientOrderId` of a cancel answer is the cancel's own
id, `origClientOrderId` the order's.
"""

from dataclasses import dataclass
from typing import Any

from apps.common.amounts import format_units
from apps.gateway import errors
from apps.gateway.dialect import NOTHING, SIDE_NAMES, STATUS_NAMES, STP_NAMES, TIF_NAMES, TYPE_NAMES
from apps.gateway.markets import Market
from apps.streams.codec import decode_event
from apps.streams.kinds import OrderKind, OrderStatus, Side, StpMode, TradeFlag
from apps.streams.records import (
    InternalReject,
    OrderAccepted,
    OrderClosed,
    OrderDuplicate,
    OrderRejected,
    Trade,
)


@dataclass(frozen=True, slots=True)
class Fill:
    """One print from the order's own side; a negative fee is a rebate, then in the asset the taker received."""

    trade_id: int
    price_ticks: int
    quantity_lots: int
    fee_units: int
    fee_asset: str


@dataclass(frozen=True, slots=True)
class OrderView:
    """What every answer about an order needs; times in milliseconds."""

    order_id: int
    client_id: str
    side: int
    kind: int
    time_in_force: int
    stp_mode: int
    price_ticks: int
    quantity_lots: int
    budget_units: int
    filled_lots: int
    filled_quote_units: int
    status: int
    created_ms: int
    updated_ms: int
    fills: tuple[Fill, ...] = ()

    @property
    def shown_lots(self) -> int:
        """origQty: of an order by quote budget it is what the budget bought so far."""
        return self.quantity_lots or self.filled_lots


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The engine knows this order already."""

    order_id: int


def fee_asset(market: Market, *, taker_side: int, is_taker: bool, fee_units: int) -> str:
    """Who pays in what: the buyer in base, the seller in quote; a rebate comes in what the taker received."""
    taker_receives = market.base.code if taker_side == Side.BUY else market.quote.code
    maker_receives = market.quote.code if taker_side == Side.BUY else market.base.code
    return taker_receives if is_taker or fee_units < 0 else maker_receives


def placed(records: list[bytes], market: Market) -> OrderView | Duplicate:
    """The outcome of PLACE_ORDER from all events of that command. Raises ApiError for a refusal.

    Timers may have run under the same command before the order, so the order's own events are picked by its id.
    """
    accepted: OrderAccepted | None = None
    fills: list[Fill] = []
    quote_units, lots = 0, 0
    status = OrderStatus.NEW
    for record in records:
        event = decode_event(record)
        if isinstance(event, OrderAccepted) and accepted is None:
            accepted = event
        elif accepted is None and isinstance(event, OrderRejected | InternalReject):
            raise errors.refusal(event.reason)
        elif accepted is None and isinstance(event, OrderDuplicate):
            return Duplicate(event.order_id)
        elif accepted is not None and isinstance(event, Trade) and event.taker_order_id == accepted.order_id:
            asset = fee_asset(market, taker_side=accepted.side, is_taker=True, fee_units=event.taker_fee_units)
            fills.append(Fill(event.trade_id, event.price_ticks, event.quantity_lots, event.taker_fee_units, asset))
            lots += event.quantity_lots
            quote_units += market.quote_units(event.price_ticks, event.quantity_lots)
            done = event.flags & TradeFlag.TAKER_DONE
            status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        elif accepted is not None and isinstance(event, OrderClosed) and event.order_id == accepted.order_id:
            status = OrderStatus(event.status)
    assert accepted is not None, "a place command ends in accepted, rejected, duplicate or skipped"
    return OrderView(
        order_id=accepted.order_id,
        client_id=accepted.client_id,
        side=accepted.side,
        kind=accepted.order_kind,
        time_in_force=accepted.time_in_force,
        stp_mode=accepted.stp_mode,
        price_ticks=accepted.price_ticks,
        quantity_lots=accepted.quantity_lots,
        budget_units=accepted.budget_units,
        filled_lots=lots,
        filled_quote_units=quote_units,
        status=status,
        created_ms=accepted.cmd_ms,
        updated_ms=accepted.cmd_ms,
        fills=tuple(fills),
    )


def new_order(view: OrderView, market: Market, response_type: str) -> dict[str, Any]:
    """ACK, RESULT or FULL."""
    answer: dict[str, Any] = {
        "symbol": market.symbol,
        "orderId": view.order_id,
        "orderListId": -1,
        "clientOrderId": view.client_id,
        "transactTime": view.created_ms,
    }
    if response_type == "ACK":
        return answer
    answer |= _numbers(view, market)
    answer |= {"workingTime": view.created_ms}
    if response_type == "FULL":
        answer["fills"] = [
            {
                "price": market.price(fill.price_ticks),
                "qty": market.quantity(fill.quantity_lots),
                "commission": format_units(fill.fee_units),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in view.fills
        ]
    answer["selfTradePreventionMode"] = STP_NAMES[view.stp_mode]
    return answer


def order_status(view: OrderView, market: Market) -> dict[str, Any]:
    """GET order, openOrders, allOrders."""
    return {
        "symbol": market.symbol,
        "orderId": view.order_id,
        "orderListId": -1,
        "clientOrderId": view.client_id,
        **_numbers(view, market),
        "stopPrice": NOTHING,
        "icebergQty": NOTHING,
        "time": view.created_ms,
        "updateTime": view.updated_ms,
        "isWorking": True,
        "workingTime": view.created_ms,
        "selfTradePreventionMode": STP_NAMES[view.stp_mode],
    }


def _numbers(view: OrderView, market: Market) -> dict[str, Any]:
    return {
        "price": market.price(view.price_ticks),
        "origQty": market.quantity(view.shown_lots),
        "executedQty": market.quantity(view.filled_lots),
        "origQuoteOrderQty": format_units(view.budget_units),
        "cummulativeQuoteQty": format_units(view.filled_quote_units),
        "status": STATUS_NAMES[view.status],
        "timeInForce": TIF_NAMES[view.time_in_force],
        "type": TYPE_NAMES[view.kind],
        "side": SIDE_NAMES[view.side],
    }


def canceled_order(event: OrderClosed, market: Market) -> dict[str, Any]:
    """One cancelled order. Only resting limit orders can be cancelled, so there is no quote budget to show."""
    assert event.order_kind != OrderKind.MARKET, "market orders never rest"
    return {
        "symbol": market.symbol,
        "origClientOrderId": event.client_id,
        "orderId": event.order_id,
        "orderListId": -1,
        "clientOrderId": event.cancel_client_id or event.client_id,
        "transactTime": event.cmd_ms,
        "price": market.price(event.price_ticks),
        "origQty": market.quantity(event.quantity_lots),
        "executedQty": market.quantity(event.filled_lots),
        "origQuoteOrderQty": NOTHING,
        "cummulativeQuoteQty": format_units(event.filled_quote_units),
        "status": STATUS_NAMES[event.status],
        "timeInForce": TIF_NAMES[event.time_in_force],
        "type": TYPE_NAMES[event.order_kind],
        "side": SIDE_NAMES[event.side],
        "selfTradePreventionMode": STP_NAMES[event.stp_mode or StpMode.EXPIRE_TAKER],
    }
