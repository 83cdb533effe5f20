"""A market's filters over integers: the part that needs no book (PERCENT_PRICE and MAX_NUM_ORDERS are the engine's).

Used for order/test, and for real orders that cannot be a repeat. An order with the client's own id may repeat one that
was accepted under older settings; the engine answers repeats before it looks at filters (matching-rules.md section 2).
"""

from apps.common.amounts import AMOUNT_MAX
from apps.gateway import errors
from apps.gateway.markets import Market
from apps.matching.engine.iceberg import PARTS_MAX
from apps.matching.engine.stop_order import TRAILING_BIPS_MAX, TRAILING_BIPS_MIN
from apps.streams.commands import PlaceOrder


def check_filters(market: Market, order: PlaceOrder) -> None:
    """Raise -1013 with the first filter that fails, in the engine's order: stop, price, lots, notional, iceberg."""
    if order.stop_price_ticks:
        _check_price(market, order.stop_price_ticks)
    if order.price_ticks:
        _check_limit(market, order.price_ticks, order.quantity_lots)
        if order.display_lots:
            _check_iceberg(market, order.display_lots, order.quantity_lots)
    elif order.budget_units:
        _check_notional(market, order.budget_units)
    elif not market.min_lots <= order.quantity_lots <= market.max_lots:
        raise errors.filter_failure("LOT_SIZE")
    elif order.quantity_lots > market.market_max_lots:
        raise errors.filter_failure("MARKET_LOT_SIZE")
    elif order.stop_price_ticks and not order.trailing_bips:
        _check_notional(market, market.quote_units(order.stop_price_ticks, order.quantity_lots))


def _check_limit(market: Market, price_ticks: int, quantity_lots: int) -> None:
    _check_price(market, price_ticks)
    if not market.min_lots <= quantity_lots <= market.max_lots:
        raise errors.filter_failure("LOT_SIZE")
    _check_notional(market, market.quote_units(price_ticks, quantity_lots))


def _check_price(market: Market, price_ticks: int) -> None:
    if not market.min_price_ticks <= price_ticks <= market.max_price_ticks:
        raise errors.filter_failure("PRICE_FILTER")


def _check_iceberg(market: Market, display_lots: int, quantity_lots: int) -> None:
    if display_lots < market.min_lots:
        raise errors.filter_failure("LOT_SIZE")
    if display_lots * PARTS_MAX < quantity_lots:
        raise errors.filter_failure("ICEBERG_PARTS")


def _check_notional(market: Market, notional_units: int) -> None:
    highest = market.max_notional_units or AMOUNT_MAX
    if not market.min_notional_units <= notional_units <= highest:
        raise errors.filter_failure("NOTIONAL")


def ticks_of(market: Market, price_units: int) -> int:
    """Whole ticks of a positive price; PRICE_FILTER for anything between two ticks."""
    ticks, rest = divmod(price_units, market.tick_size)
    if rest or not ticks:
        raise errors.filter_failure("PRICE_FILTER")
    return ticks


def lots_of(market: Market, quantity_units: int) -> int:
    """Whole lots of a positive quantity; LOT_SIZE for anything between two lots."""
    lots, rest = divmod(quantity_units, market.lot_size)
    if rest or not lots:
        raise errors.filter_failure("LOT_SIZE")
    return lots


def trailing_of(basis_points: int) -> int:
    """The distance of a trailing stop, whose bounds are the same in every market."""
    if not TRAILING_BIPS_MIN <= basis_points <= TRAILING_BIPS_MAX:
        raise errors.filter_failure("TRAILING_DELTA")
    return basis_points
