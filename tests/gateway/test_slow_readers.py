"""What a client gets that does not keep up: the newest ticker, joined depth, everything else in order, then the end.

And what it costs the others: nothing, however many there are.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from apps.gateway import policy
from apps.gateway.metrics import CUT_OFF
from apps.gateway.serverframes import text_frame
from apps.gateway.socket import Socket
from apps.gateway.streams import backlog, hub, lanes
from apps.gateway.streams.connection import StreamConnection
from apps.gateway.streams.shared import COMBINED, Behind
from tests.gateway.fakeport import Client, turn

DEPTH = "btcusdt@depth@100ms"


class Market:
    symbol = "BTCUSDT"

    @staticmethod
    def price(ticks: int) -> str:
        return f"{ticks}.00000000"

    quantity = price


class Site:
    """A hub without an exchange, and clients of it."""

    def __init__(self) -> None:
        markets: Any = SimpleNamespace(by_id={})
        self.hub = hub.Hub(markets, lambda market: None, lambda: None)

    @contextlib.asynccontextmanager
    async def client(self, *topics: str, combined: bool = False) -> AsyncIterator["Reader"]:
        connections: list[StreamConnection] = []

        def make(scope: Any, receive: Any, send: Any) -> Socket:
            gateway: Any = SimpleNamespace(hub=self.hub)
            connections.append(StreamConnection(gateway, scope, receive, send, combined=combined))
            return connections[0].socket

        async with Client(make=make) as client:
            reader = Reader(client, connections[0])
            await reader.connection.subscribe(list(topics))
            yield reader
        reader.connection.leave()

    def say(self, topic: str, value: Any, behind: Behind = Behind.ALL) -> None:
        """In a turn of its own."""
        self.hub.publish(topic, lambda unit: value, behind)
        self.hub.end_turn()

    def change(self, first: int, last: int, **sides: Any) -> None:
        record: Any = {"t": "depth", "U": first, "u": last, "T": last, "b": [], "a": [], **sides}
        self.hub.on_record(Market(), None, record)  # type: ignore[arg-type]
        self.hub.end_turn()


class Reader:
    def __init__(self, client: Client, connection: StreamConnection) -> None:
        self.client = client
        self.connection = connection
        self.socket = connection.socket

    async def fall_behind(self) -> None:
        await self.client.stall()
        assert self.socket.is_behind

    def catch_up(self) -> list[Any]:
        """All that waited."""
        self.client.port.resume()
        first, *found = self.client.port.messages()
        assert first == "first"
        assert not self.socket.is_behind
        assert self.socket.queued_bytes == 0
        assert self.connection.places == {}
        return found

    async def got(self) -> list[Any]:
        await turn()
        return self.client.port.messages()

    async def control(self, method: str, *params: Any) -> None:
        text = json.dumps({"method": method, "params": params, "id": 1})
        await self.connection.on_message({"type": "websocket.receive", "text": text})


@pytest.fixture
def site() -> Site:
    return Site()


async def test_the_newest_takes_the_place_of_the_one_before(site: Site) -> None:
    async with site.client("a", "t", "b") as slow:
        await slow.fall_behind()
        for number in range(3):
            site.say("a", f"a{number}", Behind.NEWEST)
            site.say("t", f"t{number}")
            site.say("b", f"b{number}", Behind.NEWEST)
        assert slow.catch_up() == ["a2", "t0", "b2", "t1", "t2"]
        # Whoever keeps up again gets everything again.
        for number in range(2):
            site.say("a", number, Behind.NEWEST)
        assert await slow.got() == [0, 1]


async def test_what_must_arrive_is_not_overtaken_in_its_own_stream(site: Site) -> None:
    """A closed bar, and then the next one."""
    async with site.client("k") as slow:
        await slow.fall_behind()
        for value, behind in ((1, Behind.NEWEST), (2, Behind.ALL), (3, Behind.NEWEST), (4, Behind.NEWEST)):
            site.say("k", value, behind)
        assert slow.catch_up() == [1, 2, 4]


async def test_changes_of_a_book_are_joined(site: Site) -> None:
    async with site.client(DEPTH, combined=True) as slow:
        await slow.fall_behind()
        site.change(11, 12, b=[(100, 5), (99, 1)], a=[(101, 1)])
        site.change(13, 13, b=[(99, 0)])
        site.change(14, 20, b=[(100, 7), (98, 2)], a=[(102, 3)])
        [joined] = slow.catch_up()
        assert joined == {
            "stream": DEPTH,
            "data": {
                "e": "depthUpdate", "E": 20, "s": "BTCUSDT", "U": 11, "u": 20,
                "b": [
                    ["100.00000000", "7.00000000"], ["99.00000000", "0.00000000"], ["98.00000000", "2.00000000"],
                ],
                "a": [["101.00000000", "1.00000000"], ["102.00000000", "3.00000000"]],
            },
        }  # fmt: skip


async def test_each_goes_on_where_it_was_left(site: Site) -> None:
    """Clients that fall behind and come back at any time: each has one chain without a gap, and the same last book."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(site.client(DEPTH, "t", "k")) for _ in range(5)]
        got: list[list[Any]] = [[] for _ in readers]
        book: dict[int, int] = {}
        bars: list[int] = []
        for number in range(1, 400):
            change = [(chance.randrange(1, 50), chance.randrange(3)) for _ in range(3)]
            change = list(dict(change).items())
            book.update(change)
            site.change(number, number, b=change)
            site.say("t", number)
            closed = chance.random() < 0.2
            bars += [number] if closed else []
            site.say("k", ["bar", number], Behind.ALL if closed else Behind.NEWEST)
            await turn()
            for reader, mine in zip(readers, got, strict=True):
                mine += reader.client.port.messages()
                if chance.random() < 0.05:
                    reader.client.port.takes = not reader.client.port.takes
                    if reader.client.port.takes:
                        reader.client.port.resume()
        for reader, mine in zip(readers, got, strict=True):
            reader.client.port.resume()
            mine += reader.client.port.messages()
            assert [each for each in mine if isinstance(each, int)] == list(range(1, 400))
            told = [each[1] for each in mine if isinstance(each, list)]
            assert told == sorted(set(told))
            assert set(bars) <= set(told)
            assert told[-1] == 399
            changes = [each for each in mine if isinstance(each, dict)]
            assert [each["U"] for each in changes] == [1, *(each["u"] + 1 for each in changes[:-1])]
            mirrored = {level: quantity for each in changes for level, quantity in each["b"]}
            assert mirrored == {Market.price(level): Market.price(quantity) for level, quantity in book.items()}


