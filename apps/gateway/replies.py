"""Answers about orders, built from the engine's events or from settled rows, in the dialect's shapes. Pure.

Money is text padded to 8 decimals; ids and times are integers. `clientOrderId` of a cancel answer is the cancel's own
id, `origClientOrderId` the order's.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from apps.common.amounts import format_units
from apps.gateway import errors
from apps.gateway.dialect import NO_LIST, NOTHING, SIDE_NAMES, STATUS_NAMES, STP_NAMES, TIF_NAMES, TYPE_NAMES
from apps.gateway.eventrows import row_of
from apps.gateway.labelled import NO_LABEL, Label
from apps.gateway.markets import Market
from apps.streams.events import OrderAmended, OrderClosed
from apps.streams.kinds import (
    AcceptedFlag,
    EnteredFlag,
    EventKind,
    OrderStatus,
    Reason,
    Side,
    StpMode,
    TimeInForce,
    TradeFlag,
)

# As plain numbers: on Python 3.11 a member of an enumeration costs a call, and a flag joined to a number several.
_ACCEPTED: Final = int(EventKind.ORDER_ACCEPTED)
_DUPLICATE: Final = int(EventKind.ORDER_DUPLICATE)
_REFUSED: Final = frozenset({int(EventKind.ORDER_REJECTED), int(EventKind.INTERNAL_REJECT)})
_TRADE: Final = int(EventKind.TRADE)
_CLOSED: Final = int(EventKind.ORDER_CLOSED)
_PREVENTED: Final = int(EventKind.PREVENTED_MATCH)
_PARKED: Final = int(EventKind.ORDER_PARKED)
_PENDING_ENTERED: Final = int(EventKind.PENDING_ENTERED)
_TRIGGERED: Final = int(EventKind.ORDER_TRIGGERED)
_WAITING, _PENDING = int(AcceptedFlag.WAITING), int(AcceptedFlag.PENDING)
HAS_STRATEGY_ID: Final = int(AcceptedFlag.STRATEGY_ID)
HAS_STRATEGY_TYPE: Final = int(AcceptedFlag.STRATEGY_TYPE)
_TAKER_DONE, _MAKER_DONE = int(TradeFlag.TAKER_DONE), int(TradeFlag.MAKER_DONE)
_TAKER_IS_BUYER: Final = int(TradeFlag.TAKER_IS_BUYER)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_PENDING_NEW, _NEW = int(OrderStatus.PENDING_NEW), int(OrderStatus.NEW)
_PARTIALLY_FILLED, _FILLED = int(OrderStatus.PARTIALLY_FILLED), int(OrderStatus.FILLED)
_EXPIRED, _EXPIRED_IN_MATCH = int(OrderStatus.EXPIRED), int(OrderStatus.EXPIRED_IN_MATCH)


class Fill(msgspec.Struct, frozen=True):
    """One print from the order's own side; a negative fee is a rebate, then in the asset the taker received."""

    trade_id: int
    price_ticks: int
    quantity_lots: int
    fee_units: int
    fee_asset: str


class Prevented(msgspec.Struct, frozen=True):
    """One prevented match from the taker's side; lots that either order lost by it, 0 where it lost none."""

    prevented_id: int
    maker_order_id: int
    price_ticks: int
    taker_lots: int
    maker_lots: int


class OrderView(msgspec.Struct, frozen=True):
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
    display_lots: int = 0
    expires_ms: int = 0
    # Taken off by self-trade prevention in mode DECREMENT.
    prevented_lots: int = 0
    reason: int = 0
    stop_price_ticks: int = 0
    trailing_bips: int = 0
    # A conditional order that has not been triggered; then, when it was.
    is_waiting: bool = False
    working_ms: int = 0
    # The order list that it is a member of, 0 for none.
    list_id: int = 0
    # A pending order of a list whose turn has not come; it stays so where it ends before.
    is_pending: bool = False
    # The last prevented match that took something off it, 0 for none.
    prevented_id: int = 0
    # None where the account said nothing of it.
    strategy_id: int | None = None
    strategy_type: int | None = None
    fills: tuple[Fill, ...] = ()
    prevented: tuple[Prevented, ...] = ()

    @property
    def shown_lots(self) -> int:
        """origQty: of an order by quote budget it is what the budget bought so far."""
        return self.quantity_lots or self.filled_lots

    @property
    def is_working(self) -> bool:
        """Not in review, nor waiting for its trigger or its turn, and it did not end in one of them."""
        waits = self.status == _PENDING_NEW or self.is_waiting or self.is_pending
        return not waits and self.reason not in _ENDS_OF_REVIEW

    @property
    def lost_lots(self) -> int:
        """preventedQuantity: what self-trade prevention took, which is all the rest where it ended the order."""
        if self.status == _EXPIRED_IN_MATCH:
            return self.shown_lots - self.filled_lots
        return self.prevented_lots


