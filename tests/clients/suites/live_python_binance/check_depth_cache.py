"""python-binance's DepthCacheManager on a market that trades: at each id that REST shows too, both books are one."""

import asyncio
import os
import time
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.ws.depthcache import DepthCacheManager

SYMBOL = "BTCUSDT"
PATIENCE_S = 60


async def test_the_cache_is_the_book_at_its_id(base_url: str, ws_url: str) -> None:
    AsyncClient.API_URL, BinanceSocketManager.STREAM_URL = base_url + "/api", ws_url + "/"
    client = await AsyncClient.create()
    compared, reloads = 0, -1  # entering loads it once
    started = time.monotonic()
    try:
        manager = DepthCacheManager(client, SYMBOL, limit=5000, conv_type=str, ws_interval=100)
        load = manager._init_cache

        async def counted_load() -> None:
            nonlocal reloads
            reloads += 1
            await load()

        manager._init_cache = counted_load
        async with manager as socket:
            # The first message usually overlaps the snapshot, and the client then reloads: its way of starting.
            await socket.recv()
            await socket.recv()
            at_start = reloads
            while time.monotonic() < started + float(os.environ["LIVE_SECONDS"]) or not compared:
                assert time.monotonic() < started + PATIENCE_S, f"REST never showed one of the cache's ids ({compared})"
                cache = await asyncio.wait_for(socket.recv(), PATIENCE_S)
                rest = await client.get_order_book(symbol=SYMBOL, limit=5000)
                if rest["lastUpdateId"] != manager._last_update_id:
                    continue
                assert _texts(cache._bids) == dict(rest["bids"])
                assert _texts(cache._asks) == dict(rest["asks"])
                compared += 1
            assert reloads == at_start, f"the client saw {reloads - at_start} gaps"
    finally:
        await client.close_connection()
    print(f"{compared} books compared")


def _texts(side: dict[str, Any]) -> dict[str, str]:
    return {price: str(quantity) for price, quantity in side.items()}
