"""Takeovers that fail halfway, come late, or meet what a quiet or full exchange leaves behind (architecture.md 3)."""

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from apps.common.clock import now_ms
from apps.matching import policy, snapshots
from apps.matching.authority import Settled
from apps.matching.core import CoreClass
from apps.matching.engine import Engine
from apps.matching.engine.market import Market
from apps.matching.follower import CURSOR_PREFIX, Follower, cursor_name
from apps.matching.recovery import recover
from apps.matching.status import Phase
from apps.matching.worker import Worker
from apps.streams.bus.base import START, Bus, Head
from apps.streams.bus.errors import AppendUnknown, BusAway
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command
from apps.streams.commands import Credit, Tick
from apps.streams.kinds import TickFlag
from tests.matching.conftest import FakeAuthority, RunningWorker
from tests.matching.log import append_all, until_done
from tests.matching.test_poison import Poisonable, Shifting, rejected
from tests.matching.traffic import opening, order, trading
from tests.matching.waiting import until, usurp_lease
from tests.streams.redis_server import running_redis

Start = Callable[..., RunningWorker]


def record_keeps_up(bus: Bus) -> None:
    """Settlement and archive that are never behind, so that trimming waits for snapshots alone."""
    for reader in ("settlement", "archive-events"):
        bus.set_cursor(reader, stream="events", position=str(10**12), now_ms=0)
    bus.set_cursor("archive-commands", stream="commands", position=f"{10**14 - 1}-0", now_ms=0)


def ask_for_snapshot(bus: Bus, directory: Path) -> None:
    asked = bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
    until(
        lambda: any(snapshots.position_in_name(path)[1] >= asked for path in snapshots.kept(directory)),
        what="a snapshot",
    )


# -- takeovers that do not come to trade ------------------------------------------------------------------------------
class DiesOnce(MemoryBus):
    """The connection is lost once, right after the takeover's first step."""

    dying = False

    def head(self) -> Head:
        if self.dying and self.read_commands(START, count=100_000)[-1].frames.startswith(bytes([1, 1, 1])):
            self.dying = False
            raise BusAway("planted")
        return super().head()


class Unreleased(MemoryBus):
    """The connection is lost at a batch, and with it the answer to the release of the lease."""

    losing = False

    def append_events(self, **arguments: Any) -> None:
        if self.losing:
            raise AppendUnknown("planted")
        super().append_events(**arguments)

    def release_lease(self, holder: str) -> None:
        if self.losing:
            self.losing = False
            raise AppendUnknown("planted")
        super().release_lease(holder)


