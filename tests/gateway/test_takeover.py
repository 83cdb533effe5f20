"""Orders over a hand-over and a takeover of real workers on a real redis-core: none fails, none is lost, none doubled.

The gateway's own parts without HTTP: pipe, batcher, tail and monitor, as `Orders.place` uses them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.gateway.batcher import Batcher
from apps.gateway.core import CorePipe
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.errors import ApiError
from apps.gateway.tail import EventTail
from apps.matching.engine import Engine
from apps.matching.status import Phase
from apps.matching.worker import Worker
from apps.streams.bus.base import START
from apps.streams.bus.redis import RedisBus
from apps.streams.bus.scripts import APPEND_COMMANDS
from apps.streams.codec import decode_command, decode_event, decode_events
from apps.streams.commands import PlaceOrder
from apps.streams.events import OrderAccepted
from apps.streams.kinds import CommandKind, OrderKind, Side, StpMode, TimeInForce
from apps.streams.names import ShardKeys
from apps.streams.records import FRAME_SIZE
from tests.gateway.conftest import PATIENCE_S, be_patient
from tests.gateway.exchange import SHARD
from tests.gateway.test_core import eventually
from tests.gateway.test_pressure import LIMITS
from tests.matching.conftest import FakeAuthority, RunningWorker, collector_as_before, patient_lease, slow_machine
from tests.matching.log import all_events, append_all
from tests.matching.traffic import ACCOUNTS, MARKET_ID, opening
from tests.matching.waiting import until
from tests.streams.redis_server import RedisServer, running_redis

__all__ = ["collector_as_before", "patient_lease", "slow_machine"]
KEYS = ShardKeys(SHARD)
Start = Callable[[str], RunningWorker]
CALM = replace(LIMITS, engine_silent_s_max=PATIENCE_S, events_behind_s_max=PATIENCE_S)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No order is refused or given up because a busy machine is slow; what is about such a limit sets it."""
    monkeypatch.setattr("apps.gateway.coremonitor.LEASE_GAP_MAX_S", PATIENCE_S)
    be_patient(monkeypatch)
    monkeypatch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "core") as core:
        yield core


@pytest.fixture
def bus(server: RedisServer) -> Iterator[RedisBus]:
    made = RedisBus(server.url, SHARD)
    yield made
    made.close()


@pytest.fixture
def start(bus: RedisBus, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker by its name; whoever has no lease follows."""
    authority, started = FakeAuthority(), []

    def start_worker(name: str) -> RunningWorker:
        running = RunningWorker(Worker(bus.another(), authority, Engine, tmp_path / "snapshots", name=name))
        started.append(running)
        return running

    yield start_worker
    for running in started:
        running.stop()


class Listener:
    """Follows an account, as its user data stream does."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.lost = 0

    def on_events(self, events: list[Any]) -> None:
        self.seqs += [event.seq for event in events]

    def on_lost(self) -> None:
        self.lost += 1


class Trader:
    """What one gateway process has between its API and redis-core."""

    def __init__(self, url: str) -> None:
        self.pipe = CorePipe(url, scripts=(APPEND_COMMANDS,))
        self.tail = EventTail(url, KEYS)
        self.monitor = CoreMonitor(self.pipe, self.tail, KEYS, CALM)
        self.batcher = Batcher(self.pipe, self.tail, KEYS)
        self.listener = Listener()
        self.answered: list[str] = []
        self.failed: Counter[int] = Counter()
        # Client ids of orders without an answer, oldest first.
        self.under_way: dict[str, None] = {}
        self._numbers = iter(range(10**6))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(part.run()) for part in (self.pipe, self.tail, self.monitor)]
        await eventually(self.monitor.alive)
        self.tail.follow(ACCOUNTS[0], self.listener)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def place(self) -> None:
        client_id = f"c{next(self._numbers)}"
        self.under_way[client_id] = None
        try:
            self.monitor.check_new_order()
            events = await self.batcher.send(
                PlaceOrder(
                    market_id=MARKET_ID, account_id=ACCOUNTS[0], settings_version=1, side=Side.BUY,
                    order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC, stp_mode=StpMode.EXPIRE_TAKER,
                    price_ticks=4_000_000, quantity_lots=10, client_id=client_id,
                )
            )  # fmt: skip
        except ApiError as error:
            self.failed[error.status] += 1
        else:
            [accepted] = [event for event in map(decode_event, events) if isinstance(event, OrderAccepted)]
            assert accepted.client_id == client_id
            self.answered.append(client_id)
        finally:
            del self.under_way[client_id]

    async def trade(self, over: asyncio.Event) -> None:
        """One client after the other's pace: an order every few milliseconds until `over`."""
        while not over.is_set():
            await self.place()
            await asyncio.sleep(0.005)

    async def trade_while(self, doing: Callable[[], None]) -> None:
        """Four clients trade before, during and after `doing`."""
        over = asyncio.Event()
        clients = [asyncio.create_task(self.trade(over)) for _ in range(4)]
        try:
            await self._more_answers()
            await asyncio.to_thread(doing)
            await self._more_answers()
        finally:
            over.set()
            await asyncio.gather(*clients)

    async def _more_answers(self) -> None:
        enough = len(self.answered) + 30
        await eventually(lambda: len(self.answered) >= enough)


