import asyncio
import os
from decimal import ROUND_DOWN, Decimal

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot

base_url = os.environ.get("BASE_URL", "http://localhost:8000")
client = Spot(
    ConfigurationRestAPI(os.environ["API_KEY"], os.environ["API_SECRET"], base_path=base_url, timeout=10_000),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=base_url.replace("http", "ws", 1)),
)
symbol = "BTCUSDT"


async def main() -> None:
    streams = client.websocket_streams
    await streams.create_connection()
    updates: asyncio.Queue[object] = asyncio.Queue()
    depth = await streams.diff_book_depth(symbol.lower(), update_speed="100ms")
    depth.on("message", updates.put_nowait)

    ticker = client.rest_api.ticker_book_ticker(symbol=symbol).data().actual_instance
    price = (Decimal(ticker.bid_price) * Decimal("0.8")).quantize(Decimal("0.01"), ROUND_DOWN)
    order = client.rest_api.new_order(symbol, "BUY", "LIMIT", "GTC", quantity=0.001, price=float(price)).data()
    print("placed", order.order_id, order.status, "at", order.price)
    canceled = client.rest_api.delete_order(symbol, order_id=order.order_id).data()
    print("canceled", canceled.status)
    print("book", await asyncio.wait_for(updates.get(), 30))
    await streams.close_connection(close_session=True)


asyncio.run(main())
