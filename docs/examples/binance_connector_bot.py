import os
import queue
from decimal import ROUND_DOWN, Decimal

from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

base_url = os.environ.get("BASE_URL", "http://localhost:8000")
client = Spot(os.environ["API_KEY"], os.environ["API_SECRET"], base_url=base_url)
symbol = "BTCUSDT"

messages: queue.Queue[str] = queue.Queue()
stream = SpotWebsocketStreamClient(
    stream_url=base_url.replace("http", "ws", 1), on_message=lambda _, message: messages.put(message)
)
stream.diff_book_depth(symbol=symbol.lower(), speed=100)
print("subscribed", messages.get(timeout=30))

bid = Decimal(client.book_ticker(symbol)["bidPrice"])
price = (bid * Decimal("0.8")).quantize(Decimal("0.01"), ROUND_DOWN)
order = client.new_order(symbol=symbol, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001", price=str(price))
print("placed", order["orderId"], order["status"], "at", order["price"])
canceled = client.cancel_order(symbol, orderId=order["orderId"])
print("canceled", canceled["status"])
print("book", messages.get(timeout=30))
stream.stop()
