"""Rows of a snapshot about markets: their settings, their state and their counts of skipped commands."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import fields

from apps.matching.engine.market import Market
from apps.matching.engine.snapshot_halts import read_breakers
from apps.matching.engine.snapshot_tables import TABLES, Row, Rows
from apps.matching.engine.state import State
from apps.streams.messages import MarketSettings

_SETTINGS_COLUMNS: Final = tuple(name for name, _ in TABLES[3].columns[5:20])
# Tables of the settings that came later, with rows only for the markets that have any of them.
_RULES: Final = {
    table.name: tuple(name for name, _ in table.columns[1:]) for table in TABLES if table.name.endswith("_rules")
}
_DEFAULTS: Final[dict[str, Any]] = {field.name: field.default for field in fields(MarketSettings)}


def market_rows(state: State) -> dict[str, Iterator[Row]]:
    """By table."""
    return {
        "markets": (_market_row(market) for _, market in sorted(state.markets.items())),
        "fees": (
            (market_id, tier, maker_ppm, taker_ppm)
            for market_id, market in sorted(state.markets.items())
            for tier, (maker_ppm, taker_ppm) in enumerate(market.settings.fees)
        ),
        "skips": iter(_skip_rows(state)),
        **{name: iter(_rules_rows(state, columns)) for name, columns in _RULES.items()},
    }


def restore_markets(state: State, tables: Rows) -> None:
    """Their assets are there already."""
    fees: dict[int, list[tuple[int, int]]] = {}
    for market_id, _tier, maker_ppm, taker_ppm in tables["fees"]:
        fees.setdefault(market_id, []).append((maker_ppm, taker_ppm))
    rules: dict[int, dict[str, Any]] = read_breakers(tables)
    for name, columns in _RULES.items():
        for market_id, *values in tables[name]:
            typed = {column: type(_DEFAULTS[column])(value) for column, value in zip(columns, values, strict=True)}
            rules.setdefault(market_id, {}).update(typed)
    for row in tables["markets"]:
        _restore_market(state, row, fees, rules.pop(row[0], {}))
    if rules:
        raise ValueError(f"rules of unknown markets: {sorted(rules)}")


def restore_skips(state: State, tables: Rows) -> None:
    for market_id, count in tables["skips"]:
        if market_id:
            state.markets[market_id].skips = count
        else:
            state.skips = count


def _market_row(market: Market) -> Row:
    settings = market.settings
    return (
        market.market_id,
        settings.symbol.encode("ascii"),
        settings.base_asset_id,
        settings.quote_asset_id,
        settings.settings_version,
        *(getattr(settings, name) for name in _SETTINGS_COLUMNS),
        market.state,
        market.cause,
        market.last_price_ticks,
        market.last_trade_id,
        market.last_agg_id,
        market.last_prevented_id,
    )


def _restore_market(state: State, row: Row, fees: dict[int, list[tuple[int, int]]], rules: dict[str, Any]) -> None:
    """`rules` are the settings that have tables of their own."""
    market_id, symbol, base_asset_id, quote_asset_id, settings_version, *rest = row
    values = rest[: len(_SETTINGS_COLUMNS)]
    settings = MarketSettings(
        market_id=market_id,
        symbol=symbol.rstrip(b"\0").decode("ascii"),
        base_asset_id=base_asset_id,
        quote_asset_id=quote_asset_id,
        settings_version=settings_version,
        fees=fees[market_id],
        **dict(zip(_SETTINGS_COLUMNS, values, strict=True)),
        **rules,
    )
    settings.check()
    market = Market(settings, state.assets[base_asset_id], state.assets[quote_asset_id])
    (
        market.state,
        market.cause,
        market.last_price_ticks,
        market.last_trade_id,
        market.last_agg_id,
        market.last_prevented_id,
    ) = rest[len(_SETTINGS_COLUMNS) :]
    state.markets[market_id] = market


def _rules_rows(state: State, columns: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """(market_id, values) where any of these settings is not its default."""
    for market_id, market in sorted(state.markets.items()):
        values = tuple(getattr(market.settings, name) for name in columns)
        if values != tuple(_DEFAULTS[name] for name in columns):
            yield (market_id, *values)


def _skip_rows(state: State) -> list[tuple[int, int]]:
    """(market_id, count) where something was skipped."""
    counts = [(0, state.skips), *((market_id, market.skips) for market_id, market in sorted(state.markets.items()))]
    return [(market_id, count) for market_id, count in counts if count]