def check_history(bus: RedisBus, trader: Trader) -> None:
    """Every answered order is in the log exactly once, and the account heard of each event of its own, in order."""
    events = decode_events(all_events(bus))
    accepted = Counter(event.client_id for event in events if isinstance(event, OrderAccepted))
    assert max(accepted.values()) == 1
    assert set(trader.answered) <= set(accepted)
    own = [event.seq for event in events if event.account_id == ACCOUNTS[0]]
    assert trader.listener.lost == 0
    assert trader.listener.seqs == [seq for seq in own if seq >= trader.listener.seqs[0]]


def opened(bus: RedisBus, start: Start) -> RunningWorker:
    append_all(bus, list(opening()))
    first = start("one")
    first.wait_for(Phase.ACTIVE)
    until(lambda: bus.frame_count().appended == bus.frame_count().done)
    return first


def test_a_hand_over_fails_no_order(server: RedisServer, bus: RedisBus, start: Start) -> None:
    first = opened(bus, start)
    second = start("two")
    second.wait_for(Phase.FOLLOWING)

    def hand_over() -> None:
        first.stop()
        second.wait_for(Phase.ACTIVE)

    async def run() -> Trader:
        trader = Trader(server.url)
        async with trader.running():
            await trader.trade_while(hand_over)
        return trader

    trader = asyncio.run(run())
    assert not trader.failed
    assert len(trader.answered) > 50
    assert {entry.epoch for entry in bus.read_events(0, count=10**6)} == {1, 2}
    check_history(bus, trader)


def test_a_takeover_and_a_lost_connection_of_the_tail_lose_nothing(
    server: RedisServer, bus: RedisBus, start: Start
) -> None:
    """The lease is taken from a worker that still runs; meanwhile the gateway's reader of the events is cut off twice.

    A request may be refused while the events are not read, and none may be left without an answer.
    """
    first = opened(bus, start)
    second = start("two")
    second.wait_for(Phase.FOLLOWING)

    def cut_tail() -> None:
        with server.client() as client:
            for row in client.client_list():
                if row["name"] == "nebannpet-gateway" and row["cmd"] == "xread":
                    client.client_kill_filter(_id=row["id"])

    def take_over() -> None:
        cut_tail()
        with server.client() as client:
            # The first worker takes a lease that is free back, so it may need more than one attempt.
            while (client.get(KEYS.lease) or b"").startswith(b"one@"):
                client.delete(KEYS.lease)
                until(lambda: client.exists(KEYS.lease) == 1)
        second.wait_for(Phase.ACTIVE)
        cut_tail()
        until(lambda: not first.thread.is_alive() or first.worker.status.phase is not Phase.ACTIVE)

    async def run() -> Trader:
        trader = Trader(server.url)
        async with trader.running():
            await trader.trade_while(take_over)
            await trader.place()
        return trader

    trader = asyncio.run(run())
    assert set(trader.failed) <= {503}
    assert len(trader.answered) > 50
    assert len({entry.epoch for entry in bus.read_events(0, count=10**6)}) >= 2
    check_history(bus, trader)


