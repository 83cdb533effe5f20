"""Markets and assets as this process knows them, followed from PostgreSQL by version."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from apps.common.amounts import format_units
from apps.gateway import errors
from apps.streams.kinds import MarketState
from apps.streams.messages import MarketSettings, typed

MARKETS_CHANNEL: Final = "markets"

_SETTINGS: Final = MarketSettings.__struct_fields__
_STATE: Final = ("state", "state_cause", "state_until_ms", "state_reopens_ms", "state_rule_id", "state_seq")
_COLUMNS: Final = (*("id" if name == "market_id" else name for name in _SETTINGS), *_STATE)
_MARKETS_SQL: Final = f"SELECT {', '.join(_COLUMNS)} FROM markets_market WHERE shard = %s ORDER BY id"  # noqa: S608  # constants of ours
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


class Market(MarketSettings, frozen=True, kw_only=True):
    """One market's settings, its assets and its mirrored state (currentstate.MirroredState)."""

    base: Asset
    quote: Asset
    state: MarketState
    state_cause: int = 0
    state_until_ms: int = 0
    state_reopens_ms: int = 0
    state_rule_id: int = 0
    state_seq: int

    @property
    def id(self) -> int:
        return self.market_id

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
        # Told of each market whose state another event brought, after the change is visible here.
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
            values = typed(dict(zip((*_SETTINGS, *_STATE), row, strict=True)))
            values["state"] = MarketState(values["state"])
            base, quote = assets[values["base_asset_id"]], assets[values["quote_asset_id"]]
            markets.append(Market(base=base, quote=quote, **values))
        known = self.by_id
        self.assets = assets
        self.by_symbol = {market.symbol: market for market in markets}
        self.by_id = {market.id: market for market in markets}
        self.generation += 1
        for market in markets:
            if market.id in known and known[market.id].state_seq != market.state_seq:
                for listener in self.state_listeners:
                    listener(market)
