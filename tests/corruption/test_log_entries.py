"""Every field of the log's entries and keys damaged: the right state, a halt, or settlement stops; never a wrong one.

What cannot be noticed is named here and nowhere else: a command that waits at the end of the stream and has changed
its bytes has one copy and no checksum, and events that were lost from the end before anybody but the gateways had seen
them (PostgreSQL, a snapshot, the archive) have left no witness (docs/reliability.md).
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import redis

from apps.matching.applying import apply_entries
from apps.matching.authority import Settled
from apps.matching.engine import Engine
from apps.matching.errors import (
    BadCommand,
    CommandsMiscounted,
    EngineFailed,
    Halt,
    LogDamaged,
    RelayNumbersMissing,
)
from apps.matching.recovery import recover
from apps.matching.skips import Skips
from apps.matching.status import Phase
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.entries import Position as SettlementPosition
from apps.orders.settlement.entries import take
from apps.streams.bus.base import CommandEntry, EntryId, FrameCount
from apps.streams.bus.errors import LogUnreadable
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command
from apps.streams.commands import CancelOrder, Credit, SetAccount, SetMarketState
from apps.streams.kinds import MarketState
from apps.streams.names import ShardKeys
from apps.streams.records import FRAME_SIZE
from tests.corruption.history import NOTHING_SETTLED, History, copied, finished, settled_at, traded
from tests.corruption.log_damage import DAMAGES
from tests.matching.traffic import opening, order

UNNOTICED_IN_THE_TAIL = ("command frames", "command id", "skip")


@dataclass
class Truth:
    """The undamaged log and what is right about it."""

    history: History
    state: str
    bodies: dict[int, bytes]

    @property
    def bus(self) -> MemoryBus:
        assert isinstance(self.history.bus, MemoryBus)
        return self.history.bus


@pytest.fixture(scope="module", params=[False, True], ids=["tail after the snapshot", "snapshot at the head"])
def truth(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    history = traded(MemoryBus("spot"), tmp_path_factory.mktemp("history") / "snapshots", seed=300, waiting=0)
    if request.param:
        history.take_snapshot()
    for number in range(3):
        history.bus.append_commands(order(900_000 + number))
    recovered = recover(history.bus, history.directory, Engine, NOTHING_SETTLED)
    bodies = {entry.first_seq: entry.body for entry in history.bus.read_events(0, count=10**6)}
    return Truth(history, finished(history.bus, recovered), bodies)


def recovered_as(truth: Truth, bus: MemoryBus, settled: Settled) -> str:
    """'right', 'wrong', or the reason of the halt."""
    try:
        recovered = recover(bus, truth.history.directory, Engine, settled)
    except Halt as halt:
        return halt.reason
    position = recovered.position
    head = truth.bus.head()
    same = (position.seq, position.chain) == (head.seq, head.chain)
    return "right" if same and finished(bus, recovered) == truth.state else "wrong"


def settled_as(truth: Truth, bus: MemoryBus, settled: Settled) -> str:
    """Settlement from its watermark on: 'right' as far as it came, 'wrong' for another byte, or 'stopped'."""
    position = SettlementPosition(settled.seq, settled.chain, 1 if settled.seq else 0)
    left = bus.read_events(position.seq, count=10**6)
    while left:
        try:
            batch, taken = take(left, position, events_max=300)
        except SettlementStopped:
            return "stopped"
        if any(truth.bodies.get(entry.first_seq) != entry.body for entry in left[:taken]):
            return "wrong"
        position = SettlementPosition(batch.to_seq, batch.chain, batch.epoch)
        left = left[taken:]
    return "right"


def damage_logs(truth: Truth, rounds: int, seed: int) -> None:
    random, outcomes = Random(seed), Counter[tuple[str, str, str]]()
    waiting = {entry.id for entry in truth.bus.read_commands(truth.bus.head().cmd, count=10**6)}
    for number in range(rounds):
        for name, damage in DAMAGES.items():
            bus = copied(truth.bus)
            settled = random.choice((NOTHING_SETTLED, settled_at(truth.history, random.random())))
            what = damage(bus, random)
            recovery, settlement = recovered_as(truth, bus, settled), settled_as(truth, bus, settled)
            outcomes[name, recovery, settlement] += 1
            case = f"seed {seed}, round {number}, {name}: {what}; settled at {settled.seq}"
            assert settlement != "wrong", case
            if recovery != "wrong":
                continue
            if name == "event tail lost":
                assert settled.seq <= bus.head().seq, case
            else:
                in_tail = any(str(entry_id) in what for entry_id in waiting)
                assert name in UNNOTICED_IN_THE_TAIL, case
                assert in_tail, case
    for (name, recovery, settlement), count in sorted(outcomes.items()):
        print(f"{count:6} {name}: recovery {recovery}, settlement {settlement}")
    for name in ("head chain", "head left behind", "head seq", "command id"):
        assert any(damage == name and recovery not in ("right", "wrong") for damage, recovery, _ in outcomes), name


def test_damaged_logs_a_sample(truth: Truth) -> None:
    damage_logs(truth, 12, seed=31)


@pytest.mark.long
def test_four_thousand_damaged_logs(truth: Truth) -> None:
    damage_logs(truth, -(-2_000 // len(DAMAGES)), seed=32)


# -- found by the rounds above ----------------------------------------------------------------------------------------
@pytest.fixture
def history(tmp_path: Path) -> History:
    return traded(MemoryBus("spot"), tmp_path / "snapshots", seed=40, waiting=0)


def memory(history: History) -> MemoryBus:
    assert isinstance(history.bus, MemoryBus)
    return history.bus


def test_a_head_with_another_chain_than_its_last_entry_is_not_built_upon(history: History) -> None:
    """It was accepted: the next entry then followed a chain that settlement does not know."""
    DAMAGES["head chain"](memory(history), Random(1))
    with pytest.raises(LogDamaged, match="head"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


def test_an_entry_behind_the_head_is_not_forgotten(history: History) -> None:
    """It was accepted: acknowledged events stood in the stream, and every append was refused for their sake."""
    DAMAGES["head left behind"](memory(history), Random(1))
    with pytest.raises(LogDamaged, match="goes on"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


@pytest.mark.parametrize("field", ["event body", "event prev_chain"])
def test_an_entry_whose_bytes_are_not_those_of_its_chain_halts_although_replay_agrees(
    history: History, field: str
) -> None:
    events = memory(history)._log.events
    kept = events[:-1]
    del events[:-1]
    DAMAGES[field](memory(history), Random(1))
    events[:0] = kept
    with pytest.raises(LogDamaged, match="bytes"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


def test_a_processed_command_that_a_damaged_id_puts_behind_the_head_is_not_executed_again(history: History) -> None:
    history.take_snapshot()
    commands = memory(history)._log.commands
    old = commands.pop(len(commands) // 2)
    later = EntryId(commands[-1].id.ms + 1_000, 0)
    commands.append(CommandEntry(later, old.frames))
    memory(history)._log.last_command = later
    with pytest.raises(CommandsMiscounted, match="ever appended"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


def test_as_many_new_commands_lost_as_old_ones_come_back(history: History) -> None:
    """redis-core refuses ids that do not grow when it loads, so a raised id also takes away what follows it."""
    history.take_snapshot()
    for number in range(3):
        history.bus.append_commands(order(700_000 + number))
    commands = memory(history)._log.commands
    old = next(entry for entry in commands[len(commands) // 2 :] if len(entry.frames) == 3 * FRAME_SIZE)
    del commands[commands.index(old) :]
    commands.append(CommandEntry(EntryId(old.id.ms + 10**9, 0), old.frames))
    memory(history)._log.last_command = commands[-1].id
    with pytest.raises(CommandsMiscounted, match="not in the stream"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


def test_a_waiting_command_that_is_gone_is_missed(history: History) -> None:
    for number in range(3):
        history.bus.append_commands(order(700_000 + number))
    assert recover(history.bus, history.directory, Engine, NOTHING_SETTLED)
    del memory(history)._log.commands[-2]
    with pytest.raises(CommandsMiscounted, match="ever appended"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


def test_commands_that_arrive_while_they_are_counted_are_no_reason_to_halt(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client appends whenever the counter is read; in the end a count between two readings is enough."""
    bus = memory(history)
    read, numbers = bus.frame_count, iter(range(800_000, 900_000))

    def read_while_others_append() -> FrameCount:
        found = read()
        bus.append_commands(order(next(numbers)))
        return found

    monkeypatch.setattr(bus, "frame_count", read_while_others_append)
    recovered = recover(bus, history.directory, Engine, NOTHING_SETTLED)
    assert recovered.position.seq == bus.head().seq


