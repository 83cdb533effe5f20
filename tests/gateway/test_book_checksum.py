"""Books that a client can prove: the checksum, its stream, the reference client, and snapshots taken under load."""

import contextlib
import importlib.util
import itertools
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from zlib import crc32

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "streams" / "local_book.py"
PAGE = EXAMPLE.parents[2] / "streams.md"
SYMBOL = "BNBUSDT"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("local_book", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def orders_all_the_time(client: Client) -> Iterator[None]:
    """Orders come to the book and leave it until the block ends."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def place() -> None:
        try:
            for number in itertools.count():
                if stop.is_set():
                    return
                price = f"{300 + number % 40}.00"
                order = client.limit("BUY", price, f"0.{1 + number % 9}", symbol=SYMBOL)
                if number % 3:
                    client.ok("DELETE", "/api/v3/order", symbol=SYMBOL, orderId=order["orderId"])
                elif number % 30 == 0:
                    client.ok("DELETE", "/api/v3/openOrders", symbol=SYMBOL)
        except BaseException as error:  # noqa: BLE001  handed to the test
            failures.append(error)

    thread = threading.Thread(target=place, name="orders")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(40)
    assert not failures, failures


def depth(public: Client) -> dict[str, Any]:
    answer = public.get("/api/v3/depth", symbol=SYMBOL, limit=5000)
    assert answer.status_code == 200
    return answer.json()


def as_published(snapshot: dict[str, Any]) -> int:
    """The rule of docs/streams.md, word by word."""
    parts = [str(snapshot["lastUpdateId"]), "b"]
    parts += [part for level in snapshot["bids"][:100] for part in level]
    parts += ["a", *(part for level in snapshot["asks"][:100] for part in level)]
    return crc32(":".join(parts).encode("ascii"))


def test_the_checksum_is_that_of_the_book(exchange: Exchange, alice: Client, public: Client) -> None:
    alice.limit("BUY", "300.00", "0.5", symbol=SYMBOL)
    alice.limit("BUY", "301.00", "0.25", symbol=SYMBOL)

    def both() -> Any:
        snapshot, told = depth(public), public.get("/api/v3/bookChecksum", symbol=SYMBOL).json()
        return (snapshot, told) if snapshot["lastUpdateId"] == told["lastUpdateId"] and snapshot["bids"] else None

    snapshot, told = wait_until(both)
    assert told == {
        "symbol": SYMBOL, "lastUpdateId": snapshot["lastUpdateId"], "levels": 100, "checksum": as_published(snapshot),
    }  # fmt: skip
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket:
        assert socket.ask("bookChecksum", symbol=SYMBOL)["result"] == told
    assert public.get("/api/v3/bookChecksum").json()["code"] == -1102
    assert public.get("/api/v3/bookChecksum", symbol="NOSUCH").json()["code"] == -1121


def test_the_worked_example_of_the_page() -> None:
    text, checksum = re.findall(r"^ {4}(\d+:b:\S+) +(\d+)$", PAGE.read_text(), re.MULTILINE)[0]
    assert crc32(text.encode("ascii")) == int(checksum)
    bids = [["100.00000000", "1.00000000"], ["99.00000000", "0.50000000"]]
    book = {"lastUpdateId": 1027, "bids": bids, "asks": [["101.00000000", "2.00000000"]]}
    assert as_published(book) == int(checksum)


def test_the_stream_tells_the_checksum_of_every_change(exchange: Exchange, alice: Client) -> None:
    name = SYMBOL.lower()
    url = f"{exchange.ws_url}/stream?streams={name}@depth@100ms/{name}@bookChecksum"
    with Socket(url) as stream, orders_all_the_time(alice):
        told = [stream.receive() for _ in range(20)]
    assert [message["stream"].split("@", 1)[1] for message in told] == ["depth@100ms", "bookChecksum"] * 10
    for change, proof in zip(told[::2], told[1::2], strict=True):
        assert list(proof["data"]) == ["e", "E", "s", "u", "c"]
        assert (proof["data"]["u"], proof["data"]["s"]) == (change["data"]["u"], SYMBOL)
        assert 0 <= proof["data"]["c"] < 2**32


def test_the_reference_client_keeps_a_proven_book(
    exchange: Exchange, alice: Client, public: Client, example: ModuleType
) -> None:
    with orders_all_the_time(alice):
        books = example.follow(exchange.base_url, SYMBOL)
        ids = [next(books)[0] for _ in range(10)]
        assert ids == sorted(set(ids))
    # The last of it, and then nothing happens any more: the proven book is what REST says.
    alice.limit("BUY", "299.00", "0.7", symbol=SYMBOL)
    final = wait_until(lambda: (d := depth(public)) and ["299.00000000", "0.70000000"] in d["bids"] and d)
    at, book = next(each for each in books if each[0] >= final["lastUpdateId"])
    assert at == final["lastUpdateId"]
    assert book == {"b": dict(final["bids"]), "a": dict(final["asks"])}


def test_the_reference_client_notices_a_wrong_book_and_starts_over(
    exchange: Exchange, alice: Client, public: Client, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    connect = example.connect  # type: ignore[attr-defined]
    monkeypatch.setattr(example, "connect", lambda url: opened.append(url) or connect(url))
    with orders_all_the_time(alice):
        books = example.follow(exchange.base_url, SYMBOL)
        _, book = next(books)
        assert len(opened) == 1
        book["b"]["399.00000000"] = "1.00000000"
        _, book = next(books)
        assert len(opened) == 2
        assert "399.00000000" not in book["b"]


def test_the_reference_client_waits_longer_each_time_until_a_book_is_proved(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody listens, where the connection ends at once, and after a proved book: from the start again."""
    pauses: list[float] = []
    connects = itertools.chain([OSError] * 7, [[]] * 2, [[(1, {})]], itertools.repeat(OSError))

    def connect(_: str) -> Any:
        found = next(connects)
        if found is OSError:
            raise OSError("nobody listens")
        return contextlib.nullcontext(found)

    class Enough(Exception):
        pass

    def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 12:
            raise Enough

    monkeypatch.setattr(example, "connect", connect)
    # What a connection brings here is what the client would have proved from it.
    monkeypatch.setattr(example, "json", SimpleNamespace(loads=lambda proved: proved))
    monkeypatch.setattr(example, "load", lambda address, symbol: {})
    monkeypatch.setattr(example, "keep", lambda proved, _: proved)
    monkeypatch.setattr(example, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(Enough):
        list(example.follow("http://localhost", SYMBOL))
    limits = [1, 2, 4, 8, 16, 30, 30, 30, 30, 1, 2, 4]
    assert [limit / 2 <= pause_s <= limit for limit, pause_s in zip(limits, pauses, strict=True)] == [True] * 12
    assert len(set(pauses)) > 3
    told = [line.partition("; again in ")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == [
        *["nobody listens"] * 7, *["the server closed the connection"] * 3, *["nobody listens"] * 2
    ]  # fmt: skip


@pytest.mark.parametrize(("symbol", "code"), [("NOSUCH", "400 .*-1121"), ("bnbusdt", "400 .*-1100")])
def test_the_reference_client_stops_at_a_refusal_and_says_why(
    exchange: Exchange, example: ModuleType, symbol: str, code: str
) -> None:
    with pytest.raises(ValueError, match=code):
        next(example.follow(exchange.base_url, symbol))


@pytest.mark.parametrize("arguments", [[], ["localhost:8000", SYMBOL], ["http://localhost:8000"]])
def test_the_reference_client_says_how_to_call_it(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments], capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "usage: python local_book.py http://localhost:8000 BTCUSDT\n")


def test_the_reference_client_runs_as_it_stands(exchange: Exchange, alice: Client) -> None:
    command = [sys.executable, str(EXAMPLE), exchange.base_url, SYMBOL]
    with orders_all_the_time(alice), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            lines = [running.stdout.readline() for _ in range(3)]
        finally:
            running.kill()
    assert all(" verified, " in line for line in lines), lines


def test_a_snapshot_under_load_is_the_book_at_its_id(exchange: Exchange, alice: Client, public: Client) -> None:
    """Every snapshot equals an earlier one plus the changes up to its id; all ids are ids of the stream."""
    with Socket(f"{exchange.ws_url}/ws/{SYMBOL.lower()}@depth@100ms") as stream:
        with orders_all_the_time(alice):
            first = stream.receive()
            snapshots = [depth(public)]
            while len({each["lastUpdateId"] for each in snapshots}) < 12:
                snapshots.append(depth(public))
        events = [first]
        while events[-1]["u"] < snapshots[-1]["lastUpdateId"]:
            events.append(stream.receive())
    assert [event["U"] for event in events[1:]] == [event["u"] + 1 for event in events[:-1]]
    assert {each["lastUpdateId"] for each in snapshots} <= {event["u"] for event in events}
    sides = (("b", "bids"), ("a", "asks"))
    book = {side: dict(snapshots[0][name]) for side, name in sides}
    wanted = {each["lastUpdateId"]: each for each in snapshots}
    for each in snapshots:
        assert each == wanted[each["lastUpdateId"]]
    checked = 0
    for event in events:
        if event["u"] > snapshots[0]["lastUpdateId"]:
            for side, _ in sides:
                book[side] |= event[side]
                book[side] = {price: quantity for price, quantity in book[side].items() if quantity != "0.00000000"}
        if event["u"] in wanted and event["u"] >= snapshots[0]["lastUpdateId"]:
            found = wanted[event["u"]]
            assert book == {side: dict(found[name]) for side, name in sides}
            assert found["bids"] == sorted(found["bids"], key=lambda level: -int(level[0].replace(".", "")))
            checked += 1
    assert checked == len(wanted)
