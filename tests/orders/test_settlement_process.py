"""Settlement as a process: exactly once under kill -9 and lost connections, and every reason to stop (T13)."""

import queue
import threading
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import psycopg
import pytest
import redis
from django.conf import settings

from apps.matching.models import Watermark
from apps.orders.errors import SettlementStopped
from apps.streams.bus.base import Bus, Trimmed
from apps.streams.bus.errors import BusAway
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from tests.orders.live import SHARD, LiveShard, Traffic, until
from tests.orders.processes import apply_roles, running
from tests.orders.settling import Running, assert_record_equals_replay, recorded_log, settled_seq

pytestmark = pytest.mark.django_db(transaction=True)

CUTS_MIN = 3


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.long)])
def test_killed_again_and_again_it_settles_every_event_once(
    core: redis.Redis, redis_core_url: str, tmp_path: Path, kills: int
) -> None:
    bus = RedisBus(redis_core_url, SHARD)
    # Between two kills it settles six entries of the log, of twenty commands each, at most (slow_settlement.py).
    recorded_log(bus, tmp_path, commands=125 * kills)
    apply_roles()
    log, random, reached = tmp_path / "settlement.log", Random(5), []
    for _ in range(kills):
        with running(["-m", "tests.orders.slow_settlement"], "settlement", redis_core_url, log):
            before = settled_seq()
            until(lambda before=before: settled_seq() > before, "settlement moves")  # type: ignore[misc]
            time.sleep(random.random() * 0.06)
        reached.append(settled_seq())
    head = bus.head().seq
    print(f"settled after each kill: {reached} of {head}")
    assert reached[-1] < head, "all was settled before the last kill: make the log longer"
    with running(["manage.py", "run_settlement"], "settlement", redis_core_url, log):
        until(lambda: settled_seq() == head, "everything settled")
        until(lambda: bus.settled() == head, "announced")
        assert bus.cursors()["settlement"].stream == "events"
    assert_record_equals_replay(bus)
    bus.close()


@pytest.fixture
def log_bus(tmp_path: Path) -> MemoryBus:
    bus = MemoryBus(SHARD)
    recorded_log(bus, tmp_path, commands=600)
    return bus


def test_connections_cut_at_any_moment(log_bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends are ended while they work, some while they commit: the reply is lost, the watermark knows."""
    monkeypatch.setattr("apps.orders.settlement.process.EVENTS_PER_BATCH", 30)
    monkeypatch.setattr("apps.orders.settlement.process.BACK_OFF_FIRST_S", 0.001)
    cuts = 0
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as other, Running(log_bus) as settling:
        while settled_seq() < log_bus.head().seq:
            assert settling.error is None
            # The first ones at once: a fast settlement is met but a few times before it is done.
            chance = 1.0 if cuts < CUTS_MIN else 0.3
            cuts += len(
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
                    " AND query LIKE ANY (%s) AND random() < %s",
                    [["COPY %", "COMMIT%", "UPDATE %", "%INSERT%"], chance],
                ).fetchall()
            )
            # Else this loop has the interpreter most of the time, and settlement waits for its turn.
            time.sleep(0.005)
    print(f"{cuts} connections cut")
    assert cuts >= CUTS_MIN
    assert settling.error is None
    assert_record_equals_replay(log_bus)


def test_a_silent_redis_core_is_waited_for(log_bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.orders.settlement.process.BACK_OFF_FIRST_S", 0.001)
    real, failures = log_bus.read_events, iter([True] * 5)

    def read_events(*args: object, **kwargs: object) -> object:
        if next(failures, False):
            raise BusAway("gone")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(log_bus, "read_events", read_events)
    with Running(log_bus) as settling:
        until(lambda: settled_seq() == log_bus.head().seq, "everything settled")
    assert settling.error is None
    assert next(failures, None) is None


class RestingBus(MemoryBus):
    """Of which a rest ends when the test says that somebody waits."""

    def __init__(self) -> None:
        super().__init__(SHARD)
        self.rests = queue.SimpleQueue[float]()
        self.wanted = threading.Semaphore(0)

    def wait_until_wanted(self, timeout_s: float) -> bool:
        if not timeout_s:
            return False
        self.rests.put(timeout_s)
        return self.wanted.acquire(timeout=timeout_s)


def test_between_two_batches_it_rests_unless_somebody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.orders.settlement.process.BATCH_EVERY_S", 600.0)
    monkeypatch.setattr("apps.orders.settlement.process.EVENTS_PER_BATCH", 50)
    bus = RestingBus()
    recorded_log(bus, tmp_path, commands=100)
    first_read = bus.read_events(0, count=2)
    real, reads = bus.read_events, iter([first_read])
    monkeypatch.setattr(bus, "read_events", lambda *args, **kwargs: next(reads, None) or real(*args, **kwargs))
    with Running(bus) as settling:
        assert 300 < bus.rests.get(timeout=60) <= 600
        assert settled_seq() == first_read[-1].last_seq
        bus.wanted.release()
        until(lambda: settled_seq() == bus.head().seq, "everything settled")
        bus.wanted.release(100)
    assert settling.error is None


def stops(bus: Bus, message: str) -> None:
    """The process ends by itself, says why, and the watermark is where it was."""
    before = settled_seq()
    with Running(bus) as settling:
        until(lambda: settling.error is not None, "it stops")
    assert isinstance(settling.error, SettlementStopped)
    assert message in str(settling.error)
    assert settled_seq() == before


def settle_all(bus: Bus) -> None:
    with Running(bus) as settling:
        until(lambda: settled_seq() == bus.head().seq or settling.error is not None, "everything settled")
    assert settling.error is None


def test_a_log_that_ends_before_the_record(log_bus: MemoryBus) -> None:
    settle_all(log_bus)
    log_bus._log.head = replace(log_bus._log.head, seq=5)
    stops(log_bus, "redis-core lost events")


def test_a_log_trimmed_beyond_the_record(log_bus: MemoryBus) -> None:
    log_bus._log.trimmed = Trimmed(log_bus._log.trimmed.cmd, 40)
    stops(log_bus, "the log was trimmed up to 40")


def test_another_history(log_bus: MemoryBus) -> None:
    settle_all(log_bus)
    log_bus._log.head = replace(log_bus._log.head, chain="0" * 64)
    stops(log_bus, "different histories")


def test_a_broken_invariant(log_bus: MemoryBus) -> None:
    settle_all(log_bus)
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as owner:
        owner.execute(
            "UPDATE ledger_balance SET available_units = available_units + 1, posted_units = posted_units + 1"
        )
    with LiveShard(log_bus, Path(settings.DATA_DIR) / "unused", settles=False) as live:
        live.bus.append_commands(Traffic(seed=12).frames(40))
        live.until_applied()
    stops(log_bus, "an invariant is broken")


def test_a_reason_to_stop_ends_the_process_with_1(core: redis.Redis, redis_core_url: str, tmp_path: Path) -> None:
    Watermark.objects.create(shard=SHARD, reader="settlement", seq=9, chain="0" * 64, epoch=1)
    apply_roles()
    log = tmp_path / "settlement.log"
    with running(["manage.py", "run_settlement"], "settlement", redis_core_url, log) as child:
        assert child.wait(timeout=60) == 1
    assert "settlement stopped; nothing was changed" in log.read_text()
    assert "redis-core lost events" in log.read_text()
