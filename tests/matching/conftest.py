"""A worker in a thread on a bus in memory or on a real redis-core, with an authority that needs no PostgreSQL."""

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from django.conf import settings

from apps.matching import policy
from apps.matching.authority import AuthorityAway, Settled
from apps.matching.engine import Engine
from apps.matching.status import Phase
from apps.matching.worker import Worker
from apps.streams.bus.base import Bus
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from tests.matching.waiting import until

NOTHING_SETTLED = Settled(0, "")


@dataclass
class FakeAuthority:
    """PostgreSQL's answers, set by the test."""

    epoch: int = 0
    record: Settled = NOTHING_SETTLED
    away: bool = False
    asked: list[str] = field(default_factory=list)

    def settled(self) -> Settled:
        self._answer("settled")
        return self.record

    def raise_epoch(self, *, above: int, holder: str) -> int:
        self._answer("raise_epoch")
        self.epoch = max(self.epoch, above) + 1
        return self.epoch

    def _answer(self, question: str) -> None:
        self.asked.append(question)
        if self.away:
            raise AuthorityAway("connection refused")


class RunningWorker:
    """A worker in a thread. `failure` is what run() raised."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:  # noqa: BLE001  the test judges it
            self.failure = error

    def wait_for(self, phase: Phase) -> None:
        until(lambda: self.worker.status.phase is phase or not self.thread.is_alive())
        assert self.worker.status.phase is phase, (self.worker.status.details(), self.failure)

    def stop(self) -> None:
        self.worker.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    """A worker settles the process's garbage collection; the test process gets its own back."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture
def whole_collections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers collect garbage as in production: for a test of what they leave (tests/collecting.py)."""
    monkeypatch.setattr("apps.matching.collector.gc", gc)
    yield
    # A worker thawed the tests themselves.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that wait while a test prepares the next worker are not stale, however long that takes; those that are
    to be stale wait on a clock of the test's own."""
    monkeypatch.setattr(policy, "QUEUE_MAX_MS", 600_000)


@pytest.fixture(autouse=True)
def patient_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that a busy machine holds up for seconds loses no lease; a test that needs a short one says so."""
    monkeypatch.setattr("apps.matching.lease.LEASE_TTL_MS", 20_000)
    monkeypatch.setattr("apps.matching.lease.LEASE_STOP_S", 19.0)


@pytest.fixture
def usual_lease(patient_lease: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For workers that are to lose their lease by themselves."""
    monkeypatch.setattr("apps.matching.lease.LEASE_TTL_MS", policy.LEASE_TTL_MS)
    monkeypatch.setattr("apps.matching.lease.LEASE_STOP_S", policy.LEASE_STOP_S)


@pytest.fixture(autouse=True)
def quick_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without work looks for the end of its test more often than a trading one looks for SIGTERM."""
    monkeypatch.setattr(policy, "READ_BLOCK_MS", 50)


@pytest.fixture
def authority() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "snapshots" / "spot"


@pytest.fixture(params=["memory", "redis"])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "memory":
        yield MemoryBus("spot")
    else:
        core: redis.Redis = request.getfixturevalue("core")
        core.ping()
        redis_bus = RedisBus(request.getfixturevalue("redis_core_url"), "spot")
        yield redis_bus
        redis_bus.close()


@pytest.fixture
def start_on(authority: FakeAuthority, directory: Path) -> Iterator[Callable[..., RunningWorker]]:
    """Starts a worker on the test's own `bus`; all that are still running are stopped at the end of the test."""
    started: list[RunningWorker] = []

    def start_worker(**changes: object) -> RunningWorker:
        arguments: dict[str, object] = {
            "authority": authority, "core_class": Engine, "directory": directory, "name": "test",
        }  # fmt: skip
        running = RunningWorker(Worker(**(arguments | changes)))  # type: ignore[arg-type]
        started.append(running)
        return running

    yield start_worker
    for running in started:
        running.stop()


@pytest.fixture
def start(bus: Bus, start_on: Callable[..., RunningWorker]) -> Callable[..., RunningWorker]:
    """Starts a worker, each on its own connection of `bus`."""

    def start_worker(**changes: object) -> RunningWorker:
        return start_on(**({"bus": bus.another()} | changes))

    return start_worker


@pytest.fixture
def matching_tables(transactional_db: None) -> str:
    """DSN of the migrated test database, for connections and processes of their own; emptied after the test."""
    return str(settings.DATABASE_DSN)
