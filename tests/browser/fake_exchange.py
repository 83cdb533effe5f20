"""A server of the trading API's dialect for the page's own tests, with switches for everything that can go wrong.

Serves the real templates and static files, `/api/v3`, `/stream`, `/ws-api/v3` and `/trade/ticket` over a FakeMarket on
a free loopback port, in a thread. `python -m tests.browser.fake_exchange PORT` runs it with a lively market for a look.
"""

import asyncio
import json
import mimetypes
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs

import uvicorn

from apps.common.amounts import format_units
from apps.common.contentpolicy import POLICY, REPORT_PATH, TRUSTED_TYPES
from tests.browser.fake_market import TICK, UNIT, FakeMarket, Json, Refused

# As the site sends it on its trading pages.
CSP = "; ".join([POLICY, *(f"{name} {' '.join(values)}" for name, values in TRUSTED_TYPES.items())])
LOT_TEXT = "0.00001000"
OPEN_STATUSES = ("NEW", "PARTIALLY_FILLED", "PENDING_NEW")
OTHER_MARKETS = {"ETHUSDT": 3_120, "ETHBTC": 0.0612, "BNBUSDT": 612, "LTCUSDT": 84}
BAR_S = {
    "1s": 1,
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3_600,
    "4h": 14_400,
    "1d": 86_400,
    "1w": 604_800,
    "1M": 2_592_000,
}

Send: TypeAlias = Callable[[Any], Awaitable[None]]
Result = TypeVar("Result")


