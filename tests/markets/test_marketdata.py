"""The market data process against the real engine, redis and PostgreSQL: books, chains, prints, candles, failures."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis
from django.db import connection

from apps.common.clock import now_ms
from apps.markets.intervals import INTERVALS, bar_open_ms
from apps.markets.liveintervals import LIVE
from apps.markets.marketdata import process as process_module
from apps.markets.marketdata.database import WatermarkMoved, connect, unit_factor
from apps.markets.marketdata.edge import Edge
from apps.markets.marketdata.process import READER, MarketData
from apps.markets.models import Asset, Candle, CandleWatermark, Market, MarketSettingsChange
from apps.markets.selectors import klines
from apps.markets.services import change_market_settings
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams import names
from apps.streams.bus.errors import BusAway
from apps.streams.bus.redis import RedisBus
from apps.streams.kinds import MarketState, Side, TradeFlag
from tests.markets.follower import Follower
from tests.markets.test_services import applied
from tests.markets.venue import MARKET_IDS, UNIT_FACTOR, Venue, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
SHARD = "spot"


@pytest.fixture
def venue(core: redis.Redis, redis_core_url: str, tmp_path: Path) -> Iterator[Venue]:
    for asset_id in (*MARKET_IDS, 9):
        Asset.objects.create(id=asset_id, code=f"A{asset_id}", name="x")
    for market_id in MARKET_IDS:
        values = settings_of(market_id)
        Market.objects.create(
            id=market_id, **{name: getattr(values, name) for name in values.__struct_fields__ if name != "market_id"}
        )
    bus = RedisBus(redis_core_url, SHARD)
    venue = Venue(bus, tmp_path / "snapshots")
    venue.open()
    yield venue
    bus.close()


@pytest.fixture
def start(
    redis_core_url: str, redis_edge_url: str, edge: redis.Redis, venue: Venue
) -> Iterator[Callable[[], MarketData]]:
    """start() makes a loaded process that has published once; more of them are restarts."""
    running: list[MarketData] = []

    def make() -> MarketData:
        for earlier in running:
            leave(earlier)
        running.clear()
        process = MarketData(
            bus=RedisBus(redis_core_url, SHARD), edge=Edge(redis_edge_url, SHARD), snapshot_dir=venue.snapshot_dir
        )
        running.append(process)
        process.load()
        process.step()
        return process

    yield make
    for process in running:
        leave(process)


def leave(process: MarketData) -> None:
    """What is left of a killed process: its connections close."""
    process.candles.close()
    process.publisher.close()
    process._bus.close()


def turn(process: MarketData, venue: Venue) -> None:
    """Turn the loop until everything is applied and flushed, the once-a-second work included."""
    process._depth_slot = process._second_slot = -1
    while process.shard is None or process.shard.seq < venue.engine.seq:
        process.step()
    process._depth_slot = process._second_slot = -1
    process.step()


def agree(follower: Follower, venue: Venue) -> None:
    """The follower's books are the engine's, and it has heard of every print."""
    follower.read()
    for market_id, market in follower.markets.items():
        for side in Side:
            assert market.book("depth", side) == venue.levels(market_id, side)
            assert market.book("depth1s", side) == venue.levels(market_id, side)
        prints = venue.prints(market_id)
        assert market.trades[-1:] == [event.trade_id for event in prints[-1:]]
        assert market.aggs[-1:] == [event.agg_id for event in prints[-1:]]
        if market.tops:
            best = [(venue.levels(market_id, side) or [(0, 0)])[0] for side in Side]
            top = market.tops[-1]
            assert [(top["bp"], top["bq"]), (top["ap"], top["aq"])] == best


def expected_bars(venue: Venue) -> dict[tuple[int, str, int], tuple[int, ...]]:
    """Bars from all prints, by plain sums."""
    groups: dict[tuple[int, str, int], list[Any]] = {}
    for event in venue.prints():
        for interval in INTERVALS:
            groups.setdefault((event.market_id, interval, bar_open_ms(interval, event.cmd_ms)), []).append(event)
    bars = {}
    for key, events in groups.items():
        prices = [event.price_ticks for event in events]
        taken = [event for event in events if event.flags & TradeFlag.TAKER_IS_BUYER]
        bars[key] = (
            prices[0], max(prices), min(prices), prices[-1], sum(event.quantity_lots for event in events),
            sum(event.price_ticks * event.quantity_lots * UNIT_FACTOR for event in events), len(events),
            sum(event.quantity_lots for event in taken),
            sum(event.price_ticks * event.quantity_lots * UNIT_FACTOR for event in taken),
            events[0].trade_id, events[-1].trade_id,
        )  # fmt: skip
    return bars


def written_bars() -> dict[tuple[int, str, int], tuple[int, ...]]:
    return {
        (row[0], row[1], row[2]): row[3:]
        for row in Candle.objects.values_list(
            "market_id", "interval", "open_ms", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots",
            "quote_units", "trades", "taker_base_lots", "taker_quote_units", "first_trade_id", "last_trade_id",
        )
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_books_and_chains_follow_the_engine_over_restarts(
    venue: Venue, start: Callable[[], MarketData], edge: redis.Redis, seed: int
) -> None:
    random = Random(seed)
    process = start()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)
    for _ in range(60):
        draw = random.random()
        if draw < 0.08:
            venue.write_snapshot()
        elif draw < 0.14:
            venue.settle()
        elif draw < 0.24:
            for _ in range(random.randint(0, 4)):
                venue.random_batch(random)
            process = start()
        elif draw < 0.4:
            turn(process, venue)
            agree(follower, venue)
        else:
            venue.random_batch(random)
            process.step()
    turn(process, venue)
    agree(follower, venue)
    assert len(venue.prints()) > 50, f"seed {seed} made too few prints to prove anything"
    late = Follower(edge, SHARD)
    late.join(*MARKET_IDS)
    agree(late, venue)
    for market_id in MARKET_IDS:
        found = late.snapshot(market_id)
        assert [trade["id"] for trade in found["trades"]] == [
            event.trade_id for event in venue.prints(market_id)[-1000:]
        ]
        assert sum(agg["q"] for agg in found["aggs"]) == sum(e.quantity_lots for e in venue.prints(market_id))
        assert (found["aggs"][0]["f"], found["aggs"][-1]["l"]) == (1, found["trades"][-1]["id"])


@pytest.mark.parametrize("seed", range(2))
def test_candles_are_exact_over_restarts(venue: Venue, start: Callable[[], MarketData], seed: int) -> None:
    random = Random(seed)
    process = start()
    for _ in range(25):
        venue.random_batch(random)
        draw = random.random()
        if draw < 0.2:
            process = start()
        elif draw < 0.4:
            venue.write_snapshot()
        elif draw < 0.7:
            process.candles.step()
        process.step()
    while process.candles.step():
        pass
    process.candles.step()
    assert written_bars() == expected_bars(venue)
    assert CandleWatermark.objects.get().seq == venue.engine.seq
    turn(process, venue)
    for market_id in MARKET_IDS:
        shown = process.shard.markets[market_id].bars.current
        last = {
            interval: bar for (market, interval, _), bar in sorted(expected_bars(venue).items()) if market == market_id
        }
        assert (shown["1M"].open, shown["1M"].high, shown["1M"].low, shown["1M"].close) == last["1M"][:4]
        assert (shown["1M"].volume_lots, shown["1M"].quote_units, shown["1M"].trades) == last["1M"][4:7]
        (bar,) = klines(market_id, "1M")
        assert bar == shown["1M"]
        ticker = process.shard.markets[market_id].told_ticker
        assert (ticker["o"], ticker["h"], ticker["l"], ticker["c"]) == last["1M"][:4]
        assert (ticker["v"], ticker["q"], ticker["n"]) == last["1M"][4:7]


def test_two_writers_never_count_twice(venue: Venue, start: Callable[[], MarketData]) -> None:
    process = start()
    venue.limit(Side.BUY, 1_000, 5)
    venue.limit(Side.SELL, 1_000, 3, account=1002)
    other = MarketData(bus=venue.bus.another(), edge=process.publisher._edge, snapshot_dir=venue.snapshot_dir).candles
    other.open()
    process.candles.step()
    with pytest.raises(WatermarkMoved):
        other.step()
    other.close()
    assert written_bars() == expected_bars(venue)


def test_trimmed_events_become_candles_from_settled_trades(venue: Venue, start: Callable[[], MarketData]) -> None:
    random = Random(1)
    process = start()
    venue.random_batch(random, 40)
    process.candles.step()
    venue.random_batch(random, 40)
    venue.write_snapshot()
    cut = venue.engine.seq
    venue.settle()
    venue.random_batch(random, 40)
    venue.bus.trim(epoch=1, commands_to=venue.last_cmd, events_to=cut)
    process = start()
    assert written_bars() == expected_bars(venue)
    turn(process, venue)
    for market_id in MARKET_IDS:
        assert process.shard.markets[market_id].tape.last_trade_id == venue.prints(market_id)[-1].trade_id


def test_settlement_behind_a_trim_is_an_error_not_a_guess(venue: Venue, start: Callable[[], MarketData]) -> None:
    process = start()
    venue.random_batch(Random(1), 40)
    venue.bus.trim(epoch=1, commands_to=venue.last_cmd, events_to=venue.engine.seq)
    with pytest.raises(process_module.SettlementBehind):
        process.candles.step()
    assert written_bars() == {}


def test_flushed_edge_gets_its_snapshots_back(venue: Venue, start: Callable[[], MarketData], edge: redis.Redis) -> None:
    random = Random(2)
    process = start()
    venue.random_batch(random)
    turn(process, venue)
    edge.flushall()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)
    venue.random_batch(random)
    turn(process, venue)
    agree(follower, venue)


def test_readers_miss_nothing_while_the_edge_was_away(
    venue: Venue, start: Callable[[], MarketData], edge: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(3)
    process = start()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)
    venue.random_batch(random)
    turn(process, venue)

    def away(*_arguments: object, **_options: object) -> None:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as broken:
        broken.setattr(process.publisher._edge._client, "execute_command", away)
        broken.setattr(process.publisher._edge._client, "pipeline", away)
        for _ in range(5):
            venue.random_batch(random)
            turn(process, venue)
        assert not process.publisher.ok
        assert not process.health().ok
    process.publisher._retry_at_s = 0.0
    turn(process, venue)
    assert process.health().ok
    agree(follower, venue)
    assert process.shard.seq == venue.engine.seq


def test_an_answer_that_was_lost_is_neither_repeated_nor_missed(
    venue: Venue, start: Callable[[], MarketData], edge: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream entry was written, but the producer never heard so."""
    process = start()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)
    real = process.publisher._edge._client.xadd

    def lost(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        raise redis.TimeoutError("lost")

    with monkeypatch.context() as broken:
        broken.setattr(process.publisher._edge._client, "xadd", lost)
        venue.limit(Side.BUY, 1_000, 5)
        venue.limit(Side.SELL, 1_000, 3, account=1002)
        turn(process, venue)
    process.publisher._retry_at_s = 0.0
    turn(process, venue)
    agree(follower, venue)
    assert follower.markets[1].trades == [1]


def test_a_lost_log_is_loaded_anew(venue: Venue, start: Callable[[], MarketData], core: redis.Redis) -> None:
    """Another history under the same numbers is not mixed with what was read before."""
    process = start()
    venue.limit(Side.BUY, 1_000, 5)
    process.step()
    process.shard.chain = "0" * 64
    venue.limit(Side.BUY, 1_001, 5)
    with pytest.raises(process_module.EventGap):
        turn(process, venue)
    process.load()
    assert process.shard.markets[1].book.sides[Side.BUY].best() == (1_001, 5)


def test_snapshot_of_a_traded_market(venue: Venue, start: Callable[[], MarketData], edge: redis.Redis) -> None:
    process = start()
    venue.limit(Side.BUY, 990, 5)
    venue.limit(Side.BUY, 1_000, 5)
    venue.limit(Side.BUY, 1_000, 1, account=1003)
    venue.limit(Side.SELL, 990, 7, account=1002)
    turn(process, venue)
    found = Follower(edge, SHARD).snapshot(1)
    assert (found["u"], found["us"]) == (venue.engine.seq, venue.engine.seq)
    assert (found["b"], found["a"]) == ([[990, 4]], [])
    assert [(trade["p"], trade["q"], trade["bm"]) for trade in found["trades"]] == [
        (1_000, 5, True), (1_000, 1, True), (990, 1, True)
    ]  # fmt: skip
    assert [(agg["a"], agg["p"], agg["q"], agg["f"], agg["l"]) for agg in found["aggs"]] == [
        (1, 1_000, 6, 1, 2), (2, 990, 1, 3, 3)
    ]  # fmt: skip
    assert set(found["klines"]) == set(LIVE)
    day = found["klines"]["1d"]
    assert (day["p"], day["v"], day["n"], day["bv"]) == ([1_000, 1_000, 990, 990], 7, 3, 0)
    assert day["q"] == (6 * 1_000 + 990) * UNIT_FACTOR
    ticker = found["ticker"]
    assert (ticker["b"], ticker["B"], ticker["a"], ticker["A"]) == (990, 4, 0, 0)
    assert (ticker["c"], ticker["Q"], ticker["F"], ticker["L"]) == (990, 1, 1, 3)
    assert 0 < found["state"].pop("u") < found["u"]
    assert found["state"] == {
        "t": "state",
        "m": 1,
        "state": MarketState.OPEN,
        "cause": 1,
        "until": 0,
        "reopens": 0,
        "rule": 0,
    }


def test_a_market_listed_later_has_the_history_that_was_there(
    venue: Venue, start: Callable[[], MarketData], edge: redis.Redis
) -> None:
    """As on the first start of a demonstration: candles are older than the first event."""
    now = now_ms()
    minute = bar_open_ms("1m", now - 3_600_000)
    for interval in INTERVALS:
        Candle.objects.create(
            market_id=3, interval=interval, open_ms=bar_open_ms(interval, minute), open_ticks=900, high_ticks=910,
            low_ticks=890, close_ticks=905, volume_lots=50, quote_units=450_000, trades=4, taker_base_lots=20,
            taker_quote_units=180_000, first_trade_id=-1, last_trade_id=-1, simulated=True,
        )  # fmt: skip
    Asset.objects.create(id=3, code="A3", name="x")
    values = settings_of(3)
    Market.objects.create(
        id=3, **{name: getattr(values, name) for name in values.__struct_fields__ if name != "market_id"}
    )
    process = start()
    venue.list_market(3)
    turn(process, venue)
    found = Follower(edge, SHARD).snapshot(3)
    assert found["state"]["state"] == MarketState.PRE_LAUNCH
    assert (found["ticker"]["o"], found["ticker"]["c"], found["ticker"]["n"]) == (900, 905, 4)
    venue.set_state(3, MarketState.OPEN)
    venue.limit(Side.BUY, 950, 5, market_id=3)
    venue.limit(Side.SELL, 950, 5, account=1002, market_id=3)
    while process.candles.step():
        pass
    turn(process, venue)
    found = Follower(edge, SHARD).snapshot(3)
    assert (found["ticker"]["o"], found["ticker"]["c"], found["ticker"]["n"]) == (900, 950, 5)
    # The month may have begun less than an hour ago, and at UTC+8 it is put together from hours.
    bar = found["klines"]["1M"]
    is_one_month = bar["o"] <= minute
    assert (bar["n"], bar["f"]) == (5 if is_one_month else 1, 1)
    zoned = found["klines"]["1M@+08:00"]
    assert zoned["n"] == (5 if zoned["o"] <= bar_open_ms("1h", minute) else 1)
    month = klines(3, "1M")[-1]
    assert (month.open, month.high, month.close, month.trades, month.simulated) == (
        (900, 950, 950, 5, True) if is_one_month else (950, 950, 950, 1, False)
    )


def test_states_are_told(venue: Venue, start: Callable[[], MarketData], edge: redis.Redis) -> None:
    process = start()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)
    venue.limit(Side.BUY, 990, 5)
    venue.set_state(1, MarketState.HALTED)
    venue.set_state(1, MarketState.CLOSED)
    turn(process, venue)
    agree(follower, venue)
    assert [record["state"] for record in follower.markets[1].states] == [MarketState.HALTED, MarketState.CLOSED]
    assert follower.markets[1].book("depth", Side.BUY) == [], "closing cancels what rests"


