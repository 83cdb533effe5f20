import os
from decimal import ROUND_DOWN, Decimal

from binance.client import Client

base_url = os.environ.get("BASE_URL", "http://localhost:8000")


class Exchange(Client):
    API_URL = base_url + "/api"
    MARGIN_API_URL = base_url + "/sapi"
    WS_API_URL = base_url.replace("http", "ws", 1) + "/ws-api/v3"


client = Exchange(os.environ["API_KEY"], os.environ["API_SECRET"])
print("USDT:", client.get_asset_balance("USDT")["free"])

symbol = "BTCUSDT"
bid = Decimal(client.get_orderbook_ticker(symbol=symbol)["bidPrice"])
price = (bid * Decimal("0.8")).quantize(Decimal("0.01"), ROUND_DOWN)
order = client.order_limit_buy(symbol=symbol, quantity="0.001", price=str(price))
print("placed", order["orderId"], order["status"], "at", order["price"])
canceled = client.cancel_order(symbol=symbol, orderId=order["orderId"])
print("canceled", canceled["status"])

for _ in range(3):
    book = client.get_order_book(symbol=symbol, limit=5)
    print("book", book["bids"][0], book["asks"][0])
