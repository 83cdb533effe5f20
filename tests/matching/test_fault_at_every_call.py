"""A fault at every call that a worker makes: whatever it was doing, the log stays one history and loses no command.

The log is in memory. One worker at a time has a bus that fails at its k-th call: the connection is lost before it or
after it (the reply is lost), the process is killed there, which no later call survives, or it stands still there until
another worker has replaced it and traded on. Another worker follows.
The seed of the sample is printed; NEMESIS_SEED=<n> repeats it.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from apps.matching import policy
from apps.matching.applying import apply_entries
from apps.matching.engine import Engine
from apps.matching.errors import LeaseLost, TakeoverLost
from apps.matching.skips import Skips, creates_orders
from apps.matching.status import Phase
from apps.matching.worker import Worker
from apps.streams.bus.base import START
from apps.streams.bus.errors import AppendUnknown, BusAway, Fenced
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import decode_events
from apps.streams.kinds import EventKind
from tests.matching.conftest import FakeAuthority, RunningWorker
from tests.matching.log import all_events
from tests.matching.test_poison import Poisonable
from tests.matching.traffic import opening, order
from tests.matching.waiting import until

READS: Final = {
    "read_commands", "last_command", "read_events", "head", "chain_at", "epoch", "lease_holder", "frame_count",
    "read_skips", "trimmed", "cursors",
}  # fmt: skip
WRITES: Final = {
    "append_commands", "append_events", "raise_epoch", "take_lease", "release_lease", "set_frames_done",
    "recount_frames", "write_skip", "trim", "set_cursor", "drop_cursor", "report_disk",
}  # fmt: skip
# From the first call of a lone worker to its first rounds of trading, with a margin.
CALLS: Final = 60
SAMPLE: Final = 3


class Killed(BaseException):
    """kill -9: nothing that the process still tries has an effect."""


# How a worker may end, and what one that was replaced may do where it goes on.
ENDS: Final = (type(None), Killed, Fenced, LeaseLost, TakeoverLost)
REPLACED: Final = (Phase.FOLLOWING, Phase.WAITING_FOR_LEASE)


class Fault:
    """At its call number `at`: 'before' the connection is lost, 'after' the reply is, 'kill' ends the process, and
    'pause' lets it wait, in all its threads, for `going_on`."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind = kind
        self.at = at
        self.calls = 0
        self.where = ""
        self.going_on = threading.Event()
        self._lock = threading.Lock()

    @property
    def happened(self) -> bool:
        return self.calls >= self.at

    def call(self, name: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with self._lock:
            self.calls += 1
            here = self.calls == self.at
            if here:
                self.where = name
            there = self.calls >= self.at
        if there and self.kind == "kill":
            raise Killed(name)
        if there and self.kind == "pause":
            assert self.going_on.wait(60)
        if here and self.kind == "before":
            raise BusAway("planted")
        answer = method(*arguments, **named)
        if here and self.kind == "after":
            raise (AppendUnknown if name in WRITES else BusAway)("planted, after the effect")
        return answer


class FailingBus(MemoryBus):
    """Shares the log of `bus`."""

    def __init__(self, bus: MemoryBus, fault: Fault) -> None:
        super().__init__(bus.shard)
        self._log = bus._log
        self.fault = fault


def _failing(name: str) -> Callable[..., Any]:
    def call(self: FailingBus, *arguments: Any, **named: Any) -> Any:
        method = getattr(MemoryBus, name)
        if getattr(_inside, "it", False):  # one method of the bus in memory calls another
            return method(self, *arguments, **named)
        _inside.it = True
        try:
            return self.fault.call(name, method, self, *arguments, **named)
        finally:
            _inside.it = False

    return call


_inside = threading.local()
for _name in READS | WRITES:
    setattr(FailingBus, _name, _failing(_name))


@pytest.fixture(autouse=True)
def quick(usual_lease: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed leaves its lease to run out."""
    monkeypatch.setattr(policy, "BACK_OFF_FIRST_S", 0.01)
    monkeypatch.setattr(policy, "BACK_OFF_LAST_S", 0.02)
    monkeypatch.setattr(policy, "YIELD_S", 0.1)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """For workers that are to be replaced while they stand still; others lose one only to a stop of the machine."""
    monkeypatch.setattr("apps.matching.lease.LEASE_TTL_MS", 300)
    monkeypatch.setattr("apps.matching.lease.LEASE_RENEWAL_S", 0.05)
    monkeypatch.setattr("apps.matching.lease.LEASE_STOP_S", 0.25)


@pytest.fixture(params=[SAMPLE, pytest.param(CALLS, marks=pytest.mark.long)])
def sample(request: pytest.FixtureRequest) -> list[int]:
    """The calls to fail at, ascending."""
    seed = int(os.environ.get("NEMESIS_SEED") or random.randrange(10**6))
    print(f"NEMESIS_SEED={seed}")
    return sorted(random.Random(seed).sample(range(1, CALLS + 1), request.param))


class Shard:
    """A log with waiting orders, one of them poison, and the workers on it."""

    def __init__(self, directory: Path) -> None:
        self.bus = MemoryBus("spot")
        self.authority = FakeAuthority()
        self.directory = directory
        self.running: list[RunningWorker] = []
        self.faults: list[Fault] = []
        self.sent = 0
        self.bus.append_commands(b"".join(opening()))
        self.send(6)
        self.bus.append_commands(order(666))

    def send(self, count: int) -> None:
        for _ in range(count):
            self.bus.append_commands(order(1_000 + self.sent) + order(2_000 + self.sent))
            self.sent += 1

    def start(self, name: str, fault: Fault | None = None) -> RunningWorker:
        bus = self.bus
        if fault is not None:
            bus = FailingBus(self.bus, fault)
            self.faults.append(fault)
        worker = RunningWorker(Worker(bus, self.authority, Poisonable, self.directory, name=name))
        self.running.append(worker)
        return worker

    def stop(self) -> None:
        for worker in self.running:
            worker.stop()

    def wait_for_call(self, fault: Fault) -> None:
        """Until the fault has happened; on a slow machine its worker may lose its lease, and end, before."""
        faulty = self.running[0]
        until(
            lambda: fault.happened or not faulty.thread.is_alive(),
            what=lambda: f"call {fault.at}, it made {fault.calls}; {self.doing()}",
        )

    def doing(self) -> str:
        return "; ".join(f"{running.worker.status.details()}, failure {running.failure}" for running in self.running)

    def answered(self) -> bool:
        last = [entry.id for entry in self.bus.read_commands(START, count=100_000) if creates_orders(entry.frames)][-1]
        return self.bus.head().cmd >= last

    def supervise(self) -> None:
        """On a slow machine two workers can end by replacing each other; a supervisor starts another one then."""
        if not any(running.thread.is_alive() for running in self.running):
            self.start("supervised")

    def check(self) -> None:
        """Everything was answered once, and a replay of the whole log gives the same bytes."""
        until(lambda: self.answered() or self.supervise(), what=lambda: f"an answer to the last order; {self.doing()}")
        events = decode_events(all_events(self.bus))
        accepted = [event.client_id for event in events if event.KIND is EventKind.ORDER_ACCEPTED]
        expected = [f"c{base + n}" for n in range(self.sent) for base in (1_000, 2_000)]
        assert accepted == expected
        assert sum(event.KIND is EventKind.INTERNAL_REJECT for event in events) == 1
        assert len(self.bus.read_skips()) == 1
        epochs = [entry.epoch for entry in self.bus.read_events(0, count=100_000)]
        assert epochs == sorted(epochs)
        entries = [e for e in self.bus.read_commands(START, count=100_000) if e.id <= self.bus.head().cmd]
        assert apply_entries(Engine(), entries, Skips.parse(self.bus.read_skips())) == all_events(self.bus)


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Callable[[], Shard]]:
    made: list[Shard] = []

    def make() -> Shard:
        made.append(Shard(tmp_path / str(len(made))))
        return made[-1]

    yield make
    for shard in made:
        for fault in shard.faults:
            fault.going_on.set()
        shard.stop()


@pytest.mark.parametrize("kind", ["before", "after"])
def test_a_lone_worker_gets_over_a_lost_connection_anywhere(
    shards: Callable[[], Shard], sample: list[int], kind: str
) -> None:
    for at in sample:
        shard, fault = shards(), Fault(kind, at)
        worker = shard.start("a", fault)
        shard.wait_for_call(fault)
        shard.send(3)
        worker.wait_for(Phase.ACTIVE)
        shard.check()
        worker.stop()
        assert worker.failure is None, (at, fault.where)
        shard.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whoever_is_killed_anywhere_the_next_one_goes_on(shards: Callable[[], Shard], sample: list[int]) -> None:
    for at in sample:
        shard, fault = shards(), Fault("kill", at)
        killed = shard.start("a", fault)
        shard.wait_for_call(fault)
        killed.thread.join(60)
        assert isinstance(killed.failure, Killed), (at, fault.where, killed.failure)
        shard.send(3)
        again = shard.start("a")
        again.wait_for(Phase.ACTIVE)
        shard.check()
        again.stop()
        shard.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kind", ["before", "after", "kill"])
def test_beside_a_standby_a_fault_of_either_costs_nothing(
    shards: Callable[[], Shard], sample: list[int], kind: str
) -> None:
    """The worker with the fault is first the active one, then the one that follows and takes over."""
    for at in sample:
        shard, fault = shards(), Fault(kind, at)
        shard.start("a", fault)
        sound = shard.start("b")
        shard.wait_for_call(fault)
        shard.send(3)
        shard.check()
        sound.worker.stop()
        third = shard.start("c")
        shard.send(2)
        shard.check()
        sound.stop()
        shard.send(2)
        shard.check()
        third.stop()
        assert all(isinstance(worker.failure, ENDS) for worker in shard.running), [w.failure for w in shard.running]


@pytest.mark.usefixtures("short_lease")
def test_whoever_stands_still_anywhere_and_is_replaced_never_halts(
    shards: Callable[[], Shard], sample: list[int]
) -> None:
    """What it has read and what it reads then were written by two workers."""
    for at in sample:
        shard, fault = shards(), Fault("pause", at)
        paused = shard.start("a", fault)
        shard.wait_for_call(fault)
        shard.start("b")
        shard.send(3)
        shard.check()
        fault.going_on.set()
        until(
            lambda w=paused: not w.thread.is_alive() or w.worker.status.phase in REPLACED,  # type: ignore[misc]
            what=lambda at=at, f=fault, s=shard: f"the end of the one paused at {at}, {f.where}; {s.doing()}",  # type: ignore[misc]
        )
        assert isinstance(paused.failure, ENDS), (at, fault.where, paused.failure)
        shard.send(2)
        shard.start("c")  # where the paused one went on to raise the epoch, the other has ended, too
        shard.check()
