"""Every stream of the dialect and its speeds, time units, how long a connection lives and what it may send."""

import contextlib
import json
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.gateway import socket as gateway_socket
from apps.gateway.streams import messages
from apps.markets.intervals import INTERVALS
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket

WINDOW_KEYS = ["e", "E", "s", "p", "P", "o", "h", "l", "c", "w", "v", "q", "O", "C", "F", "L", "n"]


def test_streams_of_a_trade_at_every_speed(exchange: Exchange, alice: Client, bob: Client) -> None:
    kinds = [f"kline_{interval}{zone}" for interval in INTERVALS for zone in ("", "@+08:00")]
    kinds += [f"ticker_{window}" for window in ("1h", "4h", "1d")]
    kinds += ["avgPrice", "depth@1000ms", "depth5@1000ms", "depth10", "depth10@100ms", "bookChecksum"]
    names = [f"ethusdt@{kind}" for kind in kinds]
    names += ["!ticker@arr", "!bookTicker", "!ticker_1h@arr", "!miniTicker@arr@3000ms"]
    with Socket(f"{exchange.ws_url}/stream?streams={'/'.join(names)}") as stream:
        alice.limit("SELL", "3000.00", "0.5", symbol="ETHUSDT")
        bob.limit("BUY", "3000.00", "0.25", symbol="ETHUSDT")
        found: dict[str, Any] = {}
        deadline = time.monotonic() + 80
        while set(found) < set(names) and time.monotonic() < deadline:
            message = stream.receive()
            found[message["stream"]] = message["data"]
    assert set(found) == set(names)
    for interval in INTERVALS:
        for zone in ("", "@+08:00"):
            bar = found[f"ethusdt@kline_{interval}{zone}"]["k"]
            assert (bar["i"], bar["s"]) == (interval, "ETHUSDT")
            assert bar["t"] <= time.time() * 1000
    day, zoned = found["ethusdt@kline_1d"]["k"], found["ethusdt@kline_1d@+08:00"]["k"]
    assert (zoned["t"] - day["t"]) % 86_400_000 == 16 * 3_600_000
    assert zoned["T"] - zoned["t"] == day["T"] - day["t"] == 86_399_999
    for window in ("1h", "4h", "1d"):
        told = found[f"ethusdt@ticker_{window}"]
        assert (list(told), told["e"], told["c"]) == (WINDOW_KEYS, f"{window}Ticker", "3000.00000000")
        assert told["O"] % 60_000 == 0
    assert [row["e"] for row in found["!ticker_1h@arr"]][:1] == ["1hTicker"]
    assert [row["e"] for row in found["!ticker@arr"]][:1] == ["24hrTicker"]
    assert [row["e"] for row in found["!miniTicker@arr@3000ms"]][:1] == ["24hrMiniTicker"]
    average = found["ethusdt@avgPrice"]
    assert (list(average), average["e"], average["i"]) == (["e", "E", "s", "i", "w", "T"], "avgPrice", "5m")
    assert list(found["!bookTicker"]) == ["u", "s", "b", "B", "a", "A"]
    assert found["ethusdt@depth@1000ms"]["e"] == "depthUpdate"
    assert list(found["ethusdt@depth5@1000ms"]) == ["lastUpdateId", "bids", "asks"]


def test_the_average_price_is_that_of_rest(exchange: Exchange, public: Client) -> None:
    with Socket(f"{exchange.ws_url}/ws/ltcusdt@avgPrice") as stream:
        # Nothing happens in this market, and whoever asks is told all the same.
        first = stream.receive()
    assert first["w"] == public.get("/api/v3/avgPrice", symbol="LTCUSDT").json()["price"]


def test_microseconds(exchange: Exchange, alice: Client, bob: Client) -> None:
    base = f"{exchange.ws_url}/stream?streams=btcusdt@trade/btcusdt@depth@100ms"

    def is_offer(message: Any) -> bool:
        return ["52000.00000000", "0.20000000"] in message["data"].get("a", ())

    with Socket(base) as plain, Socket(f"{base}&timeUnit=MICROSECOND") as micro:
        alice.limit("SELL", "52000.00", "0.2")
        one, other = plain.until(is_offer)["data"], micro.until(is_offer)["data"]
        assert other == {**one, "E": one["E"] * 1000}
        bob.limit("BUY", "52000.00", "0.1")
        one, other = (
            socket.until(lambda message: message["data"]["e"] == "trade")["data"] for socket in (plain, micro)
        )
        assert other == {**one, "E": one["E"] * 1000, "T": one["T"] * 1000}


