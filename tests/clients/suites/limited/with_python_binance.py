"""Asks until it is refused, and says which exception that was."""

import os

from binance.client import Client
from binance.exceptions import BinanceAPIException

client = Client(ping=False)
client.API_URL = os.environ["BASE_URL"] + "/api"
try:
    for _ in range(3):
        client.get_order_book(symbol="BTCUSDT", limit=1000)
except BinanceAPIException as refused:
    print(refused.status_code, refused.code, refused.response.headers["Retry-After"])
