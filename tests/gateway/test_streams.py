"""Market streams over real sockets: names, shapes, chains of depth ids, control messages, clients that misbehave."""

import contextlib
import socket
import struct
import time
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from apps.gateway.policy import STREAMS_PER_CONNECTION_MAX
from apps.gateway.streams.shared import Behind
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket


def is_stream(name: str) -> Any:
    return lambda message: isinstance(message, dict) and message.get("stream") == name


def test_all_streams_of_a_trade(exchange: Exchange, alice: Client, bob: Client) -> None:
    names = [f"btcusdt@{kind}" for kind in (
        "trade", "aggTrade", "kline_1m", "depth", "depth@100ms", "depth5", "depth20@100ms", "miniTicker", "ticker",
        "bookTicker",
    )] + ["!miniTicker@arr"]  # fmt: skip
    with Socket(f"{exchange.ws_url}/stream?streams={'/'.join(names)}") as stream:
        # A quantity of its own: where the test before left the same one at this price, the book would not change.
        alice.limit("SELL", "50000.00", "0.307")
        fill = bob.market("BUY", quantity="0.1")["fills"][0]
        found = {}
        deadline = time.monotonic() + 40
        while set(found) < set(names) and time.monotonic() < deadline:
            message = stream.receive()
            assert set(message) == {"stream", "data"}
            if message["stream"] in ("btcusdt@aggTrade", "btcusdt@trade"):
                found.setdefault(message["stream"], message["data"])
            else:
                found[message["stream"]] = message["data"]
    assert set(found) == set(names)
    trade = found["btcusdt@trade"]
    assert list(trade) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert (trade["t"], trade["p"], trade["q"], trade["m"]) == (fill["tradeId"], "50000.00000000", "0.10000000", False)
    assert list(found["btcusdt@aggTrade"]) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]
    kline = found["btcusdt@kline_1m"]
    assert list(kline) == ["e", "E", "s", "k"]
    assert set(kline["k"]) == set("tTsifLochlvnxqVQB")
    assert list(found["btcusdt@depth"]) == list(found["btcusdt@depth@100ms"]) == ["e", "E", "s", "U", "u", "b", "a"]
    for name in ("btcusdt@depth5", "btcusdt@depth20@100ms"):
        assert list(found[name]) == ["lastUpdateId", "bids", "asks"]
    assert list(found["btcusdt@miniTicker"]) == ["e", "E", "s", "c", "o", "h", "l", "v", "q"]
    assert found["btcusdt@ticker"]["e"] == "24hrTicker"
    assert set(found["btcusdt@ticker"]) == set("eEspPwxcQbBaAohlvqOCFLn")
    assert list(found["btcusdt@bookTicker"]) == ["u", "s", "b", "B", "a", "A"]
    assert [row["e"] for row in found["!miniTicker@arr"]][:1] == ["24hrMiniTicker"]


@pytest.mark.parametrize("name", ["btcusdt@depth@100ms", "btcusdt@depth"])
def test_a_local_book_by_the_published_rules(exchange: Exchange, alice: Client, public: Client, name: str) -> None:
    """Buffer, snapshot, drop what is older, apply: each U is the previous u + 1, and the book equals REST."""
    with Socket(f"{exchange.ws_url}/ws/{name}") as stream:
        alice.limit("BUY", "41000.00", "0.1")
        buffered = [stream.receive()]
        snapshot = public.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).json()
        while snapshot["lastUpdateId"] < buffered[0]["U"]:
            snapshot = public.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).json()
        book = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        last = snapshot["lastUpdateId"]
        placed = [alice.limit("BUY", f"{40000 + n}.00", "0.2") for n in range(5)]
        for order in placed[:3]:
            alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"])
        target = wait_until(
            lambda: (
                (d := public.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).json()) and len(d["bids"]) == 3 and d
            )
        )
        events, previous = buffered, None
        while last < target["lastUpdateId"]:
            event = events.pop(0) if events else stream.receive()
            if previous is not None:
                assert event["U"] == previous + 1
            previous = event["u"]
            if event["u"] <= last:
                continue
            assert event["U"] <= last + 1 <= event["u"]
            for side in ("b", "a"):
                for price, quantity in event[side]:
                    if quantity == "0.00000000":
                        book[side].pop(price, None)
                    else:
                        book[side][price] = quantity
            last = event["u"]
    final = public.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).json()
    assert book == {"b": dict(final["bids"]), "a": dict(final["asks"])}


def test_partial_books_equal_the_diffs_at_their_id(exchange: Exchange, alice: Client) -> None:
    with Socket(f"{exchange.ws_url}/stream?streams=ethusdt@depth5@100ms/ethusdt@depth@100ms") as stream:
        alice.limit("BUY", "2000.00", "1", symbol="ETHUSDT")
        # Before it may come what the test before this one left.
        is_diff, is_partial = is_stream("ethusdt@depth@100ms"), is_stream("ethusdt@depth5@100ms")
        placed = ["2000.00000000", "1.00000000"]
        diff = stream.until(lambda message: is_diff(message) and placed in message["data"]["b"])["data"]
        partial = stream.until(lambda message: is_partial(message) and message["data"]["lastUpdateId"] >= diff["u"])[
            "data"
        ]
        assert partial["lastUpdateId"] == diff["u"]
        assert placed in partial["bids"]


