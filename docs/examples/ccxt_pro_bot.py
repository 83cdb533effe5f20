import asyncio
import os
import re

import ccxt.pro


async def main() -> None:
    base_url = os.environ.get("BASE_URL", "http://localhost:8000")
    exchange = ccxt.pro.binance({"apiKey": os.environ["API_KEY"], "secret": os.environ["API_SECRET"]})
    urls = exchange.urls["api"]
    for name, url in urls.items():
        if isinstance(url, str):
            urls[name] = re.sub(r"^https://[^/]+", base_url, url)
    ws_url = base_url.replace("http", "ws", 1)
    urls["ws"]["spot"] = urls["ws"]["margin"] = ws_url + "/ws"
    urls["ws"]["ws-api"]["spot"] = ws_url + "/ws-api/v3"
    try:
        await exchange.load_markets()
        symbol = "BTC/USDT"
        book = await exchange.watch_order_book(symbol)
        price = exchange.price_to_precision(symbol, book["bids"][0][0] * 0.8)
        order = await exchange.create_order_ws(symbol, "limit", "buy", 0.001, float(price))
        print("placed", order["id"], order["status"], "at", order["price"])
        canceled = await exchange.cancel_order_ws(order["id"], symbol)
        print("canceled", canceled["status"])
        for _ in range(3):
            book = await exchange.watch_order_book(symbol)
            print("book", book["bids"][0], book["asks"][0])
    finally:
        await exchange.close()


asyncio.run(main())
