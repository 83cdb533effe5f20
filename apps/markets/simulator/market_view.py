"""A market as a bot learns it from exchangeInfo: sizes of a tick and a lot, and texts to send."""

from dataclasses import dataclass
from typing import Any, Self

from apps.common.amounts import ASSET_DECIMALS, ceil_div, format_units, parse_decimal
from apps.markets import demo

ONE = 10**ASSET_DECIMALS


@dataclass(frozen=True, slots=True)
class MarketView:
    """tick_size and lot_size in 10^-8 of the quote and base asset."""

    listing: demo.DemoMarket
    symbol: str
    tick_size: int
    lot_size: int
    min_notional_units: int

    @classmethod
    def from_exchange_info(cls, market: demo.DemoMarket, symbol: dict[str, Any]) -> Self:
        filters = {found["filterType"]: found for found in symbol["filters"]}
        return cls(
            listing=market,
            symbol=symbol["symbol"],
            tick_size=parse_decimal(filters["PRICE_FILTER"]["tickSize"]),
            lot_size=parse_decimal(filters["LOT_SIZE"]["stepSize"]),
            min_notional_units=parse_decimal(filters["NOTIONAL"]["minNotional"]),
        )

    def price(self, ticks: int) -> str:
        return format_units(ticks * self.tick_size)

    def quantity(self, lots: int) -> str:
        return format_units(lots * self.lot_size)

    def lots_for(self, notional_units: int, price_ticks: int) -> int:
        """Lots worth about `notional_units` of the quote asset, and at least twice the smallest order."""
        wanted = max(notional_units, 2 * self.min_notional_units)
        return ceil_div(wanted * ONE, price_ticks * self.tick_size * self.lot_size)

    def ticks_of(self, price: str) -> int:
        return parse_decimal(price) // self.tick_size

    def lots_of(self, quantity: str) -> int:
        return parse_decimal(quantity) // self.lot_size
