"""What Hummingbot sends and what it looks for in the answers, replayed: it cannot be installed beside the tests.

From its connector `binance` (development, 2026-07-30) as shared/clients.md section 2.8 lists it: form bodies without
recvWindow, orders and cancels by client order id, texts that it matches, and the frames of its two sockets.
"""

import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.clients.fields.kinds import problems
from tests.clients.fields.streams import MARKET_EVENTS, USER_EVENTS
from tests.clients.fields.tables import REST
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.stack import BASE_DIR

SYMBOL = "BTCUSDT"
PATIENCE_S = 30
# What it makes of `status` and `X`; a status that is not here breaks its order tracking.
ORDER_STATE = {
    "PENDING": "PENDING_CREATE", "NEW": "OPEN", "FILLED": "FILLED", "PARTIALLY_FILLED": "PARTIALLY_FILLED",
    "PENDING_CANCEL": "OPEN", "CANCELED": "CANCELED", "REJECTED": "FAILED", "EXPIRED": "FAILED",
    "EXPIRED_IN_MATCH": "FAILED",
}  # fmt: skip
CONSTANTS = """DEFAULT_DOMAIN = "com"
REST_URL = "https://api.binance.{}/api/"
WSS_URL = "wss://stream.binance.{}:9443/ws"
WSS_API_URL = "wss://ws-api.binance.{}:443/ws-api/v3"
PUBLIC_API_VERSION = "v3"
"""


class Hummingbot:
    """Its requests, byte for byte: parameters in the order it adds them, then timestamp and signature."""

    def __init__(self, exchange: Exchange, client: Client) -> None:
        self.account = client.me
        self.http = httpx.Client(base_url=exchange.base_url + "/api/v3", timeout=60)
        self.http.headers["X-MBX-APIKEY"] = self.account.api_key

    def signed(self, params: dict[str, Any]) -> dict[str, Any]:
        sent = {**params, "timestamp": int(time.time() * 1e3)}
        secret, text = self.account.api_secret.encode(), urlencode(sent)
        return {**sent, "signature": hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()}

    def request(self, method: str, path: str, params: dict[str, Any]) -> httpx.Response:
        signed = self.signed(params)
        if method == "POST":
            return self.http.post(path, data=signed)
        return self.http.request(method, path, params=signed)

    def ok(self, method: str, path: str, **params: Any) -> Any:
        answer = self.request(method, path, params)
        assert answer.status_code == 200, answer.text
        value = answer.json()
        assert problems(REST[f"{method} /api/v3{path}"], value) == []
        return value

    def raises(self, method: str, path: str, **params: Any) -> str:
        """The text of the exception that its REST assistant makes of a refusal; its code searches in this."""
        answer = self.request(method, path, params)
        assert answer.status_code >= 400
        return f"Error executing request {method} {path}. HTTP status is {answer.status_code}. Error: {answer.text}"


def test_markets(exchange: Exchange, alice: Client) -> None:
    """A pair counts when it trades and one of its permission sets has SPOT; rules come out of three filters."""
    bot = Hummingbot(exchange, alice)
    assert bot.http.get("/ping").json() == {}
    assert bot.http.get("/time").json()["serverTime"] > 0
    pairs = {}
    for rule in bot.http.get("/exchangeInfo").json()["symbols"]:
        is_spot = any("SPOT" in permissions for permissions in rule["permissionSets"])
        if rule["status"] == "TRADING" and is_spot:
            by_type = {each["filterType"]: each for each in rule["filters"]}
            notional = by_type.get("MIN_NOTIONAL") or by_type["NOTIONAL"]
            pairs[rule["symbol"]] = (
                Decimal(by_type["LOT_SIZE"]["minQty"]),
                Decimal(by_type["PRICE_FILTER"]["tickSize"]),
                Decimal(by_type["LOT_SIZE"]["stepSize"]),
                Decimal(notional["minNotional"]),
            )
    assert pairs[SYMBOL] == (Decimal("0.00001"), Decimal("0.01"), Decimal("0.00001"), Decimal(5))
    assert bot.http.get("/depth", params={"symbol": SYMBOL, "limit": "1000"}).json()["lastUpdateId"] >= 0
    assert float(bot.http.get("/ticker/24hr", params={"symbol": SYMBOL}).json()["lastPrice"]) >= 0
    assert {each["symbol"] for each in bot.http.get("/ticker/bookTicker").json()} >= set(pairs)


def test_an_order_s_life(exchange: Exchange, alice: Client, bob: Client) -> None:
    bot = Hummingbot(exchange, alice)
    name = "x-MG43PCSNBBTCUT" + str(time.time_ns())
    placed = bot.ok(
        "POST", "/order", symbol=SYMBOL, side="BUY", quantity="0.01000000", type="LIMIT", newClientOrderId=name,
        price="40000.00", timeInForce="GTC",
    )  # fmt: skip
    assert int(placed["orderId"]) > 0
    assert placed["transactTime"] * 1e-3 > 1.7e9
    bob.limit("SELL", "40000.00", "0.004")
    state = bot.ok("GET", "/order", symbol=SYMBOL, origClientOrderId=name)
    assert ORDER_STATE[state["status"]] == "PARTIALLY_FILLED"
    (fill,) = bot.ok("GET", "/myTrades", symbol=SYMBOL, orderId=placed["orderId"])
    assert (Decimal(fill["qty"]), fill["commissionAsset"], fill["time"] > 1e12) == (Decimal("0.004"), "BTC", True)
    assert bot.ok("GET", "/myTrades", symbol=SYMBOL, startTime=placed["transactTime"])[0]["id"] == fill["id"]
    assert bot.ok("DELETE", "/order", symbol=SYMBOL, origClientOrderId=name)["status"] == "CANCELED"
    assert {each["asset"] for each in bot.ok("GET", "/account")["balances"]} >= {"BTC", "USDT"}
    for kind in ("LIMIT_MAKER", "MARKET"):
        bob.limit("SELL", "41000.00", "0.01")
        price = {"price": "40000.00"} if kind == "LIMIT_MAKER" else {}
        terms = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.01000000", "type": kind, **price}
        bot.ok("POST", "/order", newClientOrderId=f"{name}{kind[0]}", **terms)