def test_every_message_has_its_times_in_microseconds(exchange: Exchange) -> None:
    market = exchange.gateway.markets.get("BTCUSDT")
    state = exchange.gateway.public.known(market)
    assert state is not None
    sums = {"o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "q": 1, "n": 1, "F": 1, "L": 1, "O": 60_000, "C": 70_000}
    ticker = {**sums, "t": "ticker", "Q": 1, "x": 1, "b": 1, "B": 1, "a": 1, "A": 1}
    bar = {
        "i": "1m", "o": 60_000, "c": 119_999, "p": [1, 1, 1, 1], "v": 1, "q": 1, "n": 1, "bv": 1, "bq": 1, "f": 1,
        "l": 1, "x": False,
    }  # fmt: skip
    agg = {"a": 1, "p": 1, "q": 1, "f": 1, "l": 1, "T": 5, "bm": True}
    for make, times in (
        (lambda unit: messages.ticker(market, state, ticker, 9, unit), "EOC"),
        (lambda unit: messages.window_ticker(market, {**sums, "w": "1h"}, 9, unit), "EOC"),
        (lambda unit: messages.aggregate(market, agg, 9, unit), "ET"),
        (lambda unit: messages.mini_ticker(market, ticker, 9, unit), "E"),
        (lambda unit: messages.market_state(market, state, None, 9, unit), "E"),
        (lambda unit: messages.average(market, state, 9, unit), "ET"),
        (lambda unit: messages.book_checksum(market, state, {"T": 7}, unit), "E"),
    ):
        assert make(1000) == {name: value * 1000 if name in times else value for name, value in make(1).items()}
    kline = [messages.kline(market, bar, 9, unit) for unit in (1, 1000)]
    assert [(each["E"], each["k"]["t"], each["k"]["T"]) for each in kline] == [
        (9, 60_000, 119_999), (9_000, 60_000_000, 119_999_999),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "code"), [("timeUnit=NANOSECOND", -1194), ("timeUnit=MICROSECOND&timeUnit=MICROSECOND", -1101)]
)
def test_an_address_that_is_wrong_is_refused_in_json(exchange: Exchange, query: str, code: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Socket(f"{exchange.ws_url}/ws?{query}")
    assert refused.value.response.status_code == 400
    assert refused.value.response.body is not None
    assert json.loads(refused.value.response.body)["code"] == code


def test_a_connection_lives_24_hours(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway_socket.CONNECTION_LIFETIME_S == 24 * 3600
    monkeypatch.setattr(gateway_socket, "CONNECTION_LIFETIME_S", 0.2)
    for path in ("/ws/btcusdt@trade", "/stream", "/ws-api/v3"):
        with Socket(exchange.ws_url + path) as socket:
            assert socket.closed_with() == 1000


@pytest.mark.parametrize("kind", ["ping", "pong"])
def test_pings_and_pongs_count_among_the_five_messages_of_a_second(exchange: Exchange, kind: str) -> None:
    with Socket(f"{exchange.ws_url}/ws/pinging@trade") as stream:
        wait_until(lambda: "pinging@trade" in exchange.gateway.hub._topics)
        with contextlib.suppress(ConnectionClosed):
            for number in range(20):
                getattr(stream.connection, kind)(str(number))
        assert stream.closed_with() == 1008


def test_switching_between_wrapped_and_plain(exchange: Exchange) -> None:
    hub, call = exchange.gateway.hub, exchange.gateway_thread.call
    with Socket(f"{exchange.ws_url}/ws/switch@trade") as stream:
        wait_until(lambda: "switch@trade" in hub._topics)
        call(lambda: hub.publish("switch@trade", lambda unit: {"n": 1}))
        assert stream.receive() == {"n": 1}
        assert stream.control("SET_PROPERTY", "combined", True) == {"result": None, "id": 1}
        call(lambda: hub.publish("switch@trade", lambda unit: {"n": 2}))
        assert stream.receive() == {"stream": "switch@trade", "data": {"n": 2}}
