"""The market's filters: price, lots, notional and the number of open orders (T7, matching-rules.md 2).

Units: ticks, lots, quote units. Each function returns why the order is refused, or None.
"""

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine.accounts import Seat
from apps.matching.engine.book import Order
from apps.streams.kinds import CONDITIONAL_KINDS, Reason
from apps.streams.messages import MarketSettings


def limit_fault(order: Order) -> Reason | None:
    """Price, lots, notional at the limit price."""
    settings = order.market.settings
    if not settings.min_price_ticks <= order.price_ticks <= settings.max_price_ticks:
        return Reason.PRICE_FILTER
    if not settings.min_lots <= order.quantity_lots <= settings.max_lots:
        return Reason.LOT_SIZE
    return _notional_fault(settings, order.price_ticks * order.quantity_lots * order.market.unit_factor)


def market_quantity_fault(order: Order) -> Reason | None:
    """Lots, lots of a market order, notional at the reference price."""
    return market_lots_fault(order, order.market.reference_price())


def market_lots_fault(order: Order, price_ticks: int) -> Reason | None:
    """Lots, lots of a market order, notional at this price."""
    settings = order.market.settings
    if not settings.min_lots <= order.quantity_lots <= settings.max_lots:
        return Reason.LOT_SIZE
    if order.quantity_lots > settings.market_max_lots:
        return Reason.MARKET_LOT_SIZE
    return _notional_fault(settings, price_ticks * order.quantity_lots * order.market.unit_factor)


def market_budget_fault(order: Order) -> Reason | None:
    """The budget as notional, then whether it buys a lot at all: nothing to buy is no fault of the order."""
    reason = _notional_fault(order.market.settings, order.budget_units)
    if reason is not None:
        return reason
    best_price = order.market.opposite(order.side).best_price()
    return Reason.LOT_SIZE if best_price * order.market.unit_factor > order.budget_units else None


def amends_fault(order: Order) -> Reason | None:
    """The order was amended as often as an order of this market may be."""
    limit = order.market.settings.max_order_amends
    if limit and order.terms is not None and order.terms.amends >= limit:
        return Reason.MAX_NUM_ORDER_AMENDS
    return None


def smaller_fault(order: Order, quantity_lots: int) -> Reason | None:
    """The minimums of lots and notional, for a limit order that becomes smaller."""
    settings = order.market.settings
    if quantity_lots < settings.min_lots:
        return Reason.LOT_SIZE
    if order.price_ticks * quantity_lots * order.market.unit_factor < settings.min_notional_units:
        return Reason.NOTIONAL
    return None


def _notional_fault(settings: MarketSettings, notional_units: int) -> Reason | None:
    if notional_units > AMOUNT_MAX:
        return Reason.OVERFLOW
    if notional_units < settings.min_notional_units:
        return Reason.NOTIONAL
    if settings.max_notional_units and notional_units > settings.max_notional_units:
        return Reason.NOTIONAL
    return None


def account_limits_fault(order: Order) -> Reason | None:
    """The account has as many open orders, or icebergs, in this market as it may. Asked of orders that can rest.

    Open orders that stand in no book count like the others.
    """
    settings, seat = order.market.settings, order.seat
    if settings.max_open_orders and len(seat.open_orders) >= settings.max_open_orders:
        return Reason.MAX_NUM_ORDERS
    if order.terms is not None and order.terms.display_lots and settings.max_iceberg_orders:
        return Reason.MAX_NUM_ICEBERG_ORDERS if seat.iceberg_orders >= settings.max_iceberg_orders else None
    return None


def stop_price_fault(settings: MarketSettings, stop_price_ticks: int) -> Reason | None:
    """Trigger and activation prices have the limits of every price."""
    if not settings.min_price_ticks <= stop_price_ticks <= settings.max_price_ticks:
        return Reason.PRICE_FILTER
    return None


def conditional_orders_fault(order: Order, count: int = 1) -> Reason | None:
    """The account may not have `count` more orders that wait for a trigger in this market."""
    limit = order.market.settings.max_conditional_orders
    if limit and order.seat.conditional_orders + count > limit:
        return Reason.MAX_NUM_ALGO_ORDERS
    return None


def list_limits_fault(seat: Seat, orders: list[Order]) -> Reason | None:
    """Limits of the account in this market for a list and all its orders at once, the pending ones too."""
    settings = seat.market.settings
    if settings.max_order_lists and seat.order_lists >= settings.max_order_lists:
        return Reason.MAX_NUM_ORDER_LISTS
    if settings.max_open_orders and len(seat.open_orders) + len(orders) > settings.max_open_orders:
        return Reason.MAX_NUM_ORDERS
    icebergs = sum(1 for order in orders if order.terms is not None and order.terms.display_lots)
    if icebergs and settings.max_iceberg_orders and seat.iceberg_orders + icebergs > settings.max_iceberg_orders:
        return Reason.MAX_NUM_ICEBERG_ORDERS
    conditional = sum(1 for order in orders if order.kind in CONDITIONAL_KINDS)
    limit = settings.max_conditional_orders
    if conditional and limit and seat.conditional_orders + conditional > limit:
        return Reason.MAX_NUM_ALGO_ORDERS
    return None