@pytest.mark.parametrize("path", ["/ws", "/ws/0", "/ws/anything", "/ws/btcusdt@nothing", "/stream", "/ws/x/y"])
def test_connection_paths(exchange: Exchange, path: str) -> None:
    with Socket(exchange.ws_url + path) as stream:
        assert stream.control("SUBSCRIBE", "ethusdt@trade", "nonsense@stream") == {"result": None, "id": 1}
        assert stream.control("LIST_SUBSCRIPTIONS")["result"][-2:] == ["ethusdt@trade", "nonsense@stream"]
        assert stream.control("UNSUBSCRIBE", "ethusdt@trade", "never@subscribed")["result"] is None
        assert "ethusdt@trade" not in stream.control("LIST_SUBSCRIPTIONS")["result"]


def test_ids_and_properties(exchange: Exchange) -> None:
    with Socket(f"{exchange.ws_url}/ws") as stream:
        for request_id in ("abc", 7, None):
            stream.send({"method": "SUBSCRIBE", "params": ["x@trade"], "id": request_id})
            assert stream.receive() == {"result": None, "id": request_id}
        time.sleep(1.1)
        assert stream.control("GET_PROPERTY", "combined")["result"] is False
        assert stream.control("SET_PROPERTY", "combined", True)["result"] is None
        assert stream.control("GET_PROPERTY", "combined")["result"] is True
        assert stream.control("SET_PROPERTY", "combined", "yes")["error"]["code"] == 1


def test_errors_keep_the_connection_open(exchange: Exchange) -> None:
    with Socket(f"{exchange.ws_url}/ws") as stream:
        for garbage, code in (
            ("{", 3),
            ('{"method":"DANCE","id":5}', 2),
            ('{"method":"SUBSCRIBE","params":"x","id":6}', 2),
        ):
            stream.send(garbage)
            assert stream.receive()["error"]["code"] == code
        stream.send(b"\x00\x01")
        assert stream.receive()["error"]["code"] == 3


def test_a_mass_of_subscriptions(exchange: Exchange) -> None:
    with Socket(f"{exchange.ws_url}/ws") as stream:
        many = [f"s{n}@trade" for n in range(STREAMS_PER_CONNECTION_MAX)]
        assert stream.control("SUBSCRIBE", *many)["result"] is None
        assert stream.control("SUBSCRIBE", many[0])["result"] is None
        refused = stream.control("SUBSCRIBE", "one@more")
        assert refused["error"]["code"] == 2
        assert len(stream.control("LIST_SUBSCRIPTIONS")["result"]) == STREAMS_PER_CONNECTION_MAX
    wait_until(lambda: exchange.gateway_thread.call(lambda: not exchange.gateway.hub._topics), what="topics are left")


