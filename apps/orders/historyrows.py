"""Orders and trades in words and exact decimal texts, for pages and for files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from apps.common.amounts import format_units
from apps.markets.models import Market
from apps.orders.history import OwnTrade
from apps.orders.models import Order
from apps.streams.kinds import OrderKind, OrderStatus, Side

ORDER_COLUMNS: Final = (
    "time_utc", "order_id", "client_order_id", "account", "market", "side", "type", "price", "stop_price", "quantity",
    "filled", "filled_quote", "status", "updated_utc",
)  # fmt: skip
TRADE_COLUMNS: Final = (
    "time_utc", "market", "trade_id", "order_id", "account", "side", "role", "price", "quantity", "quote", "fee",
    "fee_asset",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """`price` is empty for a market order, `quantity` for one that buys for a sum."""

    order: Order
    market: Market

    @property
    def at(self) -> datetime:
        return _moment(self.order.created_ms)

    @property
    def side(self) -> str:
        return Side(self.order.side).name.lower()

    @property
    def kind(self) -> str:
        return OrderKind(self.order.kind).name.replace("_", " ").lower()

    @property
    def status(self) -> str:
        return OrderStatus(self.order.status).name.replace("_", " ").lower()

    @property
    def price(self) -> str:
        return format_units(self.order.price_ticks * self.market.tick_size) if self.order.price_ticks else ""

    @property
    def stop_price(self) -> str:
        return format_units(self.order.stop_price_ticks * self.market.tick_size) if self.order.stop_price_ticks else ""

    @property
    def quantity(self) -> str:
        return format_units(self.order.quantity_lots * self.market.lot_size) if self.order.quantity_lots else ""

    @property
    def filled(self) -> str:
        return format_units(self.order.filled_lots * self.market.lot_size)

    @property
    def filled_quote(self) -> str:
        return format_units(self.order.filled_quote_units)

    def cells(self) -> tuple[str, ...]:
        """As ORDER_COLUMNS."""
        order = self.order
        return (
            utc_text(order.created_ms), str(order.id), order.client_order_id, str(order.account_id), self.market.symbol,
            self.side, self.kind, self.price, self.stop_price, self.quantity, self.filled, self.filled_quote,
            self.status, utc_text(order.updated_ms),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownTrade:
    own: OwnTrade
    market: Market

    @property
    def at(self) -> datetime:
        return _moment(self.own.trade.time_ms)

    @property
    def side(self) -> str:
        return "buy" if self.own.is_buyer else "sell"

    @property
    def role(self) -> str:
        return "maker" if self.own.is_maker else "taker"

    @property
    def price(self) -> str:
        return format_units(self.own.trade.price_ticks * self.market.tick_size)

    @property
    def quantity(self) -> str:
        return format_units(self.own.trade.quantity_lots * self.market.lot_size)

    @property
    def quote(self) -> str:
        return format_units(self.own.trade.quote_units)

    @property
    def fee(self) -> str:
        return format_units(self.own.fee_units)

    @property
    def fee_asset(self) -> str:
        return (self.market.base_asset if self.own.fee_is_base else self.market.quote_asset).code

    def cells(self) -> tuple[str, ...]:
        """As TRADE_COLUMNS."""
        trade = self.own.trade
        return (
            utc_text(trade.time_ms), self.market.symbol, str(trade.trade_id), str(self.own.order_id),
            str(self.own.account_id), self.side, self.role, self.price, self.quantity, self.quote, self.fee,
            self.fee_asset,
        )  # fmt: skip


def utc_text(at_ms: int) -> str:
    """ISO 8601 with milliseconds."""
    return f"{_moment(at_ms):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)