def test_the_texts_that_it_matches(exchange: Exchange, alice: Client) -> None:
    bot = Hummingbot(exchange, alice)
    lost = {"symbol": SYMBOL, "origClientOrderId": "x-MG43PCSNnever"}
    unknown = bot.raises("GET", "/order", **lost)
    assert "-2013" in unknown
    assert "Order does not exist" in unknown
    gone = bot.raises("DELETE", "/order", **lost)
    assert "-2011" in gone
    assert "Unknown order sent" in gone
    text = urlencode({"timestamp": int(time.time() * 1e3) - 60_000})
    signature = hmac.new(bot.account.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    late = bot.http.get(f"/account?{text}&signature={signature}").text
    assert "-1021" in late
    assert "Timestamp for this request" in late


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=PATIENCE_S))


def test_its_order_book_socket(exchange: Exchange, alice: Client, bob: Client) -> None:
    with connect(exchange.base_url.replace("http", "ws", 1) + "/ws", proxy=None) as socket:
        for number, stream in ((1, "trade"), (2, "depth@100ms")):
            socket.send(json.dumps({"method": "SUBSCRIBE", "params": [f"btcusdt@{stream}"], "id": number}))
            assert receive(socket) == {"result": None, "id": number}
        # A part stays, so that the book is another one however soon it trades.
        bob.limit("SELL", "42000.00", "0.0234")
        alice.limit("BUY", "42000.00", "0.01")
        seen: set[str] = set()
        while seen != {"trade", "depthUpdate"}:
            message = receive(socket)
            assert problems(MARKET_EVENTS[message["e"]], message) == []
            seen.add(message["e"])


def test_its_user_stream(exchange: Exchange, alice: Client, bob: Client) -> None:
    """The first frame after its request must be the answer; fees and ids of a fill are read from the report."""
    params = {"apiKey": alice.me.api_key, "timestamp": int(time.time() * 1e3)}
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    params["signature"] = hmac.new(alice.me.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    with connect(exchange.base_url.replace("http", "ws", 1) + "/ws-api/v3", proxy=None) as socket:
        socket.send(json.dumps({"id": "1", "method": "userDataStream.subscribe.signature", "params": params}))
        answer = receive(socket)
        assert (answer["status"], "subscriptionId" in answer["result"]) == (200, True)
        bob.limit("SELL", "43000.00", "0.01")
        Hummingbot(exchange, alice).ok(
            "POST", "/order", symbol=SYMBOL, side="BUY", quantity="0.02000000", type="LIMIT", newClientOrderId="hb-1",
            price="43000.00", timeInForce="GTC",
        )  # fmt: skip
        Hummingbot(exchange, alice).ok("DELETE", "/order", symbol=SYMBOL, origClientOrderId="hb-1")
        states, fills = [], []
        while "CANCELED" not in states:
            event = receive(socket)["event"]
            assert problems(USER_EVENTS[event["e"]], event) == []
            if event["e"] == "outboundAccountPosition":
                assert all(Decimal(each["f"]) + Decimal(each["l"]) >= 0 for each in event["B"])
            else:
                client_id = event["C"] if event["x"] == "CANCELED" else event["c"]
                assert client_id == "hb-1"
                states.append(ORDER_STATE[event["X"]])
                if event["x"] == "TRADE":
                    fills.append((Decimal(event["l"]), Decimal(event["L"]), event["N"], Decimal(event["n"]) > 0))
    assert states == ["OPEN", "PARTIALLY_FILLED", "CANCELED"]
    assert fills == [(Decimal("0.01"), Decimal(43000), "BTC", True)]


def test_the_script_of_the_bot_page_changes_its_addresses(tmp_path: Path) -> None:
    constants = tmp_path / "hummingbot/connector/exchange/binance/binance_constants.py"
    constants.parent.mkdir(parents=True)
    constants.write_text(CONSTANTS)
    script = BASE_DIR / "docs" / "examples" / "hummingbot_addresses.py"
    environment = {"BASE_URL": "https://exchange.example.com"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    changed = dict(re.findall(r'^(\w+) = "(.*)"$', constants.read_text(), re.MULTILINE))
    assert changed == {
        "DEFAULT_DOMAIN": "com",
        "REST_URL": "https://exchange.example.com/api/",
        "WSS_URL": "wss://exchange.example.com/ws",
        "WSS_API_URL": "wss://exchange.example.com/ws-api/v3",
        "PUBLIC_API_VERSION": "v3",
    }
    assert "is not in this version" not in done.stdout
