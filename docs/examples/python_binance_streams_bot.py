import asyncio
import os
from decimal import ROUND_DOWN, Decimal

from binance import AsyncClient, BinanceSocketManager

base_url = os.environ.get("BASE_URL", "http://localhost:8000")
ws_url = base_url.replace("http", "ws", 1)
AsyncClient.API_URL = base_url + "/api"
AsyncClient.MARGIN_API_URL = base_url + "/sapi"
AsyncClient.WS_API_URL = ws_url + "/ws-api/v3"
BinanceSocketManager.STREAM_URL = ws_url + "/"


async def main() -> None:
    client = await AsyncClient.create(os.environ["API_KEY"], os.environ["API_SECRET"])
    symbol = "BTCUSDT"
    sockets = BinanceSocketManager(client)
    try:
        async with sockets.user_socket() as user, sockets.depth_socket(symbol, interval=100) as depth:
            bid = Decimal((await client.get_orderbook_ticker(symbol=symbol))["bidPrice"])
            price = (bid * Decimal("0.8")).quantize(Decimal("0.01"), ROUND_DOWN)
            order = await client.order_limit_buy(symbol=symbol, quantity="0.001", price=str(price))
            print("placed", order["orderId"], order["status"], "at", order["price"])
            print("event", (await user.recv())["e"])
            canceled = await client.cancel_order(symbol=symbol, orderId=order["orderId"])
            print("canceled", canceled["status"])
            update = await depth.recv()
            print("book", update["U"], update["u"], update["b"], update["a"])
    finally:
        await client.close_connection()


asyncio.run(main())
