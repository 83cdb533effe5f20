"""Markets and assets as this process knows them, followed from PostgreSQL by version."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from apps.common.amounts import format_units
from apps.gateway import errors
from apps.streams.kinds import MarketState
from apps.streams.messages import SCALE

MARKETS_CHANNEL: Final = "markets"

_COLUMNS: Final = (
    "id", "symbol", "base_asset_id", "quote_asset_id", "settings_version", "tick_size", "lot_size",
    "initial_price_ticks", "min_price_ticks", "max_price_ticks", "min_lots", "max_lots", "market_max_lots",
    "min_notional_units", "max_notional_units", "bid_down_bp", "bid_up_bp", "ask_down_bp", "ask_up_bp",
    "max_open_orders", "fees", "state", "version",
)  # fmt: skip
_MARKETS_SQL: Final = f"SELECT {', '.join(_COLUMNS)} FROM markets_market WHERE shard = %s ORDER BY id"  # noqa: S608
# An asset is listed before its first market, and may be credited from then on.
_VERSION_SQL: Final = (
    "SELECT COALESCE(max(version), 0), count(*), (SELECT COALESCE(max(id), 0) FROM markets_asset) FROM markets_market"
    " WHERE shard = %s"
)
_ASSETS_SQL: Final = "SELECT id, code, name FROM markets_asset ORDER BY id"


@dataclass(frozen=True, slots=True)
class Asset:
    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Market:
    """One market's settings with the units of `messages.MarketSettings`, and its mirrored state."""

    id: int
    symbol: str
    base: Asset
    quote: Asset
    settings_version: int
    tick_size: int
    lot_size: int
    initial_price_ticks: int
    min_price_ticks: int
    max_price_ticks: int
    min_lots: int
    max_lots: int
    market_max_lots: int
    min_notional_units: int
    max_notional_units: int
    bid_down_bp: int
    bid_up_bp: int
    ask_down_bp: int
    ask_up_bp: int
    max_open_orders: int
    fees: tuple[tuple[int, int], ...]
    state: MarketState

    @property
    def unit_factor(self) -> int:
        """Quote units of one tick times one lot."""
        return self.tick_size * self.lot_size // SCALE

    def price(self, ticks: int) -> str:
        return format_units(ticks * self.tick_size)

    def quantity(self, lots: int) -> str:
        return format_units(lots * self.lot_size)

    def quote_units(self, ticks: int, lots: int) -> int:
        return ticks * lots * self.unit_factor


class Markets:
    """All markets of one shard, by symbol and id; replaced as a whole when a version changes."""

    def __init__(self, shard: str) -> None:
        self._shard = shard
        self.by_symbol: dict[str, Market] = {}
        self.by_id: dict[int, Market] = {}
        self.assets: dict[int, Asset] = {}
        # Raised with every reload: answers built from the markets are cached by it.
        self.generation = 0
        # Told of each market whose state is not what it was, after the change is visible here.
        self.state_listeners: list[Callable[[Market], None]] = []
        self._version: tuple[int, int, int] = (-1, -1, -1)

    def get(self, symbol: str) -> Market:
        """Raises -1121 for a symbol that is not listed."""
        market = self.by_symbol.get(symbol)
        if market is None:
            raise errors.invalid_symbol()
        return market

    def asset_code(self, asset_id: int) -> str:
        return self.assets[asset_id].code

    async def start(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await self.refresh(connection)

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Reload when a version moved; one cheap query otherwise."""
        row = await (await connection.execute(_VERSION_SQL, (self._shard,))).fetchone()
        assert row is not None, "an aggregate always returns one row"
        version = (row[0], row[1], row[2])
        if version != self._version:
            await self.reload(connection)
            self._version = version

    async def reload(self, connection: psycopg.AsyncConnection[Any]) -> None:
        assets = {
            asset_id: Asset(asset_id, code, name)
            for asset_id, code, name in await (await connection.execute(_ASSETS_SQL)).fetchall()
        }
        markets = []
        for row in await (await connection.execute(_MARKETS_SQL, (self._shard,))).fetchall():
            values = dict(zip(_COLUMNS, row, strict=True))
            values.pop("version")
            base, quote = assets[values.pop("base_asset_id")], assets[values.pop("quote_asset_id")]
            fees = tuple((maker_ppm, taker_ppm) for maker_ppm, taker_ppm in values.pop("fees"))
            state = MarketState(values.pop("state"))
            markets.append(Market(base=base, quote=quote, fees=fees, state=state, **values))
        known = self.by_id
        self.assets = assets
        self.by_symbol = {market.symbol: market for market in markets}
        self.by_id = {market.id: market for market in markets}
        self.generation += 1
        for market in markets:
            if market.id in known and known[market.id].state is not market.state:
                for listener in self.state_listeners:
                    listener(market)
