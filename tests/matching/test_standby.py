"""The hot standby: it follows to the byte, writes the snapshots, and goes on within a moment (architecture.md 3)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from apps.matching import policy, snapshots
from apps.matching.authority import Settled
from apps.matching.engine import Engine
from apps.matching.errors import LogBehindSnapshot
from apps.matching.follower import CURSOR_PREFIX, Follower
from apps.matching.recovery import recover
from apps.matching.status import Phase
from apps.streams.bus.base import Bus, EventEntry
from apps.streams.bus.errors import BusAway, BusRefused
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import decode_events, encode_command
from apps.streams.commands import Tick
from apps.streams.kinds import EventKind
from tests.matching.conftest import FakeAuthority, RunningWorker
from tests.matching.log import all_events, append_all, until_done
from tests.matching.traffic import opening, order, trading
from tests.matching.waiting import until, usurp_lease

Start = Callable[..., RunningWorker]


def follow_to_head(follower: Follower, bus: Bus) -> None:
    until(lambda: follower.step() and follower.position.seq == bus.head().seq, what="the standby at the head")


def engine_behind(follower: Follower) -> Engine:
    found = follower.hand_out()
    assert found is not None
    assert isinstance(found.core, Engine)
    return found.core


def test_a_follower_has_the_state_of_the_log(bus: Bus, start: Start, directory: Path) -> None:
    active = start()
    active.wait_for(Phase.ACTIVE)
    follower = Follower(bus.another(), directory, Engine, "standby")
    append_all(bus, [*opening(), *trading(200, seed=11)], per_entry=5)
    follow_to_head(follower, bus)
    append_all(bus, list(trading(200, seed=12)), per_entry=3)
    until_done(bus)
    follow_to_head(follower, bus)
    active.stop()
    final = snapshots.newest(directory)
    assert final is not None
    if final.seq > follower.position.seq:
        follow_to_head(follower, bus)
    assert follower.position.chain == final.chain
    followed = engine_behind(follower)
    for entry in bus.read_commands(follower.position.last_cmd, count=1_000):
        if entry.id <= final.last_cmd:
            assert entry.frames == encode_command(Tick()), "only time may pass without an event"
    assert list(followed.open_orders()) == list(Engine.restore(final.body).open_orders())
    assert list(followed.balances()) == list(Engine.restore(final.body).balances())


def test_hand_over_goes_on_from_the_followed_state(bus: Bus, start: Start, directory: Path) -> None:
    first = start(name="first")
    first.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(100, seed=13)], per_entry=5)
    second = start(name="second")
    second.wait_for(Phase.FOLLOWING)
    until(lambda: any(reader.startswith(CURSOR_PREFIX) for reader in bus.cursors()), what="the standby's heartbeat")
    first.worker.stop()
    append_all(bus, list(trading(100, seed=14)))
    second.wait_for(Phase.ACTIVE)
    until_done(bus)
    first.stop()
    assert first.failure is None
    ids = [(event.cmd_ms, event.cmd_n, event.cmd_index) for event in decode_events(all_events(bus))]
    assert ids == sorted(ids)
    assert not any(reader.startswith(CURSOR_PREFIX) for reader in bus.cursors()), "an active worker follows nobody"
    written = snapshots.newest(directory)
    assert written is not None, "the one that left wrote its state, after it gave up the lease"
    assert bus.chain_at(written.seq) == written.chain


def test_a_dead_worker_is_followed_by_the_standby_without_loading_anything(
    bus: Bus, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(name="first")
    first.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(150, seed=15)], per_entry=5)
    until_done(bus)
    second = start(name="second")
    second.wait_for(Phase.FOLLOWING)
    until(lambda: second.worker.status.position.seq == bus.head().seq)
    monkeypatch.setattr(Engine, "restore", lambda body: pytest.fail("a snapshot was loaded"))
    # What a paused or dead worker looks like from outside: its lease has gone to somebody and then is free. The
    # standby may be the somebody.
    usurp_lease(bus, first.worker.status.holder, by="somebody", or_has=second.worker.status.holder)
    # A lease that runs out while the first one still tries to renew it may be the first one's again.
    first.thread.join(60)
    assert first.failure is not None, "fenced, or told that the lease is another's"
    bus.release_lease("somebody")
    second.wait_for(Phase.ACTIVE)
    append_all(bus, [order(900)])
    until_done(bus)
    assert bus.epoch() == 2
    last = bus.read_events(0, count=10_000)[-1]
    assert last.epoch == 2


def test_the_standby_writes_the_snapshots_and_the_active_worker_trims_by_them(
    bus: Bus, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(name="first")
    first.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    second = start(name="second")
    second.wait_for(Phase.FOLLOWING)
    until(lambda: any(reader.startswith(CURSOR_PREFIX) for reader in bus.cursors()))
    monkeypatch.setattr(policy, "SNAPSHOT_EVERY_EVENTS", 60)
    monkeypatch.setattr(policy, "PATIENCE_WITH_STANDBY", 1_000_000.0)
    for name in ("settlement", "archive-events"):
        bus.set_cursor(name, stream="events", position=str(10**12), now_ms=0)
    bus.set_cursor("archive-commands", stream="commands", position="99999999999999-0", now_ms=0)
    until(lambda: first.worker.status.phase is Phase.ACTIVE)
    for number in range(5):
        before = snapshots.kept(directory)
        append_all(bus, [order(1_000 * number + n) for n in range(80)], per_entry=10)
        until(lambda before=before: snapshots.kept(directory) != before, what="a snapshot by the standby")  # type: ignore[misc]
    until(lambda: len(snapshots.kept(directory)) == policy.SNAPSHOTS_KEPT)
    oldest = snapshots.position_in_name(snapshots.kept(directory)[-1])[1]
    until(lambda: bus.trimmed().cmd >= oldest or bus.trimmed().cmd.ms > 0, what="trimming by the active worker")


class NextEngine(Engine):
    """The next release, with other rules."""

    RULES_VERSION = Engine.RULES_VERSION + 1


def test_another_rules_version_waits_and_takes_over_at_the_head(bus: Bus, start: Start, directory: Path) -> None:
    old = start(name="old")
    old.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(50, seed=16)])
    until_done(bus)
    new = start(name="new", core_class=NextEngine)
    new.wait_for(Phase.WAITING_FOR_LEASE)
    until(lambda: "rules version" in new.worker.status.explanation)
    assert not bus.cursors(), "it must not count as a standby: the old one has to leave its state at the head first"
    old.stop()
    new.wait_for(Phase.ACTIVE)
    append_all(bus, [order(500)])
    until_done(bus)
    versions = [entry.rules_version for entry in bus.read_events(0, count=10_000)]
    assert versions[-1] == NextEngine.RULES_VERSION
    assert versions == sorted(versions)


# -- servers away -----------------------------------------------------------------------------------------------------
class Flickering(MemoryBus):
    """Away at the next read of events."""

    away = False

    def read_events(self, after_seq: int, *, count: int, block_ms: int = 0) -> list[EventEntry]:
        if self.away:
            self.away = False
            raise BusAway("planted")
        return super().read_events(after_seq, count=count, block_ms=block_ms)


def test_what_was_followed_survives_a_lost_connection(directory: Path, authority: FakeAuthority) -> None:
    bus = Flickering("spot")
    bus.raise_epoch(1)
    bus.take_lease("another", ttl_ms=600_000)
    follower = Follower(bus, directory, Engine, "standby")
    assert follower.step()
    bus.away = True
    with pytest.raises(BusAway):
        follower.step()
    assert follower.following
    assert follower.step()


def test_a_takeover_needs_postgres_and_following_does_not(bus: Bus, start: Start, authority: FakeAuthority) -> None:
    first = start(name="first")
    first.wait_for(Phase.ACTIVE)
    second = start(name="second")
    second.wait_for(Phase.FOLLOWING)
    authority.away = True
    append_all(bus, list(opening()))
    until(lambda: second.worker.status.position.seq == bus.head().seq > 0)
    assert second.worker.status.phase is Phase.FOLLOWING
    first.stop()
    second.wait_for(Phase.WAITING_FOR_POSTGRES)
    assert bus.lease_holder() is None
    authority.away = False
    second.wait_for(Phase.ACTIVE)


class Replica(MemoryBus):
    """A log that refuses writes, as a replica of redis-core on a second site does."""

    def take_lease(self, holder: str, *, ttl_ms: int) -> bool:
        raise BusRefused("READONLY You can't write against a read only replica.")

    def set_cursor(self, reader: str, *, stream: str, position: str, now_ms: int) -> None:
        raise BusRefused("READONLY You can't write against a read only replica.")


def test_on_a_replica_it_follows_and_never_becomes_active(start_on: Start) -> None:
    bus = Replica("spot")
    bus.append_commands(b"".join(opening()))
    worker = start_on(bus=bus)
    worker.wait_for(Phase.FOLLOWING)
    worker.stop()
    assert worker.failure is None
    assert bus.epoch() == 0


# -- a log that is not the one that was followed ----------------------------------------------------------------------
def test_a_log_that_lost_what_the_standby_saw_halts(bus: Bus, start: Start, directory: Path) -> None:
    active = start()
    active.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(30, seed=17)])
    until_done(bus)
    follower = Follower(bus.another(), directory, Engine, "standby")
    follow_to_head(follower, bus)
    active.stop()
    older = MemoryBus("spot")
    older.raise_epoch(1)
    with pytest.raises(LogBehindSnapshot, match="this standby followed"):
        recover(older, directory, Engine, Settled(0, ""), followed=follower.hand_out())


class Forgetful(Engine):
    """Loses events while it is told to."""

    forgetting = False

    def process(self, frames: bytes) -> bytes:
        events = super().process(frames)
        return b"" if self.forgetting else events


def test_a_standby_that_cannot_follow_tries_again_from_a_snapshot(
    bus: Bus, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "FOLLOW_RETRY_S", 0.0)
    active = start()
    active.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    follower = Follower(bus.another(), directory, Forgetful, "standby")
    follow_to_head(follower, bus)
    Forgetful.forgetting = True
    append_all(bus, [order(1), order(2)])
    until(lambda: not follower.step())
    assert "docs/runbooks/replay-differs.md" in follower.trouble
    Forgetful.forgetting = False
    follow_to_head(follower, bus)
    assert follower.trouble == ""


def test_every_order_is_answered_once_over_many_hand_overs(bus: Bus, start: Start) -> None:
    append_all(bus, list(opening()))
    active = start(name="a")
    active.wait_for(Phase.ACTIVE)
    sent = 0
    for name in ("b", "a", "b", "a"):
        standby = start(name=name)
        standby.wait_for(Phase.FOLLOWING)
        append_all(bus, [order(sent + n) for n in range(30)], per_entry=4)
        sent += 30
        active.stop()
        assert active.failure is None
        standby.wait_for(Phase.ACTIVE)
        active = standby
    until_done(bus)
    accepted = [event.client_id for event in decode_events(all_events(bus)) if event.KIND is EventKind.ORDER_ACCEPTED]
    assert sorted(accepted) == sorted(f"c{n}" for n in range(sent))