_ENDS_OF_REVIEW: Final = frozenset({int(Reason.PARK_EXPIRED), int(Reason.REJECTED_BY_STAFF)})


class Duplicate(msgspec.Struct, frozen=True):
    """The engine knows this order already."""

    order_id: int


def fee_asset(market: Market, *, taker_side: int, is_taker: bool, fee_units: int) -> str:
    """Who pays in what: the buyer in base, the seller in quote; a rebate comes in what the taker received."""
    taker_receives = market.base.code if taker_side == _BUY else market.quote.code
    maker_receives = market.quote.code if taker_side == _BUY else market.base.code
    return taker_receives if is_taker or fee_units < 0 else maker_receives


def placed(records: list[bytes], market: Market) -> OrderView | Duplicate:
    """The outcome of PLACE_ORDER from all events of that command. Raises ApiError for a refusal.

    Timers may have run under the same command before the order, so the order's own events are picked by its id.
    """
    events = [row_of(record) for record in records]
    for event in events:
        kind = event.KIND
        if kind == _ACCEPTED:
            return view_of(event, events, market)
        if kind in _REFUSED:
            raise errors.refusal(event.reason)
        if kind == _DUPLICATE:
            return Duplicate(event.order_id)
    raise AssertionError("a place command ends in accepted, rejected, duplicate or skipped")


def view_of(accepted: Any, events: Sequence[Any], market: Market, list_id: int = 0) -> OrderView:
    """An order that this command accepted, as it is after the command: what the command triggered may have met it.

    `accepted` and `events`: records, or rows (eventrows.py).
    """
    own = accepted.order_id
    fills: list[Fill] = []
    met: list[Any] = []
    ended: dict[int, Any] = {}
    quote_units, lots, prevented_lots, reason = 0, 0, 0, 0
    is_waiting, is_pending = bool(accepted.flags & _WAITING), bool(accepted.flags & _PENDING)
    working_ms = 0
    status = _PENDING_NEW if is_pending else _NEW
    for event in events:
        kind = event.KIND
        if kind == _TRADE:
            is_taker = event.taker_order_id == own
            if is_taker or event.maker_order_id == own:
                fills.append(_fill(event, market, is_taker=is_taker))
                lots += event.quantity_lots
                quote_units += market.quote_units(event.price_ticks, event.quantity_lots)
                done = event.flags & (_TAKER_DONE if is_taker else _MAKER_DONE)
                status = _FILLED if done else _PARTIALLY_FILLED
        elif kind == _CLOSED:
            ended[event.order_id] = event
            if event.order_id == own:
                status, reason = event.status, event.reason
        elif kind == _PREVENTED and own in (event.taker_order_id, event.maker_order_id):
            if event.taker_order_id == own:
                met.append(event)
            if event.stp_mode == StpMode.DECREMENT and accepted.quantity_lots:
                prevented_lots += event.prevented_lots
        elif kind == _PARKED and event.order_id == own:
            status = _PENDING_NEW
        elif kind == _PENDING_ENTERED and event.order_id == own:
            status, is_pending, is_waiting = _NEW, False, bool(event.flags & EnteredFlag.WAITING)
            working_ms = event.cmd_ms
        elif kind == _TRIGGERED and event.order_id == own:
            is_waiting, working_ms = False, event.cmd_ms
    return OrderView(
        order_id=own,
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
        display_lots=accepted.display_lots,
        expires_ms=accepted.expires_ms,
        prevented_lots=prevented_lots,
        reason=reason,
        stop_price_ticks=accepted.stop_price_ticks,
        trailing_bips=accepted.trailing_bips,
        is_waiting=is_waiting,
        working_ms=working_ms,
        list_id=list_id,
        is_pending=is_pending,
        prevented_id=met[-1].prevented_id if met else 0,
        fills=tuple(fills),
        strategy_id=accepted.strategy_id if accepted.flags & HAS_STRATEGY_ID else None,
        strategy_type=accepted.strategy_type if accepted.flags & HAS_STRATEGY_TYPE else None,
        prevented=tuple(_prevented(event, ended, accepted.quantity_lots - lots - prevented_lots) for event in met),
    )


def _fill(event: Any, market: Market, *, is_taker: bool) -> Fill:
    taker_side = _BUY if event.flags & _TAKER_IS_BUYER else _SELL
    fee_units = event.taker_fee_units if is_taker else event.maker_fee_units
    asset = fee_asset(market, taker_side=taker_side, is_taker=is_taker, fee_units=fee_units)
    return Fill(event.trade_id, event.price_ticks, event.quantity_lots, fee_units, asset)