def test_a_worker_waits_for_no_lease_of_its_own(start_on: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.matching.lease.LEASE_TTL_MS", 600_000)
    bus = Unreleased("spot")
    worker = start_on(bus=bus)
    worker.wait_for(Phase.ACTIVE)
    bus.losing = True
    append_all(bus, list(opening()))
    until_done(bus)
    assert bus.epoch() == 2
    assert worker.worker.status.phase is Phase.ACTIVE


def test_a_takeover_that_failed_is_no_sign_of_life(start_on: Start, authority: FakeAuthority) -> None:
    """Else the second attempt executes what waited for an hour."""
    clock = Shifting()
    bus = DiesOnce("spot", clock_ms=clock)
    first = start_on(bus=bus)
    first.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    first.stop()
    waiting = bus.append_commands(order(1))
    clock.now_ms += 3_600_000
    bus.dying = True
    start_on(bus=bus).wait_for(Phase.ACTIVE)
    until_done(bus)
    assert authority.epoch == 3, "the second takeover failed, the third traded"
    assert bus.read_skips() == {f"{waiting}..{waiting}": "ENGINE_RESTARTED"}
    assert len(rejected(bus)) == 1


# -- halts are no crashes ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("names", [("test",), ("a", "b")])
def test_restarting_a_halted_worker_never_skips_the_command_it_halted_at(
    bus: Bus, start: Start, names: tuple[str, ...]
) -> None:
    append_all(bus, list(opening()))
    bus.append_commands(encode_command(Credit(relay_seq=1_000, source=1, asset_id=1, amount_units=5, account_id=1001)))
    for _ in range(policy.CRASHES_HALT + 1):
        halted = []
        for name in names:
            worker = start(name=name)
            worker.wait_for(Phase.HALTED)
            assert worker.worker.status.halt_reason == "relay-gap"
            halted.append(worker)
        for worker in halted:
            worker.stop()
    assert bus.read_skips() == {}


# -- long reigns ------------------------------------------------------------------------------------------------------
def test_poison_after_a_long_reign_needs_neither_postgres_nor_what_was_trimmed_meanwhile(
    bus: Bus, start: Start, authority: FakeAuthority, directory: Path
) -> None:
    append_all(bus, [*opening(), order(1)])
    first = start(core_class=Poisonable)
    first.wait_for(Phase.ACTIVE)
    until_done(bus)
    first.stop()
    authority.record = Settled(bus.head().seq, bus.head().chain)
    worker = start(core_class=Poisonable)
    worker.wait_for(Phase.ACTIVE)
    for _ in range(3):  # entries of their own
        append_all(bus, list(trading(20, seed=21)))
        until_done(bus)
    ask_for_snapshot(bus, directory)
    bus.trim(epoch=2, commands_to=START, events_to=bus.head().seq - 1)
    authority.away = True
    append_all(bus, [order(666), order(1_000)])
    until(lambda: len(bus.read_skips()) == 1, what="the skip")
    until_done(bus)
    assert worker.worker.status.phase is Phase.ACTIVE, worker.worker.status.details()
    assert bus.epoch() == 2


def test_a_standby_takes_over_after_a_quiet_time(
    bus: Bus, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No events: the followed state stands at the last one while snapshots and trimming go on with time."""
    record_keeps_up(bus)
    first = start(name="first")
    first.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    second = start(name="second")
    second.wait_for(Phase.FOLLOWING)
    until(lambda: any(reader.startswith(CURSOR_PREFIX) for reader in bus.cursors()))
    monkeypatch.setattr(policy, "SNAPSHOT_EVERY_S", 0.2)
    until(lambda: bus.trimmed().cmd > bus.head().cmd, what="trimming beyond the last command with events")
    usurp_lease(bus, first.worker.status.holder, by="somebody", or_has=second.worker.status.holder)
    # A lease that runs out while the first one still tries to renew it may be the first one's again.
    first.thread.join(60)
    bus.release_lease("somebody")
    second.wait_for(Phase.ACTIVE)
    append_all(bus, [order(1)])
    until_done(bus)
    assert bus.read_events(bus.head().seq - 1, count=1)[0].epoch == 2


def test_a_standby_that_was_paused_too_long_loads_a_snapshot(bus: Bus, start: Start, directory: Path) -> None:
    """What it followed is true, but the log no longer leads on from there."""
    active = start()
    active.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    follower = Follower(bus.another(), directory, Engine, "standby")
    until(lambda: follower.step() and follower.position.seq == bus.head().seq)
    for _ in range(3):
        append_all(bus, list(trading(10, seed=23)))
        until_done(bus)
    ask_for_snapshot(bus, directory)
    newest = snapshots.position_in_name(snapshots.kept(directory)[0])
    bus.trim(epoch=1, commands_to=newest[1], events_to=newest[0] - 1)
    active.stop()
    bus.raise_epoch(2)
    record = Settled(bus.head().seq, bus.head().chain)
    recovered = recover(bus, directory, Engine, record, followed=follower.hand_out())
    assert recovered.snapshot is not None
    assert recovered.position.seq == bus.head().seq


def test_following_a_quiet_log_gives_the_active_workers_state(bus: Bus, start: Start, directory: Path) -> None:
    active = start()
    active.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(30, seed=24)])
    until_done(bus)
    follower = Follower(bus.another(), directory, Engine, "standby")
    until(lambda: follower.step() and follower.position.last_cmd > bus.head().cmd, what="commands without events")
    assert follower.position.seq == bus.head().seq
    active.stop()
    final = snapshots.newest(directory)
    assert final is not None
    until(lambda: follower.step() and follower.position == final.position, what="the state of the last snapshot")
    bus.raise_epoch(2)
    followed = follower.hand_out()
    assert followed is not None
    assert followed.core.snapshot() == final.body
    again = recover(bus, directory, Engine, Settled(0, ""), followed=followed)
    assert again.position == final.position


class Moving(MemoryBus):
    """Another worker publishes and writes its snapshot right after the first look at the head."""

    first_look = True

    def head(self) -> Head:
        if self.first_look:
            self.first_look = False
            return Head(0, "", START)
        return super().head()


def test_a_snapshot_newer_than_the_first_look_at_the_head_is_no_lost_log(start_on: Start, directory: Path) -> None:
    bus = Moving("spot")
    bus.first_look = False
    active = start_on(bus=bus)
    active.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    active.stop()
    bus.first_look = True
    follower = Follower(bus, directory, Engine, "standby")
    assert follower.step(), follower.trouble


def test_a_standby_that_has_just_died_costs_a_moment(bus: Bus, start: Start, directory: Path) -> None:
    """Its cursor still looks alive: the lease is given up for nobody, and the worker that goes leaves all it has."""
    append_all(bus, list(opening()))
    worker = start(core_class=Poisonable)
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    ghost = cursor_name(Engine.RULES_VERSION, "ghost")
    bus.set_cursor(ghost, stream="events", position=str(bus.head().seq), now_ms=now_ms() + 60_000)
    append_all(bus, [order(666), order(1)])
    until_done(bus)
    worker.wait_for(Phase.ACTIVE)
    assert len(rejected(bus)) == 1
    worker.stop()
    assert worker.failure is None
    assert bus.lease_holder() is None
    left = snapshots.newest(directory)
    assert left is not None
    assert left.seq == bus.head().seq


# -- a full server ----------------------------------------------------------------------------------------------------
def test_a_worker_takes_over_on_a_full_server(tmp_path: Path, authority: FakeAuthority, directory: Path) -> None:
    """Nobody else would make room."""
    with running_redis(tmp_path / "full", maxmemory="100mb") as server:
        bus = RedisBus(server.url, "spot")
        append_all(bus, [*opening(), order(1)])
        with server.client() as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] - 100_000)
        running = RunningWorker(Worker(bus.another(), authority, Engine, directory))
        try:
            running.wait_for(Phase.ACTIVE)
            until(lambda: bus.head().seq > 0)
            until_done(bus)
        finally:
            running.stop()
            bus.close()


# -- upgrade ----------------------------------------------------------------------------------------------------------
class NextEngine(Engine):
    """The next release, with other rules."""

    RULES_VERSION = Engine.RULES_VERSION + 1


def test_a_new_version_that_came_early_still_leaves_its_snapshot_before_its_first_event(
    bus: Bus, start: Start, directory: Path
) -> None:
    """While the log stands still at the old version's snapshot, a new one could follow it; it must not count as its."""
    append_all(bus, list(opening()))
    old = start(name="old")
    old.wait_for(Phase.ACTIVE)
    until_done(bus)
    old.stop()
    assert bus.take_lease("somebody", ttl_ms=600_000)
    new = start(name="new", core_class=NextEngine)
    until(lambda: new.worker.status.phase in (Phase.FOLLOWING, Phase.WAITING_FOR_LEASE))
    bus.release_lease("somebody")
    new.wait_for(Phase.ACTIVE)
    first = snapshots.newest(directory)
    assert first is not None
    assert (first.rules_version, first.seq) == (NextEngine.RULES_VERSION, bus.head().seq)


# -- a free lease, and a standby that is ready for it -----------------------------------------------------------------
class Loading(Engine):
    """Takes long to load, as a large snapshot does: until `loaded`."""

    began = threading.Event()
    loaded = threading.Event()

    def __init__(self) -> None:
        super().__init__()
        self.began.set()
        assert self.loaded.wait(30), "the standby did not take over"


class Hesitating(MemoryBus):
    """Its worker is slow to take the lease: somebody else is there in between."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus.shard)
        self._log = bus._log

    def take_lease(self, holder: str, *, ttl_ms: int) -> bool:
        assert Loading.began.wait(30), "the cold worker neither took the lease nor loaded"
        return super().take_lease(holder, ttl_ms=ttl_ms)


def leave_cursor(bus: Bus, name: str, rules_version: int) -> float:
    """What is seen of a standby that has died just now; when that was, monotonic."""
    died_s = time.monotonic()
    cursor = cursor_name(rules_version, name)
    bus.set_cursor(cursor, stream="events", position=str(bus.head().seq), now_ms=now_ms())
    return died_s


def test_a_cold_worker_leaves_a_free_lease_to_the_standby(
    start_on: Start, authority: FakeAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "STANDBY_SEEN_MAX_MS", 600_000)  # this one hesitates, and tells nothing meanwhile
    Loading.began.clear()
    Loading.loaded.clear()
    bus = MemoryBus("spot")
    append_all(bus, list(opening()))
    assert bus.take_lease("somebody", ttl_ms=600_000)
    standby = start_on(name="standby", bus=Hesitating(bus))
    standby.wait_for(Phase.FOLLOWING)
    until(lambda: bool(bus.cursors()), what="the standby's heartbeat")
    bus.release_lease("somebody")
    cold = start_on(name="cold", bus=bus, core_class=Loading)
    try:
        standby.wait_for(Phase.ACTIVE)
    finally:
        Loading.loaded.set()
    until_done(bus)
    cold.wait_for(Phase.FOLLOWING)
    assert authority.epoch == 1


def test_a_cold_worker_takes_the_lease_once_the_standby_must_be_dead(
    bus: Bus, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot follow itself: the log is at the other rules version's end."""
    monkeypatch.setattr(policy, "STANDBY_SEEN_MAX_MS", 500)
    append_all(bus, list(opening()))
    old = start(name="old")
    old.wait_for(Phase.ACTIVE)
    until_done(bus)
    old.stop()
    died_s = leave_cursor(bus, "dead", NextEngine.RULES_VERSION)
    cold = start(name="cold", core_class=NextEngine)
    cold.wait_for(Phase.ACTIVE)
    assert time.monotonic() - died_s >= 0.5


@pytest.mark.parametrize("core_class", [Engine, NextEngine], ids=["can-follow", "cannot-follow"])
def test_two_dead_workers_that_are_started_again_do_not_wait_for_each_other(
    bus: Bus, start: Start, monkeypatch: pytest.MonkeyPatch, core_class: CoreClass
) -> None:
    monkeypatch.setattr(policy, "STANDBY_SEEN_MAX_MS", 500)
    append_all(bus, list(opening()))
    before = start(name="before")
    before.wait_for(Phase.ACTIVE)
    until_done(bus)
    before.stop()
    for name in ("a", "b"):
        leave_cursor(bus, name, core_class.RULES_VERSION)
    workers = [start(name=name, core_class=core_class) for name in ("a", "b")]
    until(lambda: any(running.worker.status.phase is Phase.ACTIVE for running in workers), what="an active worker")
    append_all(bus, [order(1)])
    until_done(bus)


# -- memory -----------------------------------------------------------------------------------------------------------
class Forgetful(Engine):
    """Loses all events, after it has grown as old as a large one does while it is loaded."""

    def process(self, frames: bytes) -> bytes:
        super().process(frames)
        gc.collect(1)
        gc.collect(1)
        return b""


def test_a_standby_that_cannot_follow_leaves_no_engine_behind(
    bus: Bus, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch, whole_collections: None
) -> None:
    monkeypatch.setattr(policy, "FOLLOW_RETRY_S", 0.0)
    active = start(name="active")
    active.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(50, seed=22)])
    until_done(bus)
    follower = Follower(bus.another(), directory, Forgetful, "standby")
    # The active worker has frozen whatever was alive when it began, the following of this one brings that back.
    gc.unfreeze()
    gc.collect()
    gc.set_threshold(*policy.GC_THRESHOLDS)
    # Not isinstance: it asks proxies of what is gone, which other tests leave.
    markets = sum(type(found) is Market for found in gc.get_objects())
    for _ in range(4):
        assert not follower.step()
    assert sum(type(found) is Market for found in gc.get_objects()) <= markets + 1


