"""Commands at which the engine fails, or dies, and commands that waited too long (architecture.md section 3)."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.common.clock import now_ms
from apps.matching import policy, snapshots
from apps.matching.applying import apply_entries
from apps.matching.engine import Engine, InvariantBroken
from apps.matching.recovery import Recovered, recover
from apps.matching.skips import Skips
from apps.matching.status import Phase
from apps.streams.bus.base import START, Bus, EntryId
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import decode_events, encode_command
from apps.streams.commands import CancelAll, Tick
from apps.streams.events import Event
from apps.streams.kinds import EventKind, HaltCause, MarketState, Reason, TickFlag
from tests.matching.conftest import FakeAuthority, RunningWorker
from tests.matching.log import all_events, append_all, until_done
from tests.matching.traffic import ACCOUNTS, MARKET_ID, opening, order
from tests.matching.waiting import until

Start = Callable[..., RunningWorker]
POISON = b"c666"


class Poisonable(Engine):
    """Fails at orders with one client id, when earlier commands of the batch have already changed its state."""

    failure: type[Exception] = RuntimeError  # one object raised again and again would keep every engine alive

    def process(self, frames: bytes) -> bytes:
        at = frames.find(POISON + b"\0")
        if at < 0:
            return super().process(frames)
        start = at - at % 128
        super().process(frames[:start])
        self.skip(frames[start : start + 128], Reason.NONE)  # the command's number and time are taken
        raise self.failure("planted")


def events_of(bus: Bus) -> list[Event]:
    return list(decode_events(all_events(bus)))


def rejected(bus: Bus) -> list[Event]:
    return [event for event in events_of(bus) if event.KIND is EventKind.INTERNAL_REJECT]


def test_a_poison_command_is_rejected_and_all_others_are_executed(bus: Bus, start: Start, directory: Path) -> None:
    append_all(bus, list(opening()))
    worker = start(core_class=Poisonable)
    worker.wait_for(Phase.ACTIVE)
    entry = bus.append_commands(order(1) + order(666) + order(2))
    append_all(bus, [order(3)])
    until_done(bus)
    assert worker.worker.status.phase is Phase.ACTIVE
    assert bus.read_skips() == {f"{entry}-1": "INTERNAL"}
    (reject,) = rejected(bus)
    assert (reject.cmd_ms, reject.cmd_n, reject.cmd_index) == (*entry, 1)
    accepted = [event.client_id for event in events_of(bus) if event.KIND is EventKind.ORDER_ACCEPTED]
    assert accepted == ["c1", "c2", "c3"]
    worker.stop()
    # Fixed code still gives the same bytes: every replay reads the skips first.
    fixed = Engine()
    replayed = apply_entries(fixed, bus.read_commands(START, count=10_000), Skips.parse(bus.read_skips()))
    assert replayed == all_events(bus)


def test_with_a_standby_it_trades_on_without_rebuilding(
    bus: Bus, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The standby is there, however long a busy machine keeps it from saying so.
    monkeypatch.setattr(policy, "STANDBY_SEEN_MAX_MS", 600_000)
    append_all(bus, list(opening()))
    first = start(name="first", core_class=Poisonable)
    first.wait_for(Phase.ACTIVE)
    second = start(name="second", core_class=Poisonable)
    second.wait_for(Phase.FOLLOWING)
    until(lambda: bool(bus.cursors()))
    append_all(bus, [order(1), order(666), order(2)])
    second.wait_for(Phase.ACTIVE)
    until_done(bus)
    assert len(rejected(bus)) == 1
    first.wait_for(Phase.FOLLOWING)


def test_the_third_poison_command_of_a_market_stops_its_orders(bus: Bus, start: Start) -> None:
    append_all(bus, list(opening()))
    worker = start(core_class=Poisonable)
    worker.wait_for(Phase.ACTIVE)
    for account_id in list(ACCOUNTS)[:3]:
        append_all(bus, [order(666, account_id=account_id), order(account_id, account_id=account_id)])
        until_done(bus)
    assert len(rejected(bus)) == 3
    changes = [event for event in events_of(bus) if event.KIND is EventKind.MARKET_STATE_CHANGED]
    assert (changes[-1].new_state, changes[-1].cause) == (MarketState.CANCEL_ONLY, HaltCause.POISON)
    assert events_of(bus)[-1].KIND is EventKind.ORDER_REJECTED


class SelfDoubting(Poisonable):
    """Finds an invariant broken at that client id."""

    failure = InvariantBroken


def test_a_broken_invariant_stops_orders_everywhere_and_lets_cancels_pass(bus: Bus, start: Start) -> None:
    append_all(bus, [*opening(), order(1)])
    worker = start(core_class=SelfDoubting)
    worker.wait_for(Phase.ACTIVE)
    append_all(bus, [order(666)])
    until_done(bus)
    until(lambda: events_of(bus)[-1].KIND is EventKind.MARKET_STATE_CHANGED, what="a stop")
    change = events_of(bus)[-1]
    assert (change.new_state, change.cause) == (MarketState.CANCEL_ONLY, HaltCause.INVARIANT)
    append_all(bus, [order(2), encode_command(CancelAll(market_id=MARKET_ID, account_id=1001))])
    until_done(bus)
    assert [event.KIND for event in events_of(bus)[-3:]] == [
        EventKind.ORDER_REJECTED, EventKind.ORDER_CLOSED, EventKind.ALL_CANCELED,
    ]  # fmt: skip
    assert worker.worker.status.phase is Phase.ACTIVE


# -- processes that die -----------------------------------------------------------------------------------------------
DYING = """
import signal, os, sys
from pathlib import Path
from apps.matching.core import Position
from apps.matching.crash_marker import CrashMarker
from apps.matching.engine import Engine, InvariantBroken
from apps.streams.codec import stamp
marker = CrashMarker.open(Path(sys.argv[1]), sys.argv[2])
engine = Engine()
engine.mark_in(marker.buffer)
frames = bytearray.fromhex(sys.argv[3])
stamp(frames, int(sys.argv[4]), int(sys.argv[5]))
import apps.matching.engine.engine as module
module.HANDLERS[2] = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)
engine.process(bytes(frames))
"""


def die_at(entry: EntryId, frames: bytes, directory: Path, name: str) -> None:
    """What a compiled core does that crashes at a command: a process of that name dies while applying it."""
    arguments = [str(directory), name, frames.hex(), str(entry.ms), str(entry.n)]
    done = subprocess.run([sys.executable, "-c", DYING, *arguments], capture_output=True, text=True)
    assert done.returncode == -signal.SIGSEGV, done.stderr


def test_one_death_is_not_poison_two_are(bus: Bus, start: Start, directory: Path) -> None:
    append_all(bus, list(opening()))
    until_opened = start(name="test")
    until_opened.wait_for(Phase.ACTIVE)
    until_done(bus)
    until_opened.stop()
    entry = bus.append_commands(order(1))
    die_at(entry, order(1), directory, "a")
    die_at(entry, order(1), directory, "b")
    after = bus.append_commands(order(2))
    worker = start(name="test")
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == {f"{entry}-0": "INTERNAL"}
    assert [(event.cmd_ms, event.cmd_n) for event in rejected(bus)] == [tuple(entry)]
    accepted = [event for event in events_of(bus) if event.KIND is EventKind.ORDER_ACCEPTED]
    assert [(event.cmd_ms, event.cmd_n) for event in accepted] == [tuple(after)]


def test_after_a_single_death_the_command_is_applied(bus: Bus, start: Start, directory: Path) -> None:
    entry = bus.append_commands(b"".join(opening()) + order(1))
    die_at(entry, order(1), directory, "test")
    worker = start(name="test")
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == {}
    assert rejected(bus) == []


def test_a_published_command_is_never_skipped(bus: Bus, start: Start, directory: Path) -> None:
    append_all(bus, list(opening()))
    first = start(name="test")
    first.wait_for(Phase.ACTIVE)
    entry = bus.append_commands(order(1))
    until_done(bus)
    first.stop()
    for _ in range(policy.CRASHES_HALT):
        die_at(entry, order(1), directory, "test")
    second = start(name="test")
    second.wait_for(Phase.HALTED)
    assert second.worker.status.halt_reason == "replay-crashes"
    assert bus.read_skips() == {}


def test_a_command_that_a_snapshot_has_behind_it_is_never_skipped(bus: Bus, start: Start, directory: Path) -> None:
    """It came through without events, between two deaths, and the archive has that as final."""
    append_all(bus, list(opening()))
    first = start(name="test")
    first.wait_for(Phase.ACTIVE)
    until_done(bus)
    entry = bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
    until(lambda: any(snapshots.position_in_name(path)[1] >= entry for path in snapshots.kept(directory)))
    first.stop()
    assert bus.head().cmd < entry
    die_at(entry, order(1), directory, "a")
    die_at(entry, order(1), directory, "b")
    second = start(name="test")
    second.wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == {}
    assert rejected(bus) == []


class Breathless(Engine):
    """Has no memory for a batch with one client id, before it looks at any command."""

    def process(self, frames: bytes) -> bytes:
        if POISON + b"\0" in frames:
            raise MemoryError
        return super().process(frames)


def test_a_failure_that_no_command_caused_skips_nothing_and_ends_the_process(bus: Bus, start: Start) -> None:
    append_all(bus, list(opening()))
    worker = start(core_class=Breathless)
    worker.wait_for(Phase.ACTIVE)
    until_done(bus)
    head = bus.head()
    append_all(bus, [order(666)])
    worker.thread.join(60)
    assert isinstance(worker.failure, RuntimeError)
    assert bus.read_skips() == {}
    assert bus.head() == head
    assert bus.lease_holder() is None


# -- orders that waited -----------------------------------------------------------------------------------------------
class Shifting:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_ms = now_ms()

    def __call__(self) -> int:
        return self.now_ms


@pytest.mark.parametrize(("too_long_ms", "stale"), [(0, False), (1, True)])
def test_orders_that_waited_too_long_are_rejected_and_the_rest_applies(
    start_on: Start, authority: FakeAuthority, too_long_ms: int, stale: bool
) -> None:
    clock = Shifting()
    bus = MemoryBus("spot", clock_ms=clock)
    first = start_on(bus=bus)
    first.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), order(1)])
    until_done(bus)
    first.stop()
    cancel = encode_command(CancelAll(market_id=MARKET_ID, account_id=1001))
    waiting = bus.append_commands(order(2) + cancel + order(3))
    clock.now_ms += policy.QUEUE_MAX_MS + too_long_ms
    second = start_on(bus=bus)
    second.wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == ({f"{waiting}..{waiting}": "ENGINE_RESTARTED"} if stale else {})
    found = [event for event in events_of(bus) if (event.cmd_ms, event.cmd_n) == waiting]
    kinds = [event.KIND for event in found if event.KIND is not EventKind.ORDER_CLOSED]
    if stale:
        assert kinds == [EventKind.INTERNAL_REJECT, EventKind.ALL_CANCELED, EventKind.INTERNAL_REJECT]
        assert {event.reason for event in rejected(bus)} == {Reason.ENGINE_RESTARTED}
    else:
        assert kinds == [EventKind.ORDER_ACCEPTED, EventKind.ALL_CANCELED, EventKind.ORDER_ACCEPTED]


def test_ticks_of_a_living_worker_keep_waiting_orders_fresh(start_on: Start) -> None:
    clock = Shifting()
    bus = MemoryBus("spot", clock_ms=clock)
    first = start_on(bus=bus)
    first.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    first.stop()
    bus.append_commands(order(1))
    clock.now_ms += policy.QUEUE_MAX_MS + 1
    bus.append_commands(encode_command(Tick()))
    clock.now_ms += 100
    start_on(bus=bus).wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == {}


def test_orders_that_waited_for_a_long_recovery_are_rejected(start_on: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Shifting()
    bus = MemoryBus("spot", clock_ms=clock)
    first = start_on(bus=bus)
    first.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    first.stop()

    def slow(*arguments: Any, **named: Any) -> Recovered:
        found = recover(*arguments, **named)
        clock.now_ms += policy.QUEUE_MAX_MS + 1
        return found

    monkeypatch.setattr("apps.matching.worker.recover", slow)
    waiting = bus.append_commands(order(1))
    start_on(bus=bus).wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == {f"{waiting}..{waiting}": "ENGINE_RESTARTED"}
    assert [event.reason for event in rejected(bus)] == [Reason.ENGINE_RESTARTED]


def test_money_waits_as_long_as_it_must(start_on: Start) -> None:
    clock = Shifting()
    bus = MemoryBus("spot", clock_ms=clock)
    append_all(bus, list(opening()))
    clock.now_ms += 3_600_000
    start_on(bus=bus).wait_for(Phase.ACTIVE)
    until_done(bus)
    assert bus.read_skips() == {}
    assert not rejected(bus)


# -- the clock --------------------------------------------------------------------------------------------------------
def test_a_clock_that_jumps_ahead_halts_the_markets(start_on: Start) -> None:
    clock = Shifting()
    bus = MemoryBus("spot", clock_ms=clock)
    worker = start_on(bus=bus)
    worker.wait_for(Phase.ACTIVE)
    append_all(bus, list(opening()))
    until_done(bus)
    ticks = len(bus.read_commands(START, count=100_000))
    until(lambda: len(bus.read_commands(START, count=100_000)) >= ticks + 2, what="ticks before the jump")
    clock.now_ms += 3_600_000
    until(
        lambda: (
            [e.new_state for e in events_of(bus) if e.KIND is EventKind.MARKET_STATE_CHANGED][-1] == MarketState.HALTED
        ),
        what="a halt",
    )
    change = [e for e in events_of(bus) if e.KIND is EventKind.MARKET_STATE_CHANGED][-1]
    assert change.cause == HaltCause.CLOCK
    append_all(bus, [order(1)])
    until_done(bus)
    assert events_of(bus)[-1].KIND is EventKind.ORDER_REJECTED