def test_the_cursor_holds_back_what_candles_still_need(venue: Venue, start: Callable[[], MarketData]) -> None:
    process = start()
    at_start = process.candles.seq
    venue.limit(Side.BUY, 990, 5)
    turn(process, venue)
    cursor = venue.bus.cursors()[READER]
    assert (cursor.stream, cursor.position) == ("events", str(at_start))
    assert now_ms() - cursor.heartbeat_ms < 60_000
    process.candles.step()
    turn(process, venue)
    assert venue.bus.cursors()[READER].position == str(venue.engine.seq)


def test_redis_core_away_stops_nothing_for_good(
    venue: Venue, start: Callable[[], MarketData], edge: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)

    def away(*_arguments: object, **_options: object) -> list[Any]:
        raise BusAway("away")

    with monkeypatch.context() as broken:
        broken.setattr(process._bus, "read_events", away)
        broken.setattr(process._bus, "set_cursor", away)
        venue.random_batch(Random(4), 20)
        process.step()
        assert not process.health().ok
        assert process.health().details["redis_core"] == "away"
    turn(process, venue)
    assert process.health().ok
    agree(follower, venue)


def test_a_clock_that_is_set_back_stops_nothing(
    venue: Venue, start: Callable[[], MarketData], edge: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    turn(process, venue)
    follower = Follower(edge, SHARD)
    follower.join(*MARKET_IDS)
    monkeypatch.setattr(process_module, "now_ms", lambda: now_ms() - 3_600_000)
    venue.limit(Side.BUY, 990, 5)
    process.step()
    process.step()
    agree(follower, venue)


def test_candles_wait_for_postgresql(
    venue: Venue, start: Callable[[], MarketData], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is away market data goes on; afterwards nothing is missing."""
    process = start()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE markets_candlewatermark RENAME TO moved_away")
    try:
        monkeypatch.setattr("apps.markets.marketdata.candlewriter.PERIOD_S", 0.01)
        thread = threading.Thread(target=process.candles.run, args=(process.stop,))
        thread.start()
        venue.random_batch(Random(5), 40)
        turn(process, venue)
        deadline = time.monotonic() + 40
        while not process.candles.failing and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.candles.failing
        assert process.health().details["candles"] == "waiting"
        assert process.health().ok
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE moved_away RENAME TO markets_candlewatermark")
    deadline = time.monotonic() + 40
    while process.candles.seq < venue.engine.seq and time.monotonic() < deadline:
        time.sleep(0.01)
    process.stop.set()
    thread.join()
    assert written_bars() == expected_bars(venue)


def test_stream_is_capped(start: Callable[[], MarketData], edge: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.markets.marketdata.edge.STREAM_ENTRIES_MAX", 10)
    process = start()
    for number in range(1_000):
        process.publisher._edge.publish([{"t": "trade", "m": 1, "id": number}])
    assert edge.xlen(names.market_data_stream(SHARD)) < 250


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_candle_writer_ends_the_process(
    venue: Venue, start: Callable[[], MarketData], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise candles would stand still unnoticed; the supervisor starts it again."""
    process = start()

    def broken() -> bool:
        raise AssertionError("not a failure of a server")

    monkeypatch.setattr("apps.markets.marketdata.candlewriter.PERIOD_S", 0.01)
    monkeypatch.setattr(process, "load", lambda: None)
    monkeypatch.setattr(process.candles, "step", broken)
    with pytest.raises(RuntimeError, match="candle writer failed"):
        process.run()


def test_unit_factor_is_that_of_the_newest_settings_not_refused(btcusdt: Market) -> None:
    """The market's own row follows later, when the engine's event is settled."""
    first = MarketSettingsChange.objects.get()
    applied(first)
    with connect() as own:
        assert unit_factor(own, btcusdt.pk) == 10
        second = change_market_settings(
            symbol="BTCUSDT", changes={"tick_size": 2_000_000}, reason="x", requested_by="t"
        )
        assert unit_factor(own, btcusdt.pk) == 20
        OutboxRow.objects.filter(key=second.outbox_key).update(
            state=OutboxState.REFUSED, reason=26, event_seq=2, relay_seq=9, settled_at="2026-11-21T00:00Z"
        )
        assert unit_factor(own, btcusdt.pk) == 10
        with pytest.raises(LookupError):
            unit_factor(own, 99)


def test_between_two_turns_it_rests(
    start: Callable[[], MarketData], venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that many events are one entry for every reader."""
    rests: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.append(timeout or 0)
            return False

    process = start()
    process.stop = Stop()
    monkeypatch.setattr("apps.markets.marketdata.process.TURN_EVERY_S", 600.0)
    process.step()
    assert 300 < rests[0] <= 600
    monkeypatch.setattr("apps.markets.marketdata.process.TURN_EVERY_S", 0.0)
    process.step()
    assert len(rests) == 1