@pytest.mark.parametrize(
    "stored", [{"17-0-1": "NO_SUCH_REASON"}, {"17-0": "INTERNAL"}, {"17-0-x": "INTERNAL"}, {"a..b": "INTERNAL"}]
)
def test_a_skip_that_no_worker_writes_halts(history: History, stored: dict[str, str]) -> None:
    memory(history)._log.skips.update(stored)
    with pytest.raises(LogDamaged, match="skips hold"):
        recover(history.bus, history.directory, Engine, NOTHING_SETTLED)


# -- keys and fields of redis-core ------------------------------------------------------------------------------------
KEYS = ShardKeys("spot")
UNREADABLE = {
    "head seq": ("HSET", KEYS.head, "seq", "1x"),
    "head chain": ("HSET", KEYS.head, "chain", b"\xff" * 64),
    "head command": ("HSET", KEYS.head, "cmd", "17 0"),
    "epoch": ("SET", KEYS.epoch, "1a"),
    "trimmed": ("HSET", KEYS.trimmed, "seq", "q"),
    "event without a field": ("XADD", KEYS.events, "5-0", "e", "1", "d", "x"),
    "event with another number": (
        "XADD",
        KEYS.events,
        "5-0",
        "e",
        "x",
        "f",
        "1",
        "p",
        "",
        "h",
        "",
        "c",
        "1-0",
        "d",
        "",
        "r",
        "1",
    ),
    "skip": ("HSET", KEYS.skips, "17-0-1", "INTERNAX"),
}


