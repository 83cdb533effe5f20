"""Price band: an erroneous limit price is refused (T7, matching-rules.md 1). 0 disables a bound."""

from apps.common.amounts import BASIS_POINTS
from apps.matching.engine.book import BUY, Order
from apps.streams.kinds import Reason


def band_fault(order: Order) -> Reason | None:
    """Within when reference x down_bp <= price x 10^4 <= reference x up_bp; asked of limit prices at entry."""
    market = order.market
    settings = market.settings
    if order.side == BUY:
        down_bp, up_bp = settings.bid_down_bp, settings.bid_up_bp
    else:
        down_bp, up_bp = settings.ask_down_bp, settings.ask_up_bp
    reference = market.last_price_ticks or settings.initial_price_ticks
    scaled = order.price_ticks * BASIS_POINTS
    if scaled < reference * down_bp or (up_bp and scaled > reference * up_bp):
        return Reason.PERCENT_PRICE
    return None