def test_orders_wait_out_a_short_gap_and_are_refused_in_a_long_one(
    server: RedisServer, bus: RedisBus, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(bus, start)

    async def run() -> None:
        trader = Trader(server.url)
        async with trader.running():
            await asyncio.to_thread(first.stop)
            await eventually(lambda: not trader.monitor.lease)
            assert trader.monitor.alive()
            waiting = asyncio.create_task(trader.place())
            # It has been let in, and nothing that comes later will be.
            await asyncio.sleep(0)
            monkeypatch.setattr("apps.gateway.coremonitor.LEASE_GAP_MAX_S", 0.1)
            await eventually(lambda: not trader.monitor.alive())
            assert not waiting.done()
            await trader.place()
            assert (trader.failed, trader.answered) == ({503: 1}, [])
            second = start("two")
            await waiting
            assert trader.answered == ["c0"]
            await asyncio.to_thread(second.wait_for, Phase.ACTIVE)
            # On a busy machine the gap was long enough for back-pressure as well.
            await eventually(lambda: trader.monitor.alive() and not trader.monitor.pressure.causes)
            await trader.place()
        assert trader.answered == ["c0", "c2"]
        check_history(bus, trader)

    asyncio.run(run())


def test_a_frozen_redis_core_ends_every_request_and_nothing_is_sent_twice(
    server: RedisServer, bus: RedisBus, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fault-F10. What was sent just before has an unknown outcome, what comes later is refused at once, and trading
    goes on by itself. The freeze lasts until all of that is over, so nothing of it is owed to its end.
    """
    monkeypatch.setattr("apps.streams.bus.link.ANSWER_TIMEOUT_S", 2.0)
    monkeypatch.setattr("apps.gateway.core.PIPE_SILENT_MAX_S", 1.6)
    # Of an order whose append was answered just before the freeze; its events come after it.
    monkeypatch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", 3.0)
    monkeypatch.setattr("apps.gateway.core.CORE_CONNECT_TIMEOUT_S", 1.0)
    monkeypatch.setattr("apps.gateway.coremonitor.CORE_SILENT_MAX_S", 1.0)
    opened(bus, start)

    async def run() -> Trader:
        trader = Trader(server.url)

        def freeze() -> None:
            with server.frozen():
                met = set(trader.under_way)
                until(lambda: not met & set(trader.under_way), what="an answer to every request that the freeze met")
                until(lambda: trader.failed[504] > 0, what="unknown outcomes")
                refused = trader.failed[503]
                until(lambda: trader.failed[503] >= refused + 4, what="refusals at once")

        async with trader.running():
            await trader.trade_while(freeze)
        return trader

    trader = asyncio.run(run())
    assert set(trader.failed) == {503, 504}
    assert trader.failed[504] <= 4, "each of the four clients had one order under way when the server froze"
    until(lambda: bus.frame_count().appended == bus.frame_count().done)
    check_history(bus, trader)
    sent = Counter(
        decode_command(entry.frames[at : at + FRAME_SIZE]).client_id
        for entry in bus.read_commands(START, count=10**6)
        for at in range(0, len(entry.frames), FRAME_SIZE)
        if entry.frames[at + 1] == CommandKind.PLACE_ORDER
    )
    assert max(sent.values()) == 1
    assert set(trader.answered) <= set(sent)
    assert len(sent) - len(trader.answered) <= trader.failed[504]