def _prevented(event: Any, ended: dict[int, Any], taker_rest_lots: int) -> Prevented:
    """Modes that expire an order take all that it had left, and they end the sweep where it is the taker's."""
    if event.stp_mode == StpMode.DECREMENT:
        taker_lots = maker_lots = event.prevented_lots
    else:
        maker = ended.get(event.maker_order_id)
        maker_lots = maker.quantity_lots - maker.filled_lots if maker is not None else 0
        taker_lots = max(taker_rest_lots, 0) if event.stp_mode != StpMode.EXPIRE_MAKER else 0
    return Prevented(event.prevented_id, event.maker_order_id, event.price_ticks, taker_lots, maker_lots)


def new_order(view: OrderView, market: Market, response_type: str) -> dict[str, Any]:
    """ACK, RESULT or FULL."""
    answer: dict[str, Any] = {
        "symbol": market.symbol,
        "orderId": view.order_id,
        "orderListId": view.list_id or NO_LIST,
        "clientOrderId": view.client_id,
        "transactTime": view.created_ms,
    }
    if response_type == "ACK":
        return answer
    answer |= _numbers(view, market)
    if view.stop_price_ticks:
        answer["stopPrice"] = market.price(view.stop_price_ticks)
    answer["workingTime"] = working_time(view)
    if view.display_lots:
        answer["icebergQty"] = market.quantity(view.display_lots)
    answer |= _conditional(view, market)
    answer["selfTradePreventionMode"] = STP_NAMES[view.stp_mode]
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
        if view.prevented:
            answer["preventedMatches"] = [_prevented_match(each, market) for each in view.prevented]
    return answer


def _stop_price(view: OrderView, market: Market) -> dict[str, Any]:
    return {"stopPrice": market.price(view.stop_price_ticks)} if view.stop_price_ticks else {}


def _iceberg(view: OrderView, market: Market) -> dict[str, Any]:
    return {"icebergQty": market.quantity(view.display_lots)} if view.display_lots else {}


def _prevented_match(each: Prevented, market: Market) -> dict[str, Any]:
    answer = {
        "preventedMatchId": each.prevented_id,
        "makerOrderId": each.maker_order_id,
        "price": market.price(each.price_ticks),
    }
    if each.taker_lots:
        answer["takerPreventedQuantity"] = market.quantity(each.taker_lots)
    if each.maker_lots:
        answer["makerPreventedQuantity"] = market.quantity(each.maker_lots)
    return answer


def _conditional(view: OrderView, market: Market) -> dict[str, Any]:
    """Fields that only some orders have. `goodTillDate` and `rejectReason` are ours."""
    found: dict[str, Any] = {}
    if view.trailing_bips:
        found["trailingDelta"] = view.trailing_bips
    found |= _strategy(view)
    if view.expires_ms:
        found["goodTillDate"] = view.expires_ms
    if view.status == _EXPIRED:
        found["expiryReason"] = expiry_reason(view, view.reason)
    if view.reason and (word := reject_reason(view.reason)) != "NONE":
        found["rejectReason"] = word
    if view.lost_lots:
        if view.prevented_id:
            found["preventedMatchId"] = view.prevented_id
        found["preventedQuantity"] = market.quantity(view.lost_lots)
    return found


def _strategy(view: OrderView) -> dict[str, Any]:
    found = {"strategyId": view.strategy_id, "strategyType": view.strategy_type}
    return {name: value for name, value in found.items() if value is not None}


def expiry_reason(view: OrderView, reason: int) -> str:
    """The dialect's word for why an order expired; ours where it has none."""
    if reason == Reason.NO_LIQUIDITY:
        return UNFILLED.get(view.time_in_force, "INSUFFICIENT_LIQUIDITY")
    if reason == Reason.BREAKER:
        return "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    if reason == Reason.LIST_ENDED:
        return "OTO_PHASE_ONE_EXPIRED" if view.is_pending else "OCO_TRIGGER"
    # A triggered order is checked like a new one, and ends where that would be refused.
    return "REJECTED" if reason in errors.REFUSALS else Reason(reason).name


def reject_reason(reason: int) -> str:
    """Why an accepted order was refused later: at its trigger, at its turn, in review. The dialect's word (`r`), or
    ours; NONE for every other end.
    """
    if reason in errors.REFUSALS or reason == Reason.REJECTED_BY_STAFF:
        return REJECTIONS.get(reason, Reason(reason).name)
    return "NONE"


