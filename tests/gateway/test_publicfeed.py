"""Public data in memory: taken once, in order, from snapshot and stream; lost records are noticed."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from apps.gateway.book import Gap, PublicMarket
from apps.gateway.errors import ApiError
from apps.gateway.feedage import SILENT_S, FeedAge
from apps.gateway.publicanswers import percent
from apps.gateway.publicfeed import PublicFeed
from apps.markets.marketdata import wire
from apps.streams.names import market_data_snapshot, market_data_stream
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.streams.redis_server import running_redis


def snapshot(**changes: Any) -> dict[str, Any]:
    return {
        "u": 10, "us": 8, "b": [[100, 5], [99, 1]], "a": [[101, 2]], "trades": [], "aggs": [], "klines": {},
        "ticker": None, "state": None, "after": "5-1", **changes,
    }  # fmt: skip


def trade(number: int, time_ms: int = 1000, price: int = 100, lots: int = 1) -> dict[str, Any]:
    return {"t": "trade", "m": 1, "id": number, "agg": number, "p": price, "q": lots, "T": time_ms, "bm": False, "u": 1}


def depth(first: int, last: int, bids: Any = (), asks: Any = (), kind: str = "depth") -> dict[str, Any]:
    return {"t": kind, "m": 1, "U": first, "u": last, "b": list(bids), "a": list(asks), "T": 1}


def test_a_book_moves_by_absolute_quantities() -> None:
    market = PublicMarket.from_snapshot(1, snapshot())
    assert market.apply(depth(11, 12, [[99, 0], [98, 7]], [[101, 3]]))
    assert (list(market.best_bids(5)), list(market.best_asks(5))) == ([(100, 5), (98, 7)], [(101, 3)])
    assert (market.u, market.position) == (12, (5, 1))


def test_what_is_known_is_not_taken_again() -> None:
    market = PublicMarket.from_snapshot(1, snapshot(trades=[trade(4)]))
    assert not market.apply(depth(9, 10, [[100, 0]]))
    assert not market.apply(depth(5, 8, kind="depth1s"))
    assert not market.apply(trade(4))
    assert list(market.best_bids(1)) == [(100, 5)]


@pytest.mark.parametrize("record", [depth(12, 13), depth(10, 11, kind="depth1s"), trade(6)])
def test_lost_records_are_noticed(record: dict[str, Any]) -> None:
    market = PublicMarket.from_snapshot(1, snapshot(trades=[trade(4)]))
    with pytest.raises(Gap):
        market.apply(record)


def test_best_prices_come_from_whatever_is_newer() -> None:
    market = PublicMarket.from_snapshot(1, snapshot())
    assert market.best() == ((100, 5), (101, 2))
    market.apply({"t": "top", "m": 1, "u": 11, "bp": 102, "bq": 1, "ap": 0, "aq": 0})
    assert market.best() == ((102, 1), (0, 0))
    market.apply(depth(11, 15, [[100, 0]]))
    assert market.best() == ((99, 1), (101, 2))


def test_five_minute_average() -> None:
    market = PublicMarket.from_snapshot(1, snapshot())
    assert market.average_price_ticks(0) is None
    for number, (time_ms, price, lots) in enumerate([(1_000, 100, 1), (250_000, 200, 3), (400_000, 300, 1)], 1):
        market.apply(trade(number, time_ms, price, lots))
    assert market.average_price_ticks(400_000) == (200 * 3 + 300, 4)
    assert market.average_price_ticks(10_000_000) == (300, 1)


def test_only_the_newest_bars_are_kept() -> None:
    market = PublicMarket.from_snapshot(1, snapshot())
    for open_ms in range(0, 600_000, 60_000):
        market.apply({"t": "kline", "m": 1, "i": "1m", "o": open_ms, "x": True})
    assert list(market.klines["1m"]) == [420_000, 480_000, 540_000]


@pytest.mark.parametrize(
    ("change", "base", "text"),
    [
        (1, 3, "33.333"), (-1, 3, "-33.333"), (0, 5, "0.000"), (5, 0, "0.000"), (1, 200_000, "0.001"),
        (-1, 200_000, "-0.001"), (1, 200_001, "0.000"), (10, 5, "200.000"),
    ],
)  # fmt: skip
def test_percent(change: int, base: int, text: str) -> None:
    assert percent(change, base) == text


def test_an_emptied_redis_edge_comes_back(exchange: Exchange, alice: Client, public: Client) -> None:
    """Edge may be flushed at any moment: the book is right again, and money was never touched."""
    alice.limit("BUY", "41000.00", "0.3")
    path = {"symbol": "BTCUSDT", "limit": 1}
    wait_until(lambda: public.get("/api/v3/depth", **path).json()["bids"] == [["41000.00000000", "0.30000000"]])
    with redis.Redis.from_url(exchange.edge_url) as edge:
        edge.flushall()
    alice.limit("BUY", "42000.00", "0.2")
    wait_until(
        lambda: (
            (a := public.get("/api/v3/depth", **path)).status_code == 200
            and a.json()["bids"] == [["42000.00000000", "0.20000000"]]
        ),
        timeout_s=40,
    )


@pytest.fixture(scope="module")
def own_edge_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A redis-edge of these tests alone: the market data of this package's exchange goes on publishing into its own."""
    with running_redis(tmp_path_factory.mktemp("edge")) as server:
        yield server.url


