"""Asks until it is refused, and says which exception that was."""

import os
import re

import ccxt

bot = ccxt.binance({"enableRateLimit": False})
for name, url in bot.urls["api"].items():
    if isinstance(url, str):
        bot.urls["api"][name] = re.sub(r"^https://[^/]+", os.environ["BASE_URL"], url)
try:
    for _ in range(3):
        bot.publicGetDepth({"symbol": "BTCUSDT", "limit": 1000})
except ccxt.DDoSProtection as refused:
    print(type(refused).__name__, bot.last_response_headers["Retry-After"])