REJECTIONS: Final = {
    int(Reason.INSUFFICIENT_BALANCE): "INSUFFICIENT_BALANCES", int(Reason.WOULD_MATCH): "WOULD_MATCH_IMMEDIATELY",
    int(Reason.WOULD_TRIGGER): "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY", int(Reason.LIST_LEGS): "OCO_BAD_PRICES",
}  # fmt: skip
UNFILLED: Final = {
    int(TimeInForce.IOC): "UNFILLED_IOC_QUANTITY_EXPIRED", int(TimeInForce.FOK): "UNFILLED_FOK_ORDER_EXPIRED",
}  # fmt: skip


def order_status(view: OrderView, market: Market) -> dict[str, Any]:
    """GET order, openOrders, allOrders."""
    return {
        "symbol": market.symbol,
        "orderId": view.order_id,
        "orderListId": view.list_id or NO_LIST,
        "clientOrderId": view.client_id,
        **_numbers(view, market),
        "stopPrice": market.price(view.stop_price_ticks),
        "icebergQty": market.quantity(view.display_lots),
        "time": view.created_ms,
        "updateTime": view.updated_ms,
        "isWorking": view.is_working,
        "workingTime": working_time(view),
        **_conditional(view, market),
        "selfTradePreventionMode": STP_NAMES[view.stp_mode],
    }


def working_time(view: OrderView) -> int:
    """Since when it may trade; -1 for an order that is parked for review or waits for its trigger."""
    return view.working_ms or view.created_ms if view.is_working else -1


def _numbers(view: OrderView, market: Market) -> dict[str, Any]:
    return {
        "price": market.price(view.price_ticks),
        "origQty": market.quantity(view.shown_lots),
        "executedQty": market.quantity(view.filled_lots) if view.filled_lots else NOTHING,
        "origQuoteOrderQty": format_units(view.budget_units) if view.budget_units else NOTHING,
        "cummulativeQuoteQty": format_units(view.filled_quote_units) if view.filled_quote_units else NOTHING,
        "status": STATUS_NAMES[view.status],
        "timeInForce": TIF_NAMES[view.time_in_force],
        "type": TYPE_NAMES[view.kind],
        "side": SIDE_NAMES[view.side],
    }


def canceled_order(event: OrderClosed, market: Market, list_id: int = 0, label: Label = NO_LABEL) -> dict[str, Any]:
    """One cancelled order. An order by quote budget is never open, so there is none to show."""
    view = OrderView(
        order_id=event.order_id, client_id=event.client_id, side=event.side, kind=event.order_kind,
        time_in_force=event.time_in_force, stp_mode=event.stp_mode or StpMode.EXPIRE_TAKER,
        price_ticks=event.price_ticks, quantity_lots=event.quantity_lots, budget_units=0,
        filled_lots=event.filled_lots, filled_quote_units=event.filled_quote_units, status=event.status,
        created_ms=0, updated_ms=event.cmd_ms, list_id=list_id, **label._asdict(),
    )  # fmt: skip
    return canceled_view(view, market, event.cancel_client_id)


def canceled_view(view: OrderView, market: Market, cancel_client_id: str) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "origClientOrderId": view.client_id,
        "orderId": view.order_id,
        "orderListId": view.list_id or NO_LIST,
        "clientOrderId": cancel_client_id or view.client_id,
        "transactTime": view.updated_ms,
        **_numbers(view, market),
        **_stop_price(view, market),
        **_iceberg(view, market),
        **_conditional(view, market),
        "selfTradePreventionMode": STP_NAMES[view.stp_mode],
    }


def amended_order(event: OrderAmended, view: OrderView, market: Market) -> dict[str, Any]:
    """`view` is the order as amended. Its client order id stays: newClientOrderId only names the amendment."""
    answer = {
        "symbol": market.symbol,
        "orderId": view.order_id,
        "orderListId": NO_LIST,
        "origClientOrderId": view.client_id,
        "clientOrderId": view.client_id,
        "price": market.price(view.price_ticks),
        "qty": market.quantity(view.quantity_lots),
        "executedQty": market.quantity(view.filled_lots),
        "preventedQty": market.quantity(view.prevented_lots),
        "quoteOrderQty": NOTHING,
        "cumulativeQuoteQty": format_units(view.filled_quote_units),
        "status": STATUS_NAMES[view.status],
        "timeInForce": TIF_NAMES[view.time_in_force],
        "type": TYPE_NAMES[view.kind],
        "side": SIDE_NAMES[view.side],
        "workingTime": working_time(view),
    }
    if view.display_lots:
        answer["icebergQty"] = market.quantity(view.display_lots)
    answer |= _strategy(view)
    answer["selfTradePreventionMode"] = STP_NAMES[view.stp_mode]
    return {"transactTime": event.cmd_ms, "executionId": event.seq, "amendedOrder": answer}