@pytest.fixture
def edge(own_edge_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_edge_url) as client:
        client.flushall()
        yield client


AGE = FeedAge(lambda: 0)


class Told:
    """A listener that keeps what it heard; `heard` is set at the first."""

    def __init__(self) -> None:
        self.depth: list[tuple[int, int]] = []
        self.heard = asyncio.Event()

    def on_record(self, market: Any, state: PublicMarket, record: dict[str, Any]) -> None:
        if record["t"] == "depth":
            self.depth.append((record["U"], record["u"]))
            self.heard.set()

    def on_entry_end(self) -> None: ...

    def on_reload(self, market: Any) -> None: ...


async def test_depth_ids_never_go_back_over_a_restart_of_the_gateway(edge: redis.Redis, own_edge_url: str) -> None:
    """Found by the chaos rig: what the stream held before this gateway came, the one before it has told already."""
    stream = market_data_stream("spot")
    edge.xadd(stream, {"d": wire.encode([depth(11, 12, [[98, 7]])])})
    edge.xadd(stream, {"d": wire.encode([depth(13, 14, [[97, 1]])])})
    edge.set(market_data_snapshot("spot", 1), wire.encode(snapshot(u=10, us=8, after="0-0")))
    market = SimpleNamespace(id=1, symbol="BTCUSDT")
    feed = PublicFeed(own_edge_url, "spot", SimpleNamespace(by_id={1: market}), AGE)  # type: ignore[arg-type]
    told = Told()
    feed.listeners.append(told)
    running = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(40):
            while (state := feed.known(market)) is None or state.u < 14:  # type: ignore[arg-type]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert told.depth == []
            assert feed.state(market).u == 14  # type: ignore[arg-type]
            edge.xadd(stream, {"d": wire.encode([depth(15, 16, [[96, 1]])])})
            await told.heard.wait()
    finally:
        running.cancel()
    assert told.depth == [(15, 16)]
    assert list(state.best_bids(5)) == [(100, 5), (99, 1), (98, 7), (97, 1), (96, 1)]


async def test_fault_f17_a_quiet_market_is_loaded_again_when_the_stream_begins_anew(
    edge: redis.Redis, own_edge_url: str
) -> None:
    """Found by the chaos rig: without news of its own a market has no gap in its ids, and kept the book it had."""
    stream = market_data_stream("spot")
    first = edge.xadd(stream, {"d": wire.encode([depth(11, 12, [[98, 7]])])}).decode()
    edge.set(market_data_snapshot("spot", 1), wire.encode(snapshot(u=12, us=8, after=first)))
    market = SimpleNamespace(id=1, symbol="BTCUSDT")
    feed = PublicFeed(own_edge_url, "spot", SimpleNamespace(by_id={1: market}), AGE)  # type: ignore[arg-type]
    running = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(40):
            while (state := feed.known(market)) is None or state.u < 12:  # type: ignore[arg-type]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            with edge.pipeline() as at_once:
                at_once.flushall()
                at_once.set(market_data_snapshot("spot", 1), wire.encode(snapshot(u=20, b=[[70, 1]])))
                at_once.xadd(stream, {"d": wire.encode([{"t": "ticker", "m": 1}])})
                at_once.execute()
            while (state := feed.known(market)) is None or state.u < 20:  # type: ignore[arg-type]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert list(state.best_bids(5)) == [(70, 1)]


async def test_only_words_of_after_the_connection_show_that_market_data_lives(
    edge: redis.Redis, own_edge_url: str
) -> None:
    """What it said before it fell silent lies in the stream, and is read again by every gateway that starts."""
    stream = market_data_stream("spot")
    edge.xadd(stream, {"d": wire.encode([wire.alive(seq=7, time_ms=1), depth(11, 12)])}, id="5-2")
    edge.set(market_data_snapshot("spot", 1), wire.encode(snapshot()))
    market = SimpleNamespace(id=1, symbol="BTCUSDT")
    now_s, heard = 0.0, asyncio.Event()

    def seen() -> int:
        heard.set()
        return 7

    age = FeedAge(seen, lambda: now_s)
    feed = PublicFeed(own_edge_url, "spot", SimpleNamespace(by_id={1: market}), age)  # type: ignore[arg-type]
    running = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(40):
            while (state := feed.known(market)) is None or state.u < 12:  # type: ignore[arg-type]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            now_s = SILENT_S + 1
            assert not heard.is_set()
            assert age.stale_since_ms() == 5
            for seq in (8, 9):
                heard.clear()
                edge.xadd(stream, {"d": wire.encode([wire.alive(seq=seq, time_ms=2)])})
                await heard.wait()
    finally:
        running.cancel()
    assert age.stale_since_ms() is None


def test_a_book_that_lags_behind_the_stream_is_not_shown() -> None:
    market = SimpleNamespace(id=1, symbol="BTCUSDT")
    feed = PublicFeed("redis://nowhere", "spot", SimpleNamespace(by_id={1: market}), AGE)  # type: ignore[arg-type]
    state = PublicMarket.from_snapshot(1, snapshot())
    feed._states[1] = state
    assert feed.state(market) is state  # type: ignore[arg-type]
    state.known_until = (6, 0)
    with pytest.raises(ApiError) as refused:
        feed.state(market)  # type: ignore[arg-type]
    assert refused.value.status == 503