class FakeExchange:
    """Start with `with FakeExchange() as exchange`; change the market through `exchange.do(lambda market: ...)`."""

    def __init__(self, *, port: int = 0, lively: bool = False, signed_in: bool = True) -> None:
        self.market = FakeMarket(seed=7, now_ms=lambda: time.time_ns() // 1_000_000)
        self.market.publish, self.market.notify = self._publish, self._notify
        self.lively, self.signed_in, self.simulated = lively, signed_in, True
        self.refuse_connections = False
        self.order_types = [
            "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
        ]  # fmt: skip
        self.takes_lists = True
        # Whether the page's account is a master with sub-accounts and allocation rules.
        self.allocates = False
        self.ticket_status = 200
        self.foreign_origin = False
        self.swallow_orders = False
        self.streams: dict[int, tuple[Send, set[str]]] = {}
        self.sessions: dict[int, Send] = {}
        self.requests: list[Json] = []
        self.snapshots = 0
        self.listener = socket.create_server(("127.0.0.1", port))
        self.base_url = f"http://localhost:{self.listener.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            log_level="error",
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FakeExchange":
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=40)

    def do(self, action: Callable[[FakeMarket], Result]) -> Result:
        """Runs `action(market)` in the server's thread."""

        async def run() -> Result:
            return action(self.market)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(timeout=40)

    def drop_connections(self) -> None:
        """Closes every WebSocket, as the gateway's death does."""

        async def run() -> None:
            for send in [*(send for send, _ in self.streams.values()), *self.sessions.values()]:
                await send({"type": "websocket.close", "code": 1012})

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(timeout=40)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        ticking = asyncio.create_task(self._tick())
        await self.server.serve(sockets=[self.listener])
        ticking.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self.lively:
                self.market.wander()
                self._publish("btcusdt@ticker", self._day_event())

    # -- what the dialect says ----------------------------------------------------------------------------------------

    def _publish(self, stream: str, data: Json) -> None:
        for send, wanted in self.streams.values():
            if stream in wanted:
                self._later(send, {"stream": stream, "data": data})

    def _notify(self, event: Json) -> None:
        for send in self.sessions.values():
            self._later(send, {"subscriptionId": 0, "event": event})

    def _later(self, send: Send, message: Json) -> None:
        async def run() -> None:
            await send({"type": "websocket.send", "text": json.dumps(message)})

        self.loop.create_task(run())

    def _day(self) -> Json:
        market = self.market
        opened = market.last * 98 // 100
        return {
            "symbol": "BTCUSDT", "lastPrice": format_units(market.last), "openPrice": format_units(opened),
            "priceChange": format_units(market.last - opened), "priceChangePercent": "2.041",
            "highPrice": format_units(market.last + 700 * UNIT), "lowPrice": format_units(opened - 300 * UNIT),
            "volume": "18234.51200000", "quoteVolume": "928374123.12000000", "bidQty": "1.00000000",
        }  # fmt: skip

    def _day_event(self) -> Json:
        day = self._day()
        return {
            "e": "24hrTicker", "s": "BTCUSDT", "p": day["priceChange"], "P": day["priceChangePercent"],
            "c": day["lastPrice"], "o": day["openPrice"], "h": day["highPrice"], "l": day["lowPrice"],
            "v": day["volume"], "q": day["quoteVolume"],
        }  # fmt: skip

    def _symbols(self) -> list[Json]:
        def entry(base: str, quote: str, status: str, state: str, tick: str) -> Json:
            return {
                "symbol": base + quote, "status": status, "marketState": state, "baseAsset": base, "quoteAsset": quote,
                "quoteAssetPrecision": 8, "quoteOrderQtyMarketAllowed": True, "orderTypes": self.order_types,
                "icebergAllowed": True, "ocoAllowed": self.takes_lists, "otoAllowed": self.takes_lists,
                "allowTrailingStop": True,
                "filters": [
                    {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
                    {"filterType": "LOT_SIZE", "minQty": LOT_TEXT, "maxQty": "9000.00000000", "stepSize": LOT_TEXT},
                    {"filterType": "ICEBERG_PARTS", "limit": 100},
                    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
                ],
            }  # fmt: skip

        others = []
        for name in OTHER_MARKETS:
            quote = "BTC" if name.endswith("BTC") else "USDT"
            tick = "0.00001000" if quote == "BTC" else "0.01000000"
            others.append(entry(name.removesuffix(quote), quote, "TRADING", "OPEN", tick))
        return [entry("BTC", "USDT", self.market.status, self.market.state, "0.01000000"), *others]

    def _klines(self, query: dict[str, str]) -> list[list[Any]]:
        if "endTime" in query:
            return []
        bar_ms = BAR_S[query["interval"]] * 1000
        now = self.market.now_ms() // bar_ms * bar_ms
        price, rows = self.market.last, []
        for age in range(int(query["limit"])):
            close, price = price, price + self.market.chance.randrange(-4_000, 4_000) * TICK
            high, low = max(price, close) + 1_500 * TICK, min(price, close) - 1_500 * TICK
            opened = now - age * bar_ms
            figures = [
                format_units(units)
                for units in (price, high, low, close, self.market.chance.randrange(1, 90) * UNIT // 3)
            ]
            rows.append([opened, *figures, opened + bar_ms - 1, "0", 1, "0", "0", "0"])
        return rows[::-1]

    def _rest(self, path: str, query: dict[str, str]) -> Any:
        market = self.market
        if path == "exchangeInfo":
            wanted = query.get("symbol")
            return {"symbols": [entry for entry in self._symbols() if wanted in (None, entry["symbol"])]}
        if path == "marketState":
            return {"symbol": "BTCUSDT", **market.told()}
        if path == "ticker/24hr":
            if "symbol" in query:
                return self._day()
            others = [
                self._day()
                | {
                    "symbol": name,
                    "lastPrice": f"{price}",
                    "openPrice": f"{price}",
                    "highPrice": f"{price}",
                    "lowPrice": f"{price}",
                }
                for name, price in OTHER_MARKETS.items()
            ]
            return [self._day(), *others]
        if path == "depth":
            self.snapshots += 1
            sides = (sorted(market.bids.items(), reverse=True), sorted(market.asks.items()))
            bids, asks = ([[format_units(p), format_units(q)] for p, q in side] for side in sides)
            return {"lastUpdateId": market.update_id, "bids": bids, "asks": asks}
        if path == "klines":
            return self._klines(query)
        if path == "trades":
            return market.trades[-int(query["limit"]) :]
        raise Refused(404, -1, "no such path")

    def _method(self, method: str, params: Json) -> Any:
        market = self.market
        if method == "account.status":
            rows = [
                {"asset": name, "free": format_units(free), "locked": format_units(locked)}
                for name, (free, locked) in market.balances.items()
            ]
            rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"}
            return {"balances": rows, "updateTime": market.now_ms(), "commissionRates": rates}
        if method == "openOrders.status":
            return [order.row() for order in market.orders.values() if order.status in OPEN_STATUSES]
        if method == "allOrders":
            return [order.row() for order in market.orders.values()]
        if method == "myTrades":
            return market.own_trades
        if method == "blockOrder.allocations":
            return []
        if method == "order.place":
            return market.place(params)
        if method == "orderList.place.oco":
            return market.place_list(params, "OCO", ("above", "below"))
        if method in ("orderList.place.oto", "orderList.place.otoco"):
            pending = ("pending",) if method.endswith("oto") else ("pendingAbove", "pendingBelow")
            return market.place_list(params, "OTO", ("working", *pending))
        if method == "order.cancel":
            return market.cancel(params["orderId"])
        if method == "openOrders.cancelAll":
            return [market.cancel(order["orderId"]) for order in self._method("openOrders.status", {})]
        if method == "userDataStream.subscribe":
            return {"subscriptionId": 0}
        if method == "session.logon" and self.foreign_origin:
            raise Refused(403, -2015, "session.logon is for pages of this site only.")
        if method in ("session.logon", "ping"):
            return {}
        raise Refused(400, -1, "no such method")

    # -- transport ----------------------------------------------------------------------------------------------------

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif self.refuse_connections:
            await receive()
            await send({"type": "websocket.close", "code": 1013})
        else:
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        path: str = scope["path"]
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        status, kind, body = 200, "application/json", b""
        try:
            if path.startswith("/api/v3/"):
                if self.refuse_connections:
                    raise Refused(503, -1001, "Internal error; unable to process your request. Please try again.")
                body = json.dumps(self._rest(path.removeprefix("/api/v3/"), query)).encode()
            elif path == "/trade/ticket":
                status = self.ticket_status if self.signed_in else 401
                if status != 200:
                    raise Refused(status, 0, "")
                body = b'{"ticket": "t"}'
            elif path == REPORT_PATH:
                # The console says the same, and tests look at that.
                status = 204
            elif path.startswith("/static/"):
                kind, body = await asyncio.to_thread(static_file, path.removeprefix("/static/"))
            else:
                kind, body = "text/html; charset=utf-8", await asyncio.to_thread(self._page, path)
        except Refused as refusal:
            status, body = refusal.status, json.dumps({"code": refusal.code, "msg": refusal.msg}).encode()
        headers = [
            (b"content-type", kind.encode()),
            (b"content-security-policy", CSP.encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _page(self, path: str) -> bytes:
        from django.template.loader import render_to_string
        from django.test import RequestFactory

        from apps.accounts.models import AllocationRule

        market = SimpleNamespace(
            symbol="BTCUSDT", base_asset=SimpleNamespace(code="BTC"), quote_asset=SimpleNamespace(code="USDT")
        )
        context = {
            "market": market, "maker_rate": "0.00100000", "taker_rate": "0.00100000", "simulated": self.simulated,
            "user": SimpleNamespace(is_authenticated=self.signed_in, email="demo@example.com", is_staff=False),
            "csrf_token": "csrf", "request": RequestFactory().get(path),
        }  # fmt: skip
        if self.allocates:
            accounts = [
                SimpleNamespace(pk=1001 + number, label=label, is_main=not number, is_frozen=False)
                for number, label in enumerate(("Main", "One", "Two"))
            ]
            rules = [
                SimpleNamespace(
                    rule_id=method.value, method=method, Method=AllocationRule.Method, accounts=[1002, 1003],
                    get_method_display=method.label,
                )
                for method in AllocationRule.Method
            ]  # fmt: skip
            context |= {"accounts": accounts, "trading_as": accounts[0], "allocation_rules": rules}
        name = "markets/list.html" if path == "/markets" else "markets/trade.html"
        return render_to_string(name, context).encode()

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        key, streaming = id(scope), scope["path"] == "/stream"
        if streaming:
            self.streams[key] = (send, set())
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                request = json.loads(message["text"])
                answer = self._control(key, request) if streaming else self._answer(key, send, request)
                if answer is not None:
                    await send({"type": "websocket.send", "text": json.dumps(answer)})
        finally:
            self.streams.pop(key, None)
            self.sessions.pop(key, None)

    def _control(self, key: int, request: Json) -> Json:
        wanted = self.streams[key][1]
        if request["method"] == "SUBSCRIBE":
            wanted.update(request["params"])
        elif request["method"] == "UNSUBSCRIBE":
            wanted.difference_update(request["params"])
        return {"result": None, "id": request["id"]}

    def _answer(self, key: int, send: Send, request: Json) -> Json | None:
        self.requests.append(request)
        if request["method"] == "userDataStream.subscribe":
            self.sessions[key] = send
        try:
            result = self._method(request["method"], request["params"])
        except Refused as refusal:
            return {"id": request["id"], "status": refusal.status, "error": {"code": refusal.code, "msg": refusal.msg}}
        swallowed = self.swallow_orders and request["method"] == "order.place"
        return None if swallowed else {"id": request["id"], "status": 200, "result": result}


def static_file(name: str) -> tuple[str, bytes]:
    from django.contrib.staticfiles import finders

    path = finders.find(name)
    if path is None:
        raise Refused(404, 0, name)
    with open(path, "rb") as file:
        return mimetypes.guess_type(name)[0] or "application/octet-stream", file.read()


def main() -> None:
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    django.setup()
    with FakeExchange(port=int(sys.argv[1]), lively=True) as exchange:
        print(f"{exchange.base_url}/trade/BTCUSDT")
        exchange.thread.join()


if __name__ == "__main__":
    main()
