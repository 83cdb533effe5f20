"""The worker's round: takeover, batches, one fenced append, hand-over (architecture.md section 3)."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from apps.matching import metrics, policy, snapshots
from apps.matching.authority import Settled
from apps.matching.engine import Engine
from apps.matching.engine.market import Market
from apps.matching.errors import LeaseLost, TakeoverLost
from apps.matching.lease import LeaseKeeper
from apps.matching.stamping import stamp_entry
from apps.matching.status import Phase
from apps.matching.takeover import TAKEOVER_TICK
from apps.matching.worker import Worker
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId
from apps.streams.bus.errors import BusAway, Fenced
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import decode_events, encode_command
from apps.streams.commands import Credit, Tick
from apps.streams.kinds import EventKind, TickFlag
from apps.streams.names import ShardKeys
from apps.streams.records import FRAME_SIZE
from tests.matching.conftest import FakeAuthority, RunningWorker
from tests.matching.log import all_events, append_all, until_done
from tests.matching.traffic import opening, order, trading
from tests.matching.waiting import until, usurp_lease

Start = Callable[..., RunningWorker]


def test_every_command_is_answered_once_and_in_order(bus: Bus, start: Start) -> None:
    runs = [*opening(), *trading(600, seed=1)]
    worker = start()
    append_all(bus, runs, per_entry=7)
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    worker.stop()
    events = decode_events(all_events(bus))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ids = [(event.cmd_ms, event.cmd_n, event.cmd_index) for event in events]
    assert ids == sorted(ids)
    accepted = [event for event in events if event.KIND is EventKind.ORDER_ACCEPTED]
    assert len(accepted) == len({event.client_id for event in accepted}) > 300
    assert any(event.KIND is EventKind.TRADE for event in events)


def test_a_batch_is_one_entry_and_never_cuts_a_command_entry(bus: Bus, start: Start) -> None:
    last = append_all(bus, [*opening(), *(order(n) for n in range(50))], per_entry=10)
    start().wait_for(Phase.ACTIVE)
    until_done(bus)
    first = bus.read_events(0, count=10)[0]
    assert first.last_cmd >= last, "what had arrived together is published together"


def test_the_backlog_counts_frames_also_of_batches_without_events(bus: Bus, start: Start) -> None:
    runs = list(opening())
    append_all(bus, runs)
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    head = bus.head()
    bus.append_commands(encode_command(Tick()))
    until(lambda: worker.worker.status.position.last_cmd > head.cmd)
    until_done(bus)
    assert bus.head() == head
    worker.stop()
    assert bus.frame_count().appended >= sum(map(len, runs)) // FRAME_SIZE + 1


def test_time_passes_ten_times_a_second_without_commands(bus: Bus, start: Start) -> None:
    start().wait_for(Phase.ACTIVE)

    def ticks_of_the_rhythm() -> bool:
        """Five in a row, which a machine that holds a thread up now and then gives sooner or later."""
        times = [entry.id.ms for entry in bus.read_commands(START, count=10_000)[1:]]
        return any(90 <= (last - first) / 4 <= 400 for first, last in zip(times, times[4:], strict=False))

    until(ticks_of_the_rhythm, what="a rhythm of ten a second")
    entries = bus.read_commands(START, count=10_000)
    # The first one is the takeover's; the rhythm begins with the second.
    assert entries[0].frames == TAKEOVER_TICK
    assert all(entry.frames == encode_command(Tick()) for entry in entries[1:])


def test_a_clean_stop_leaves_a_snapshot_at_the_head_and_no_lease(bus: Bus, start: Start, directory: Path) -> None:
    append_all(bus, [*opening(), *trading(50, seed=2)])
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    worker.stop()
    assert worker.failure is None
    assert bus.lease_holder() is None
    snapshot = snapshots.newest(directory)
    assert snapshot is not None
    assert (snapshot.seq, snapshot.chain) == (bus.head().seq, bus.head().chain)
    assert snapshot.last_cmd == worker.worker.status.position.last_cmd >= bus.head().cmd
    assert Engine.restore(snapshot.body).seq == bus.head().seq


def test_the_next_worker_goes_on_where_the_last_one_stopped(bus: Bus, start: Start, directory: Path) -> None:
    runs = list(trading(400, seed=3))
    append_all(bus, [*opening(), *runs[:200]])
    first = start()
    first.wait_for(Phase.ACTIVE)
    until_done(bus)
    first.stop()
    append_all(bus, runs[200:])
    second = start()
    second.wait_for(Phase.ACTIVE)
    until_done(bus)
    second.stop()
    assert second.worker.status.position.seq == bus.head().seq
    assert {entry.epoch for entry in bus.read_events(0, count=10_000)} == {1, 2}

    snapshot = snapshots.newest(directory)
    assert snapshot is not None
    done = [entry for entry in bus.read_commands(START, count=10_000) if entry.id <= snapshot.last_cmd]
    alone = Engine()
    assert b"".join(alone.process(stamp_entry(entry)) for entry in done) == all_events(bus)
    assert Engine.restore(snapshot.body).state_hash() == alone.state_hash()


def test_takeover_asks_postgres_first_and_fences_the_older_epochs(
    bus: Bus, start: Start, authority: FakeAuthority
) -> None:
    authority.epoch = 4
    bus.raise_epoch(9)
    append_all(bus, list(opening()))
    start().wait_for(Phase.ACTIVE)
    until_done(bus)
    assert authority.epoch == bus.epoch() == 10
    assert {entry.epoch for entry in bus.read_events(0, count=10)} == {10}


def test_an_epoch_that_redis_already_passed_is_not_used(bus: Bus, start: Start) -> None:
    class LateAuthority(FakeAuthority):
        def raise_epoch(self, *, above: int, holder: str) -> int:
            epoch = super().raise_epoch(above=above, holder=holder)
            bus.raise_epoch(epoch + 1)  # another worker, between PostgreSQL and redis-core
            return epoch

    worker = start(authority=LateAuthority())
    worker.thread.join(60)
    assert isinstance(worker.failure, TakeoverLost)
    assert bus.lease_holder() is None


def test_a_worker_of_an_old_epoch_is_refused_and_ends(bus: Bus, start: Start) -> None:
    append_all(bus, list(opening()))
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    head = bus.head()
    bus.raise_epoch(bus.epoch() + 1)
    append_all(bus, [order(1)])
    worker.thread.join(60)
    assert isinstance(worker.failure, Fenced)
    assert bus.head() == head


@pytest.mark.usefixtures("usual_lease")
def test_a_worker_whose_lease_is_anothers_ends_without_writing(bus: Bus, start: Start) -> None:
    append_all(bus, list(opening()))
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    usurp_lease(bus, worker.worker.status.holder, by="usurper")
    worker.thread.join(60)
    assert isinstance(worker.failure, LeaseLost)
    assert bus.lease_holder() == "usurper"


@pytest.mark.usefixtures("usual_lease")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_whose_lease_thread_fails_ends_instead_of_standing_still(
    bus: Bus, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("planted")

    worker = start()
    worker.wait_for(Phase.ACTIVE)
    monkeypatch.setattr(LeaseKeeper, "_renew", fail)
    worker.thread.join(60)
    assert isinstance(worker.failure, LeaseLost)


def test_a_second_worker_waits_for_the_lease_and_stops_when_told(bus: Bus, start: Start) -> None:
    first = start()
    first.wait_for(Phase.ACTIVE)
    second = start()
    second.wait_for(Phase.FOLLOWING)
    third = start()
    third.wait_for(Phase.FOLLOWING)
    third.stop()
    assert third.failure is None
    first.stop()
    second.wait_for(Phase.ACTIVE)


def test_trading_starts_only_with_postgres_and_goes_on_without_it(
    bus: Bus, start: Start, authority: FakeAuthority
) -> None:
    authority.away = True
    append_all(bus, list(opening()))
    worker = start()
    worker.wait_for(Phase.WAITING_FOR_POSTGRES)
    assert bus.lease_holder() is None, "the gateway must see that nobody trades"
    assert bus.head().seq == 0
    authority.away = False
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    authority.away = True
    head = bus.head().seq
    append_all(bus, [order(1)])
    until(lambda: bus.head().seq > head)
    assert worker.worker.status.phase is Phase.ACTIVE


def test_a_tick_with_the_flag_brings_a_snapshot_of_its_batch(bus: Bus, start: Start, directory: Path) -> None:
    append_all(bus, [*opening(), *trading(100, seed=4)], per_entry=5)
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    asked = bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
    until(lambda: bool(snapshots.kept(directory)), what="a snapshot")
    snapshot = snapshots.newest(directory)
    assert snapshot is not None
    assert snapshot.last_cmd >= asked
    assert bus.chain_at(snapshot.seq) == snapshot.chain
    assert worker.worker.status.phase is Phase.ACTIVE


def test_old_snapshots_go_and_the_log_is_trimmed_at_the_oldest_kept(
    bus: Bus, start: Start, authority: FakeAuthority, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.matching.trimming.EVENTS_KEPT", 0)
    for reader in ("settlement", "archive-events"):
        bus.set_cursor(reader, stream="events", position=str(10**12), now_ms=0)
    bus.set_cursor("archive-commands", stream="commands", position=str(10**15), now_ms=0)
    append_all(bus, [*opening(), *trading(30, seed=5)])
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    seen: set[Path] = set()
    for number in range(5):
        append_all(bus, [order(1_000 + number)])
        asked = bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
        until(lambda asked=asked: any(snapshots.position_in_name(p)[1] >= asked for p in snapshots.kept(directory)))
        seen.update(snapshots.kept(directory))
    until(lambda: bus.trimmed().cmd > START)
    until(lambda: bus.trimmed().cmd == snapshots.position_in_name(snapshots.kept(directory)[-1])[1])
    worker.stop()
    kept = snapshots.kept(directory)
    assert len(kept) == 3
    oldest_seq, oldest_cmd = snapshots.position_in_name(kept[-1])
    trimmed = bus.trimmed()
    assert trimmed.cmd == oldest_cmd
    assert trimmed.seq == oldest_seq - 1
    assert bus.read_commands(START, count=1)[0].id > oldest_cmd
    authority.record = Settled(bus.head().seq, bus.head().chain)
    start().wait_for(Phase.ACTIVE)


def test_settled_record_is_checked_at_takeover(bus: Bus, start: Start, authority: FakeAuthority) -> None:
    authority.record = Settled(7, "00")
    worker = start()
    worker.wait_for(Phase.HALTED)
    assert worker.worker.status.halt_reason == "log-behind-postgres"
    assert bus.lease_holder() is None
    assert bus.head().seq == 0


# -- what halts a running worker --------------------------------------------------------------------------------------
def test_a_broken_entry_halts_after_what_stood_before_it(
    core: redis.Redis, redis_core_url: str, authority: FakeAuthority, directory: Path
) -> None:
    bus = RedisBus(redis_core_url, "spot")
    append_all(bus, list(opening()))
    good = bus.append_commands(order(1))
    core.xadd(ShardKeys("spot").commands, {"d": order(2) + bytes([1, 99]) + order(3)[2:]})
    core.incrby(ShardKeys("spot").frames_in, 2)
    after = bus.append_commands(order(4))
    worker = RunningWorker(Worker(bus.another(), authority, Engine, directory))
    worker.wait_for(Phase.HALTED)
    assert worker.worker.status.halt_reason == "bad-command"
    assert bus.head().cmd == good
    assert bus.lease_holder() is None
    assert snapshots.kept(directory) == []
    assert bus.last_command() >= after
    worker.stop()
    assert worker.failure is None
    bus.close()


def test_a_missing_relay_number_halts_and_publishes_nothing_of_the_batch(
    bus: Bus, start: Start, directory: Path
) -> None:
    append_all(bus, list(opening()))
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    head = bus.head()
    missing = Credit(relay_seq=1_000, source=1, asset_id=1, amount_units=5, account_id=1001)
    bus.append_commands(order(1) + encode_command(missing))
    worker.wait_for(Phase.HALTED)
    assert worker.worker.status.halt_reason == "relay-gap"
    assert "docs/runbooks/relay-gap.md" in worker.worker.status.explanation
    assert bus.head() == head
    assert snapshots.kept(directory) == []
    assert bus.lease_holder() is None


# -- upgrade ----------------------------------------------------------------------------------------------------------
class NextEngine(Engine):
    """The next release, with other rules."""

    RULES_VERSION = Engine.RULES_VERSION + 1


def test_an_upgrade_starts_at_the_head_and_never_replays_old_work(bus: Bus, start: Start, directory: Path) -> None:
    append_all(bus, [*opening(), *trading(50, seed=30)])
    old = start()
    old.wait_for(Phase.ACTIVE)
    until_done(bus)
    old.stop()
    new = start(core_class=NextEngine)
    new.wait_for(Phase.ACTIVE)
    first = snapshots.newest(directory)
    assert first is not None
    assert (first.rules_version, first.seq) == (NextEngine.RULES_VERSION, bus.head().seq)
    append_all(bus, [order(500)])
    until_done(bus)
    assert [entry.rules_version for entry in bus.read_events(first.seq, count=10)] == [NextEngine.RULES_VERSION]
    new.stop()
    back = start()
    back.wait_for(Phase.HALTED)
    assert back.worker.status.halt_reason == "rules-version"


# -- what goes wrong beside trading -----------------------------------------------------------------------------------
def test_trading_goes_on_when_the_system_gives_no_further_process(
    bus: Bus, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError("planted")

    failures = metrics.SNAPSHOT_FAILURES._value.get()
    monkeypatch.setattr(os, "fork", refuse)
    append_all(bus, list(opening()))
    worker = start()
    worker.wait_for(Phase.ACTIVE)
    bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
    until(lambda: metrics.SNAPSHOT_FAILURES._value.get() > failures)
    append_all(bus, [order(1)])
    until_done(bus)
    assert worker.worker.status.phase is Phase.ACTIVE
    worker.stop()
    assert worker.failure is None
    assert snapshots.newest(directory) is not None, "the one at the hand-over needs no further process"


class Flickering(MemoryBus):
    """A log that is away once, at the next read of commands after `away` was set."""

    away = False

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        if self.away:
            self.away = False
            raise BusAway("planted")
        return super().read_commands(after, count=count, block_ms=block_ms)


def test_a_lost_connection_leaves_no_engine_behind(
    start_on: Start, authority: FakeAuthority, whole_collections: None
) -> None:
    bus = Flickering("spot")
    append_all(bus, [*opening(), *(order(n) for n in range(50))])
    worker = start_on(bus=bus)
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    gc.unfreeze()
    gc.collect()
    # Not isinstance: it asks proxies of what is gone, which other tests leave.
    engines = sum(type(found) is Market for found in gc.get_objects())
    gc.freeze()
    for epoch in (2, 3):
        bus.away = True
        until(lambda epoch=epoch: authority.epoch == epoch)  # type: ignore[misc]
        worker.wait_for(Phase.ACTIVE)
    gc.unfreeze()
    assert sum(type(found) is Market for found in gc.get_objects()) <= engines


# -- the figures ------------------------------------------------------------------------------------------------------
def test_metrics_and_collector_are_set(bus: Bus, start: Start, whole_collections: None) -> None:
    before = metrics.EVENTS._value.get()
    append_all(bus, list(opening()))
    start().wait_for(Phase.ACTIVE)
    until_done(bus)
    # The last event is published before it is counted, and SEQ may still be that of the test before.
    until(lambda: metrics.EVENTS._value.get() - before == bus.head().seq, what="the count of the events")
    until(lambda: metrics.SEQ._value.get() == bus.head().seq, what="the position")
    assert gc.get_threshold() == policy.GC_THRESHOLDS
    assert gc.get_freeze_count() > 0