def test_a_flood_of_control_messages_is_cut_off(exchange: Exchange) -> None:
    with Socket(f"{exchange.ws_url}/ws") as stream:
        with contextlib.suppress(ConnectionClosed):
            for number in range(20):
                stream.send({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert stream.closed_with() == 1008


def test_a_frame_that_is_too_large_is_cut_off(exchange: Exchange) -> None:
    with Socket(f"{exchange.ws_url}/ws") as stream:
        stream.send("x" * 70_000)
        assert stream.closed_with() == 1009


def test_frames_that_are_no_frames(exchange: Exchange) -> None:
    """Unmasked, reserved bits, unknown opcodes, bad UTF-8: the connection ends and the server lives on."""
    for frame in (
        b"\x81\x05hello",
        b"\xf1\x80\0\0\0\0",
        b"\x8b\x80\0\0\0\0",
        b"\x81\x82\0\0\0\0\xff\xfe",
        b"\x00" * 100,
    ):
        stream = Socket(f"{exchange.ws_url}/ws")
        stream.connection.socket.sendall(frame)
        assert stream.closed_with() in (1002, 1007, None)
    with Socket(f"{exchange.ws_url}/ws") as stream:
        assert stream.control("LIST_SUBSCRIPTIONS")["result"] == []


def open_raw(exchange: Exchange, path: str) -> socket.socket:
    """A WebSocket by hand with a tiny receive buffer; nothing reads from it."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", exchange.port))
    raw.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    # Not a byte more: what follows is the first frame.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 101")
    return raw


def test_a_client_that_never_reads_costs_bounded_memory(exchange: Exchange) -> None:
    """200 dead readers of a stream of 40 MB: cut off, under 50 MB more memory, and a live reader misses nothing."""
    hub, call = exchange.gateway.hub, exchange.gateway_thread.call
    dead = [open_raw(exchange, "/ws/dead@trade") for _ in range(200)]
    with Socket(f"{exchange.ws_url}/ws/dead@trade") as alive:
        wait_until(lambda: len(hub._topics.get("dead@trade", ())) == 201)
        before = psutil.Process().memory_info().rss
        payload = "x" * 10_000
        received = 0
        for batch in range(40):
            call(lambda: [hub.publish("dead@trade", lambda _: payload) for _ in range(100)])
            for _ in range(100):
                alive.connection.recv(timeout=40)
                received += 1
            if batch % 10 == 0:
                assert psutil.Process().memory_info().rss - before < 50_000_000
        assert received == 4_000
        wait_until(lambda: len(hub._topics["dead@trade"]) == 1, what="dead readers are still there")
        assert psutil.Process().memory_info().rss - before < 50_000_000
    for each in dead:
        each.close()
    wait_until(lambda: not call(lambda: exchange.gateway_thread.server.server_state.connections))


def test_the_kernel_takes_little_for_who_does_not_read(exchange: Exchange) -> None:
    """Left to itself it would take 4 MB before the gateway knew that nobody reads."""
    hub, call = exchange.gateway.hub, exchange.gateway_thread.call
    raw = open_raw(exchange, "/ws/deaf@trade")
    wait_until(lambda: "deaf@trade" in hub._topics)
    [reader] = hub._topics["deaf@trade"]
    sent = 0
    while not reader.places:
        sent += 10_000
        assert sent < 500_000
        call(lambda: hub.publish("deaf@trade", lambda _: "x" * 10_000))
        # The write is at the end of that turn.
        wait_until(lambda: reader.socket.is_behind or not reader.socket.queued_bytes)
    raw.close()
    wait_until(lambda: "deaf@trade" not in hub._topics)


def test_what_can_be_replaced_is_conflated_not_cut_off(exchange: Exchange) -> None:
    """A slow reader of a ticker gets the newest one, however many there were, and stays connected."""
    hub, call = exchange.gateway.hub, exchange.gateway_thread.call
    raw = open_raw(exchange, "/ws/slow@ticker")
    wait_until(lambda: "slow@ticker" in hub._topics)
    for number in range(3_000):
        message = {"n": number, "pad": "x" * 5_000}
        call(lambda message=message: hub.publish("slow@ticker", lambda _: message, Behind.NEWEST))
    raw.settimeout(40)
    data = b""
    while b'"n":2999' not in data:
        data = data[-6000:] + raw.recv(65536)
    assert "slow@ticker" in hub._topics
    raw.close()
    wait_until(lambda: "slow@ticker" not in hub._topics)


def test_a_flood_of_pings_without_reading_is_cut_off(exchange: Exchange) -> None:
    raw = open_raw(exchange, "/ws")
    ping = b"\x89\xfd" + b"\0\0\0\0" + b"p" * 125
    before = psutil.Process().memory_info().rss
    raw.settimeout(40)
    with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
        raw.sendall(ping * 200_000)
    assert psutil.Process().memory_info().rss - before < 20_000_000
    raw.close()


def test_the_server_pings(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping frame comes within 20 s and its payload must be echoed; here at the protocol's own setting."""
    assert exchange.gateway_thread.server is not None
    config = exchange.gateway_thread.server.config
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (20, 40)
    monkeypatch.setattr(config, "ws_ping_interval", 0.2)
    raw = open_raw(exchange, "/ws")
    raw.settimeout(40)
    head = raw.recv(2)
    opcode, length = struct.unpack("BB", head)
    assert (opcode, length) == (0x89, 4)
    raw.close()


def test_without_pongs_the_connection_ends(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also towards a client that reads nothing at all: nothing of it is left on the server."""
    assert exchange.gateway_thread.server is not None
    config, state = exchange.gateway_thread.server.config, exchange.gateway_thread.server.server_state
    monkeypatch.setattr(config, "ws_ping_interval", 0.2)
    monkeypatch.setattr(config, "ws_ping_timeout", 0.2)
    hub = exchange.gateway.hub
    subscribe, subscribed = hub.subscribe, []

    def noted(topic: str, subscriber: Any) -> None:
        subscribed.append(topic)
        subscribe(topic, subscriber)

    monkeypatch.setattr(hub, "subscribe", noted)
    wait_until(lambda: not state.connections)
    raw = open_raw(exchange, "/ws/silent@trade")
    # It may be over before this thread looks.
    wait_until(lambda: subscribed == ["silent@trade"])
    wait_until(lambda: "silent@trade" not in exchange.gateway.hub._topics)
    wait_until(lambda: not state.connections)
    raw.close()


def test_a_gap_closes_the_clients_whose_chain_broke(exchange: Exchange) -> None:
    """Only depth diffs break; a ticker goes on."""
    hub, call = exchange.gateway.hub, exchange.gateway_thread.call
    market = exchange.gateway.markets.get("BNBUSDT")
    with (
        Socket(f"{exchange.ws_url}/ws/bnbusdt@depth@100ms") as broken,
        Socket(f"{exchange.ws_url}/ws/bnbusdt@ticker") as fine,
    ):
        wait_until(lambda: "bnbusdt@depth@100ms" in hub._topics and "bnbusdt@ticker" in hub._topics)
        call(lambda: hub.on_reload(market))
        assert broken.closed_with() == 1013
        assert fine.control("LIST_SUBSCRIPTIONS")["result"] == ["bnbusdt@ticker"]