async def test_old_levels_are_forgotten(site: Site) -> None:
    """One client is always behind, another one ever again: what only the first wanted goes with it."""
    async with site.client(DEPTH) as first, site.client(DEPTH) as second:
        await first.fall_behind()
        for number in range(1, 2 * backlog.LEVELS_KEPT):
            site.change(number, number, b=[(number, 1)])
        await second.fall_behind()
        site.change(5_000, 5_000, b=[(7_000, 1)])
        assert len(first.catch_up()[0]["b"]) == 2 * backlog.LEVELS_KEPT
        for number in range(1, 5 * backlog.LEVELS_KEPT):
            site.change(5_000 + number, 5_000 + number, b=[(7_000 + number % 10, 1)])
            await first.fall_behind()
            first.catch_up()
        book = next(iter(second.connection.places))._backlog
        assert isinstance(book, backlog.BookChanges)
        assert book.levels <= 3 * backlog.LEVELS_KEPT
        [joined] = second.catch_up()
        assert (joined["U"], len(joined["b"])) == (5_000, 10)


async def test_conflation_comes_before_the_cut(site: Site) -> None:
    """Many times the bound of changes to the same levels: joined, and the client stays."""
    async with site.client(DEPTH) as slow:
        await slow.fall_behind()
        levels = [(price, 1) for price in range(1_000, 1_100)]
        for number in range(1, 1_001):
            site.change(number, number, b=levels)
        assert not slow.socket.closed
        [joined] = slow.catch_up()
        assert (joined["U"], joined["u"], len(joined["b"])) == (1, 1_000, 100)


