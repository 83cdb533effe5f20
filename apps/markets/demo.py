"""The assets and markets of the demonstration, as data. Prices and sizes are plausible, not anybody's quotes."""

from typing import Final, NamedTuple

from django.conf import settings

from apps.common.amounts import parse_decimal
from apps.markets.services import MarketTerms
from apps.streams.kinds import BreakerMeasure
from apps.streams.messages import BreakerRule

# Code, name, class.
ASSETS: Final = (
    ("BTC", "Bitcoin", "coin"),
    ("ETH", "Ether", "coin"),
    ("BNB", "BNB", "coin"),
    ("LTC", "Litecoin", "coin"),
    ("USDT", "Tether USD", "stablecoin"),
    ("USDC", "USD Coin", "stablecoin"),
)
DOWN_BP: Final = 2_000
UP_BP: Final = 50_000
MAX_OPEN_ORDERS: Final = 200
MAX_SPECIAL_ORDERS: Final = 100  # icebergs, and orders that wait for a trigger
CONDITIONAL_BUFFER_BP: Final = 200  # how far beyond its stop price a market buy can still pay
# T9: 5 % within a minute, 10 % within five. The last half minute of a halt is the call phase.
BREAKERS: Final = (
    BreakerRule(1, BreakerMeasure.PRICE, 500, 60_000),
    BreakerRule(2, BreakerMeasure.PRICE, 1_000, 300_000),
)
CALL_S: Final = 30
COLLAR_BP: Final = 1_000
MAX_EXTENSIONS: Final = 4
FEES: Final = ((1_000, 1_000),)  # 0.1 % maker, 0.1 % taker


class DemoMarket(NamedTuple):
    """Decimal texts in the quote asset (prices, notionals) and the base asset (sizes)."""

    base: str
    quote: str
    tick: str
    lot: str
    initial_price: str
    max_price: str
    max_quantity: str
    market_max_quantity: str
    min_notional: str
    max_notional: str

    @property
    def symbol(self) -> str:
        return self.base + self.quote

    def terms(self) -> MarketTerms:
        tick_size, lot_size = parse_decimal(self.tick), parse_decimal(self.lot)
        return MarketTerms(
            tick_size=tick_size,
            lot_size=lot_size,
            initial_price_ticks=parse_decimal(self.initial_price) // tick_size,
            min_price_ticks=1,
            max_price_ticks=parse_decimal(self.max_price) // tick_size,
            min_lots=1,
            max_lots=parse_decimal(self.max_quantity) // lot_size,
            market_max_lots=parse_decimal(self.market_max_quantity) // lot_size,
            min_notional_units=parse_decimal(self.min_notional),
            max_notional_units=parse_decimal(self.max_notional),
            bid_down_bp=DOWN_BP,
            bid_up_bp=UP_BP,
            ask_down_bp=DOWN_BP,
            ask_up_bp=UP_BP,
            max_open_orders=MAX_OPEN_ORDERS,
            max_iceberg_orders=MAX_SPECIAL_ORDERS,
            max_conditional_orders=MAX_SPECIAL_ORDERS,
            max_order_lists=MAX_SPECIAL_ORDERS,
            conditional_buffer_bp=CONDITIONAL_BUFFER_BP,
            fees=list(FEES),
            breaker_rules=list(BREAKERS),
            call_s=CALL_S,
            collar_bp=COLLAR_BP,
            max_extensions=MAX_EXTENSIONS,
        )


_OF_SPOT: Final = (
    DemoMarket("BTC", "USDT", "0.01", "0.00001", "50000", "1000000", "9000", "100", "5", "9000000"),
    DemoMarket("ETH", "USDT", "0.01", "0.0001", "2500", "1000000", "9000", "1000", "5", "9000000"),
    DemoMarket("ETH", "BTC", "0.00001", "0.001", "0.05", "1000", "100000", "1000", "0.0001", "1000"),
    DemoMarket("BNB", "USDT", "0.01", "0.001", "500", "100000", "90000", "10000", "5", "9000000"),
    DemoMarket("LTC", "USDT", "0.01", "0.001", "80", "100000", "90000", "10000", "5", "9000000"),
)
_OF_DRILL: Final = (DemoMarket("LTC", "USDC", "0.01", "0.001", "80", "100000", "90000", "10000", "5", "9000000"),)
MARKETS_OF_SHARD: Final = {"spot": _OF_SPOT, "drill": _OF_DRILL}
MARKETS: Final = MARKETS_OF_SHARD[settings.SHARD]
