"""Shapes of public data in the dialect, for REST, WebSocket API and streams. Pure."""

from collections.abc import Iterable
from typing import Any

from apps.common.amounts import format_units
from apps.gateway.book import PublicMarket, Record
from apps.gateway.dialect import NOTHING
from apps.gateway.markets import Market
from apps.streams.messages import SCALE


def levels(market: Market, rows: Iterable[tuple[int, int]]) -> list[list[str]]:
    """[[price, quantity], ...] in the order given."""
    return [[market.price(price), market.quantity(lots)] for price, lots in rows]


def depth(market: Market, state: PublicMarket, limit: int) -> dict[str, Any]:
    """The book exactly as it is at lastUpdateId."""
    return {
        "lastUpdateId": state.u,
        "bids": levels(market, state.best_bids(limit)),
        "asks": levels(market, state.best_asks(limit)),
    }


def trade(market: Market, record: Record) -> dict[str, Any]:
    return {
        "id": record["id"],
        "price": market.price(record["p"]),
        "qty": market.quantity(record["q"]),
        "quoteQty": format_units(market.quote_units(record["p"], record["q"])),
        "time": record["T"],
        "isBuyerMaker": record["bm"],
        "isBestMatch": True,
    }


def aggregate(market: Market, record: Record) -> dict[str, Any]:
    return {
        "a": record["a"],
        "p": market.price(record["p"]),
        "q": market.quantity(record["q"]),
        "f": record["f"],
        "l": record["l"],
        "T": record["T"],
        "m": record["bm"],
        "M": True,
    }


def kline(market: Market, record: Record) -> list[Any]:
    """[open time, o, h, l, c, volume, close time, quote volume, trades, taker base, taker quote, "0"]."""
    return [
        record["o"], *(market.price(price) for price in record["p"]), market.quantity(record["v"]), record["c"],
        format_units(record["q"]), record["n"], market.quantity(record["bv"]), format_units(record["bq"]), "0",
    ]  # fmt: skip


def percent(change: int, base: int) -> str:
    """100 x change / base with three decimals, half away from zero; "0.000" where there is no base."""
    if base == 0:
        return "0.000"
    thousandths = (abs(change) * 100_000 * 2 + base) // (2 * base)
    return format_units(-thousandths if change < 0 else thousandths, 3)


def average_price(market: Market, value_ticks_lots: int, lots: int) -> str:
    """Volume-weighted price, rounded down to 10^-8."""
    return format_units(value_ticks_lots * market.tick_size // lots) if lots else NOTHING


def weighted_price(market: Market, quote_units: int, lots: int) -> str:
    return format_units(quote_units * SCALE // (lots * market.lot_size)) if lots else NOTHING


def best(market: Market, state: PublicMarket) -> dict[str, str]:
    (bid, bid_lots), (ask, ask_lots) = state.best()
    return {
        "bidPrice": market.price(bid),
        "bidQty": market.quantity(bid_lots),
        "askPrice": market.price(ask),
        "askQty": market.quantity(ask_lots),
    }


def ticker(market: Market, state: PublicMarket, now_ms: int) -> dict[str, Any]:
    """24hrTicker of REST; zeros before the first trade."""
    record = state.ticker or _no_ticker(now_ms)
    return {
        "symbol": market.symbol,
        "priceChange": format_units((record["c"] - record["o"]) * market.tick_size),
        "priceChangePercent": percent(record["c"] - record["o"], record["o"]),
        "weightedAvgPrice": weighted_price(market, record["q"], record["v"]),
        "prevClosePrice": market.price(record["x"]),
        "lastPrice": market.price(record["c"]),
        "lastQty": market.quantity(record["Q"]),
        **best(market, state),
        "openPrice": market.price(record["o"]),
        "highPrice": market.price(record["h"]),
        "lowPrice": market.price(record["l"]),
        **_volumes(market, record),
    }


def mini_ticker(market: Market, state: PublicMarket, now_ms: int) -> dict[str, Any]:
    record = state.ticker or _no_ticker(now_ms)
    return {
        "symbol": market.symbol,
        "openPrice": market.price(record["o"]),
        "highPrice": market.price(record["h"]),
        "lowPrice": market.price(record["l"]),
        "lastPrice": market.price(record["c"]),
        **_volumes(market, record),
    }


def window_ticker(
    market: Market, found: Record | None, last_ticks: int, *, open_ms: int, close_ms: int, full: bool
) -> dict[str, Any]:
    """Rolling and trading day tickers; without trades the last price and zeros."""
    none = {**dict.fromkeys("ohlc", last_ticks), "v": 0, "q": 0, "n": 0, "F": -1, "L": -1}
    record = {**(found or none), "O": open_ms, "C": close_ms}
    change = {
        "priceChange": format_units((record["c"] - record["o"]) * market.tick_size),
        "priceChangePercent": percent(record["c"] - record["o"], record["o"]),
        "weightedAvgPrice": weighted_price(market, record["q"], record["v"]),
    }
    return {
        "symbol": market.symbol,
        **(change if full else {}),
        "openPrice": market.price(record["o"]),
        "highPrice": market.price(record["h"]),
        "lowPrice": market.price(record["l"]),
        "lastPrice": market.price(record["c"]),
        **_volumes(market, record),
    }


def _volumes(market: Market, record: Record) -> dict[str, Any]:
    return {
        "volume": market.quantity(record["v"]),
        "quoteVolume": format_units(record["q"]),
        "openTime": record["O"],
        "closeTime": record["C"],
        "firstId": record["F"],
        "lastId": record["L"],
        "count": record["n"],
    }


def _no_ticker(now_ms: int) -> Record:
    zeros = dict.fromkeys(("o", "h", "l", "c", "v", "q", "n", "Q", "x"), 0)
    return {**zeros, "F": -1, "L": -1, "O": now_ms - 86_400_000, "C": now_ms}


def last_price_ticks(market: Market, state: PublicMarket) -> int:
    """The last trade's price; before the first trade the market's initial price stands for it (matching-rules.md 1)."""
    return int(state.trades[-1]["p"]) if state.trades else market.initial_price_ticks