@pytest.mark.parametrize("text", ["x" * 2_000, "x"])
async def test_what_cannot_be_conflated_is_cut_off(site: Site, text: str) -> None:
    """At 1 MB or at 10,000 messages, and little more."""
    full = min(policy.CLIENT_QUEUE_MESSAGES_MAX, policy.CLIENT_QUEUE_BYTES_MAX // len(text_frame(text.encode())))
    async with site.client("t") as slow, site.client("t") as fast:
        await slow.fall_behind()
        before = CUT_OFF.labels("slow")._value.get()
        for number in range(full + full // 100):
            assert not slow.socket.closed or number > full - 2
            site.say("t", text)
        assert slow.socket.closed
        assert CUT_OFF.labels("slow")._value.get() == before + 1
        await asyncio.wait_for(slow.client.running, 40)
        assert slow.client.port.closed == (1008, "too slow")
        assert await fast.got() == [text] * (full + full // 100)


async def test_new_levels_without_end_are_cut_off(site: Site) -> None:
    async with site.client(DEPTH) as slow:
        await slow.fall_behind()
        number = 0
        while not slow.socket.closed:
            number += 1
            site.change(number, number, b=[(100 * number + level, 1) for level in range(100)])
            assert number * 100 * backlog.LEVEL_BYTES < 2 * policy.CLIENT_QUEUE_BYTES_MAX
        assert number * 100 * backlog.LEVEL_BYTES > policy.CLIENT_QUEUE_BYTES_MAX


async def test_they_do_not_end_in_one_turn(site: Site) -> None:
    """Cutting off takes time that the others wait: one client a turn."""
    async with contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(site.client("t")) for _ in range(20)]
        for each in slow:
            await each.fall_behind()
        ended = 0
        for _ in range(2 * policy.CLIENT_QUEUE_BYTES_MAX // 50_000):
            site.say("t", "x" * 50_000)
            now = sum(each.socket.closed for each in slow)
            assert now - ended <= 1
            ended = now
        assert ended == len(slow)


async def test_who_is_behind_is_not_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first message that they missed, others are no cost of a message."""
    async with contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(site.client("t", DEPTH)) for _ in range(10)]
        fast = await stack.enter_async_context(site.client("t", DEPTH))
        for each in slow:
            await each.fall_behind()
        site.say("t", 0)
        site.change(1, 1)
        asked: list[int] = []

        def share(sockets: Any, frame: bytes) -> None:
            asked.append(len(sockets))
            share_before(sockets, frame)

        share_before = hub.share
        monkeypatch.setattr(hub, "share", share)
        site.say("t", 1)
        site.change(2, 2)
        assert asked == [1, 1]
        assert [each if isinstance(each, int) else each["u"] for each in await fast.got()] == [0, 1, 1, 2]


@pytest.mark.parametrize("how", ["unsubscribe", "property"])
async def test_what_waited_comes_before_what_the_client_changes(site: Site, how: str) -> None:
    async with site.client("t", "u") as slow:
        await slow.fall_behind()
        site.say("t", 1)
        site.say("u", 2)
        if how == "unsubscribe":
            await slow.control("UNSUBSCRIBE", "t")
            expected: list[Any] = [1, 2, {"result": None, "id": 1}, 4]
        else:
            await slow.control("SET_PROPERTY", "combined", True)
            wrapped = [{"stream": "t", "data": 3}, {"stream": "u", "data": 4}]
            expected = [1, 2, {"result": None, "id": 1}, *wrapped]
        site.say("t", 3)
        site.say("u", 4)
        assert slow.catch_up() == expected


async def test_a_book_subscribed_again_does_not_go_on_where_it_was_left(site: Site) -> None:
    async with site.client(DEPTH) as slow:
        await slow.fall_behind()
        site.change(1, 1, b=[(1, 1)])
        await slow.control("UNSUBSCRIBE", DEPTH)
        site.change(2, 2, b=[(2, 1)])
        await slow.control("SUBSCRIBE", DEPTH)
        site.change(3, 3, b=[(3, 1)])
        site.change(4, 4, b=[(4, 1)])
        found = [(each["U"], each["u"]) for each in slow.catch_up() if "U" in each]
        assert found == [(1, 1), (3, 4)]


async def test_whoever_leaves_leaves_nothing_behind(site: Site) -> None:
    async with site.client("t", DEPTH) as slow:
        await slow.fall_behind()
        site.say("t", 1)
        site.change(1, 1)
        assert len(slow.connection.places) == 2
    assert site.hub._topics == {}
    assert site.hub._arrears._numbers == site.hub._arrears._clients == {}


async def test_a_client_that_takes_some_gets_it_in_parts(site: Site) -> None:
    """What it gets at once is bounded; the rest stays with the topics and is conflated on."""
    async with site.client("t", "n") as slow:
        await slow.fall_behind()
        for number in range(30):
            site.say("t", [number, "x" * 10_000])
            site.say("n", number, Behind.NEWEST)
        port = slow.client.port
        write = port.write

        def write_once(frames: bytes) -> None:
            write(frames)
            port.takes = False

        port.write = write_once  # type: ignore[method-assign]
        port.resume()
        assert port.messages() == ["first"]
        port.resume()
        first = port.messages()
        assert 0 < sum(isinstance(each, list) for each in first) <= policy.WRITE_BYTES_MAX // 10_000 + 1
        assert slow.socket.queued_bytes == 0
        site.say("n", 30, Behind.NEWEST)
        port.write = write  # type: ignore[method-assign]
        port.resume()
        rest = port.messages()
        assert [each[0] for each in first + rest if isinstance(each, list)] == list(range(30))
        assert [each for each in first + rest if isinstance(each, int)] == [29, 30]


async def test_the_first_lane_is_written_before_the_next_is_queued_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LANE_CLIENTS", 2)
    async with contextlib.AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(site.client("t", "u")) for _ in range(5)]
        written: list[int] = []
        for number, reader in enumerate(readers):

            def write(frames: bytes, number: int = number) -> None:
                written.append(number)
                later = readers[2 * (number // 2) + 2 :]
                assert all(each.socket.queued_bytes == 0 for each in later)

            reader.client.port.write = write  # type: ignore[method-assign]
        site.hub.publish("t", lambda unit: 1)
        site.hub.publish("u", lambda unit: 2)
        site.hub.end_turn()
        assert written == [0, 1, 2, 3, 4]


def test_a_lane_is_filled_again_and_has_one_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LANE_CLIENTS", 2)
    made = lanes.Lanes()
    plain = [made.enter(0) for _ in range(3)]
    combined = made.enter(COMBINED)
    assert [lane.number for lane in plain] == [0, 0, 1]
    assert (combined.number, combined.form) == (2, COMBINED)
    made.leave(plain[0])
    assert made.enter(COMBINED) is combined
    assert made.enter(0) is plain[0]
    made.leave(plain[2])
    # Nobody is left in it.
    assert made.enter(COMBINED).number == 1
    assert made.enter(COMBINED).number == 1
    assert made.enter(0).number == 3


async def test_a_connection_that_fails_ends_alone(site: Site) -> None:
    async with site.client("t") as first, site.client("t") as second:

        def write(frames: bytes) -> None:
            raise RuntimeError("planned")

        written, first.client.port.write = first.client.port.write, write  # type: ignore[method-assign]
        site.say("t", 1)
        assert await second.got() == [1]
        first.client.port.write = written  # type: ignore[method-assign]
        await asyncio.wait_for(first.client.running, 40)
        assert first.client.port.closed == (1011, "internal error")
