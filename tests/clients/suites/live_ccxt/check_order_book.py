"""ccxt.pro's watchOrderBook on markets that trade: with its own check of the ids switched on, it never finds a gap."""

import os
import re
import time
from typing import Any

import ccxt.pro

SYMBOLS = ["BTC/USDT", "ETH/USDT"]


async def test_no_gap(base_url: str, ws_url: str) -> None:
    bot: Any = ccxt.pro.binance({"options": {"watchOrderBook": {"checksum": True}}})
    for name, url in bot.urls["api"].items():
        if isinstance(url, str):
            bot.urls["api"][name] = re.sub(r"^https://[^/]+", base_url, url)
    bot.urls["api"]["ws"]["spot"] = ws_url + "/ws"
    until = time.monotonic() + float(os.environ["LIVE_SECONDS"])
    updates, last = 0, dict.fromkeys(SYMBOLS, 0)
    try:
        while time.monotonic() < until or updates < len(SYMBOLS):
            book = await bot.watch_order_book_for_symbols(SYMBOLS)
            assert book["bids"][0][0] < book["asks"][0][0], "the book is crossed"
            assert book["nonce"] >= last[book["symbol"]], "ids went back"
            last[book["symbol"]] = book["nonce"]
            updates += 1
        assert all(last.values())
    finally:
        await bot.close()
    print(f"{updates} updates")
