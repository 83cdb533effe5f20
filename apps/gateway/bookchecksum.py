"""A checksum by which a client proves that the book it keeps is ours (docs/streams.md has the rule). Pure.

CRC-32 (the one of zlib, PNG and Ethernet) of an ASCII text: the depth id, then the best LEVELS levels of each side,
best price first, each as the price and quantity that REST and streams show, all joined by ':'.

    1027:b:100.00000000:1.00000000:99.00000000:0.50000000:a:101.00000000:2.00000000
"""

from typing import Any, Final
from zlib import crc32

from apps.gateway.book import PublicMarket
from apps.gateway.markets import Market

LEVELS: Final = 100


def checksum(market: Market, state: PublicMarket) -> int:
    """Of the book at `state.u`; from 0 to 2^32 - 1."""
    parts = [str(state.u)]
    for side, levels in (("b", state.best_bids(LEVELS)), ("a", state.best_asks(LEVELS))):
        parts.append(side)
        for price, lots in levels:
            parts += (market.price(price), market.quantity(lots))
    return crc32(":".join(parts).encode("ascii"))


def answer(market: Market, state: PublicMarket) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "lastUpdateId": state.u,
        "levels": LEVELS,
        "checksum": checksum(market, state),
    }