@pytest.mark.parametrize("command", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_key_halts_the_worker_with_its_name(
    core: redis.Redis, redis_core_url: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    from apps.matching.worker import Worker
    from tests.matching.conftest import FakeAuthority, RunningWorker

    core.set(KEYS.epoch, 1)
    core.execute_command(*command)
    running = RunningWorker(Worker(RedisBus(redis_core_url, "spot"), FakeAuthority(), Engine, tmp_path))
    try:
        running.wait_for(Phase.HALTED)
        assert running.worker.status.halt_reason == "log-damaged"
        assert (
            KEYS.events.split(":")[0] in running.worker.status.explanation
            or "skips" in running.worker.status.explanation
        )
    finally:
        running.stop()


def test_an_unreadable_event_is_no_reason_to_wait(core: redis.Redis, redis_core_url: str) -> None:
    core.xadd(KEYS.events, {"e": "1", "f": "one"}, id="5-0")
    bus = RedisBus(redis_core_url, "spot")
    with pytest.raises(LogUnreadable, match="events"):
        bus.read_events(0, count=1)
    bus.close()


# -- which bytes of a published command nothing else remembers ---------------------------------------------------------
def silent_bytes(frames: bytes, bits: tuple[int, ...]) -> set[int]:
    """Bytes of a command whose change alters the state, but none of its events."""
    setup, found = b"".join(opening()) + order(1), set()

    def outcome(candidate: bytes) -> tuple[bytes, str]:
        engine = Engine()
        apply_entries(engine, [CommandEntry(EntryId(1, 0), setup)], Skips())
        try:
            events = apply_entries(engine, [CommandEntry(EntryId(2, 0), candidate)], Skips())
        except (BadCommand, EngineFailed, RelayNumbersMissing):
            return b"refused", ""
        return events, engine.state_hash()

    events, state = outcome(frames)
    for at in range(len(frames)):
        for bit in bits:
            damaged = bytearray(frames)
            damaged[at] ^= 1 << bit
            other_events, other_state = outcome(bytes(damaged))
            if other_events == events and other_state != state:
                found.add(at)
    return found


PUBLISHED = {
    "order": order(5),
    "cancel": encode_command(CancelOrder(market_id=1, account_id=1001, client_id="c1")),
    "credit": encode_command(
        Credit(relay_seq=21, source=1, asset_id=1, amount_units=5, account_id=1001, key="k", counter=1)
    ),
    "market state": encode_command(
        SetMarketState(market_id=1, relay_seq=21, source=1, state=int(MarketState.CANCEL_ONLY), cause=0)
    ),
    "account": encode_command(SetAccount(relay_seq=21, source=1, account_id=1001, family_id=0, fee_tier=0)),
}


@pytest.mark.parametrize("frames", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_every_byte_of_a_published_command_is_remembered_by_its_events(frames: bytes) -> None:
    """So that replay finds a changed one. The bodies of settings are the exception (docs/reliability.md)."""
    assert silent_bytes(frames, bits=(0, 6)) == set()