def open_now() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def test_takeovers_leave_no_thread_and_no_descriptor_behind(
    core: redis.Redis, redis_core_url: str, authority: FakeAuthority, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "BACK_OFF_FIRST_S", 0.01)
    monkeypatch.setattr(policy, "BACK_OFF_LAST_S", 0.02)
    bus = RedisBus(redis_core_url, "spot")
    append_all(bus, list(opening()))
    bus.close()
    own = core.client_id()
    worker = RunningWorker(Worker(RedisBus(redis_core_url, "spot"), authority, Engine, directory))
    try:
        most_files, most_threads = 0, 0
        for epoch in range(1, 13):
            until(lambda epoch=epoch: authority.epoch >= epoch)  # type: ignore[misc]
            worker.wait_for(Phase.ACTIVE)
            if epoch <= 3:
                files, threads = open_now()
                most_files, most_threads = max(most_files, files), max(most_threads, threads)
            for client in core.client_list():
                if int(client["id"]) != own:
                    core.client_kill_filter(_id=client["id"])
        worker.wait_for(Phase.ACTIVE)
        # Not at any one moment: a worker that looks into its directory has one descriptor more.
        until(
            lambda: all(now <= most for now, most in zip(open_now(), (most_files, most_threads), strict=True)),
            what=lambda: f"at most {(most_files, most_threads)} are open, not {open_now()}",
        )
    finally:
        worker.stop()
    assert worker.failure is None


# -- the end ----------------------------------------------------------------------------------------------------------
def test_a_standby_that_was_told_to_stop_takes_nothing_over(bus: Bus, start: Start, authority: FakeAuthority) -> None:
    first = start(name="first")
    first.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    second = start(name="second")
    second.wait_for(Phase.FOLLOWING)
    until(lambda: any(reader.startswith(CURSOR_PREFIX) for reader in bus.cursors()))
    second.worker.stop()
    first.stop()
    second.stop()
    assert authority.epoch == 1
