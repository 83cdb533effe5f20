"""Stream messages in the dialect, built from marketdata's records. Pure.

`now_ms` is the event time E. All times are multiplied by `unit`: 1 for milliseconds, 1000 for microseconds.
"""

from typing import Any

from apps.common.amounts import format_units
from apps.gateway.book import PublicMarket, Record
from apps.gateway.bookchecksum import checksum
from apps.gateway.markets import Market
from apps.gateway.marketstate import state_of
from apps.gateway.publicanswers import average_price, best, levels, percent, weighted_price
from apps.markets.liveintervals import ZONE


def trade(market: Market, record: Record, now_ms: int, unit: int = 1) -> dict[str, Any]:
    return {
        "e": "trade", "E": now_ms * unit, "s": market.symbol, "t": record["id"], "p": market.price(record["p"]),
        "q": market.quantity(record["q"]), "T": record["T"] * unit, "m": record["bm"], "M": True,
    }  # fmt: skip


def aggregate(market: Market, record: Record, now_ms: int, unit: int = 1) -> dict[str, Any]:
    return {
        "e": "aggTrade", "E": now_ms * unit, "s": market.symbol, "a": record["a"], "p": market.price(record["p"]),
        "q": market.quantity(record["q"]), "f": record["f"], "l": record["l"], "T": record["T"] * unit,
        "m": record["bm"], "M": True,
    }  # fmt: skip


def depth_update(market: Market, record: Record, unit: int = 1) -> dict[str, Any]:
    """Absolute quantities; "0.00000000" removes the level."""
    return {
        "e": "depthUpdate", "E": record["T"] * unit, "s": market.symbol, "U": record["U"], "u": record["u"],
        "b": levels(market, record["b"]), "a": levels(market, record["a"]),
    }  # fmt: skip


def partial_depth(market: Market, state: PublicMarket, limit: int) -> dict[str, Any]:
    return {
        "lastUpdateId": state.u,
        "bids": levels(market, state.best_bids(limit)),
        "asks": levels(market, state.best_asks(limit)),
    }


def kline(market: Market, record: Record, now_ms: int, unit: int = 1) -> dict[str, Any]:
    opened, high, low, close = (market.price(price) for price in record["p"])
    return {
        "e": "kline", "E": now_ms * unit, "s": market.symbol,
        "k": {
            "t": record["o"] * unit, "T": (record["c"] + 1) * unit - 1, "s": market.symbol,
            "i": record["i"].removesuffix(ZONE), "f": record["f"], "L": record["l"], "o": opened,
            "c": close, "h": high, "l": low, "v": market.quantity(record["v"]), "n": record["n"], "x": record["x"],
            "q": format_units(record["q"]), "V": market.quantity(record["bv"]), "Q": format_units(record["bq"]),
            "B": "0",
        },
    }  # fmt: skip


def ticker(market: Market, state: PublicMarket, record: Record, now_ms: int, unit: int = 1) -> dict[str, Any]:
    top = best(market, state)
    return {
        "e": "24hrTicker", "E": now_ms * unit, "s": market.symbol,
        "p": format_units((record["c"] - record["o"]) * market.tick_size),
        "P": percent(record["c"] - record["o"], record["o"]),
        "w": weighted_price(market, record["q"], record["v"]), "x": market.price(record["x"]),
        "c": market.price(record["c"]), "Q": market.quantity(record["Q"]), "b": top["bidPrice"], "B": top["bidQty"],
        "a": top["askPrice"], "A": top["askQty"], "o": market.price(record["o"]), "h": market.price(record["h"]),
        "l": market.price(record["l"]), "v": market.quantity(record["v"]), "q": format_units(record["q"]),
        "O": record["O"] * unit, "C": record["C"] * unit, "F": record["F"], "L": record["L"], "n": record["n"],
    }  # fmt: skip


def mini_ticker(market: Market, record: Record, now_ms: int, unit: int = 1) -> dict[str, Any]:
    return {
        "e": "24hrMiniTicker", "E": now_ms * unit, "s": market.symbol, "c": market.price(record["c"]),
        "o": market.price(record["o"]), "h": market.price(record["h"]), "l": market.price(record["l"]),
        "v": market.quantity(record["v"]), "q": format_units(record["q"]),
    }  # fmt: skip


def window_ticker(market: Market, record: Record, now_ms: int, unit: int = 1) -> dict[str, Any]:
    """`<symbol>@ticker_1h` and its like; its fields are not quite in the order of `ticker`."""
    return {
        "e": f"{record['w']}Ticker", "E": now_ms * unit, "s": market.symbol,
        "p": format_units((record["c"] - record["o"]) * market.tick_size),
        "P": percent(record["c"] - record["o"], record["o"]), "o": market.price(record["o"]),
        "h": market.price(record["h"]), "l": market.price(record["l"]), "c": market.price(record["c"]),
        "w": weighted_price(market, record["q"], record["v"]), "v": market.quantity(record["v"]),
        "q": format_units(record["q"]), "O": record["O"] * unit, "C": record["C"] * unit, "F": record["F"],
        "L": record["L"], "n": record["n"],
    }  # fmt: skip


def average(market: Market, state: PublicMarket, now_ms: int, unit: int = 1) -> dict[str, Any]:
    """Before the first trade the initial price stands for the last price, as in REST."""
    value, lots = state.average_price_ticks(now_ms) or (market.initial_price_ticks, 1)
    return {
        "e": "avgPrice", "E": now_ms * unit, "s": market.symbol, "i": "5m",
        "w": average_price(market, value, lots), "T": (state.trades[-1]["T"] if state.trades else now_ms) * unit,
    }  # fmt: skip


def book_checksum(market: Market, state: PublicMarket, record: Record, unit: int = 1) -> dict[str, Any]:
    """Ours: `c` is the checksum of the book at depth id `u` (bookchecksum.py)."""
    return {
        "e": "bookChecksum", "E": record["T"] * unit, "s": market.symbol, "u": state.u, "c": checksum(market, state),
    }  # fmt: skip


def market_state(
    market: Market, public: PublicMarket | None, stale_since_ms: int | None, now_ms: int, unit: int = 1
) -> dict[str, Any]:
    told = state_of(market, public, stale_since_ms)
    for name in ("until", "resumesAt", "staleSince"):
        told[name] = told[name] and told[name] * unit
    return {"e": "marketState", "E": now_ms * unit, "s": market.symbol, **told}


def book_ticker(market: Market, record: Record) -> dict[str, Any]:
    return {
        "u": record["u"], "s": market.symbol, "b": market.price(record["bp"]), "B": market.quantity(record["bq"]),
        "a": market.price(record["ap"]), "A": market.quantity(record["aq"]),
    }  # fmt: skip
