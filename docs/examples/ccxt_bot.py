import os
import re

import ccxt

base_url = os.environ.get("BASE_URL", "http://localhost:8000")
exchange = ccxt.binance({"apiKey": os.environ["API_KEY"], "secret": os.environ["API_SECRET"]})
for name, url in exchange.urls["api"].items():
    if isinstance(url, str):
        exchange.urls["api"][name] = re.sub(r"^https://[^/]+", base_url, url)

exchange.load_markets()
print("USDT:", exchange.fetch_balance()["USDT"]["free"])

symbol = "BTC/USDT"
bid = exchange.fetch_ticker(symbol)["bid"]
price = exchange.price_to_precision(symbol, bid * 0.8)
order = exchange.create_order(symbol, "limit", "buy", 0.001, price)
print("placed", order["id"], order["status"], "at", order["price"])
print("canceled", exchange.cancel_order(order["id"], symbol)["status"])

for _ in range(3):
    book = exchange.fetch_order_book(symbol, 5)
    print("book", book["bids"][0][:2], book["asks"][0][:2])
