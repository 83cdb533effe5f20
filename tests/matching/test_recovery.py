"""Each check of recovery: what is damaged, which reason the shard halts with, and that nothing was changed."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from apps.common.hashchain import extend
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.authority import Settled
from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.matching.engine.snapshot_tables import TABLES
from apps.matching.errors import (
    BadCommand,
    CommandsTrimmedTooFar,
    Halt,
    LogBehindPostgres,
    LogBehindSnapshot,
    NoUsableSnapshot,
    OtherRulesVersion,
    PostgresNotOfThisLog,
    PostgresTooOld,
    RelayNumbersMissing,
    ReplayDiffers,
    SnapshotNotOfThisLog,
)
from apps.matching.recovery import Recovered, recover
from apps.matching.skips import Skips
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import decode_events, encode_command
from apps.streams.commands import Credit
from apps.streams.kinds import EventKind, Reason
from apps.streams.records import FRAME_SIZE
from tests.matching.traffic import opening, order, trading

NOTHING_SETTLED = Settled(0, "")


@dataclasses.dataclass
class History:
    """A log written without a worker, entry by entry, and the positions on the way."""

    bus: Bus
    core: Engine = dataclasses.field(default_factory=Engine)
    position: Position = dataclasses.field(default_factory=Position)
    rules_version: int = Engine.RULES_VERSION

    def play(self, runs: list[bytes], *, per_entry: int = 3, entries_per_batch: int = 2) -> Position:
        for at in range(0, len(runs), per_entry):
            self.bus.append_commands(b"".join(runs[at : at + per_entry]))
        while entries := self.bus.read_commands(self.position.last_cmd, count=entries_per_batch):
            self._publish(entries)
        return self.position

    def _publish(self, entries: list[CommandEntry]) -> None:
        events = apply_entries(self.core, entries, Skips())
        before = self.position
        seq, chain = self.core.seq, before.chain
        frames = before.frames + sum(len(entry.frames) for entry in entries) // FRAME_SIZE
        if events:
            chain = extend(before.chain, before.seq + 1, seq, events)
            self.bus.append_events(
                epoch=self.bus.epoch(), first_seq=before.seq + 1, last_seq=seq, prev_chain=before.chain, chain=chain,
                last_cmd=entries[-1].id, body=events, rules_version=self.rules_version,
            )  # fmt: skip
        self.position = Position(seq, chain, entries[-1].id, frames)


@pytest.fixture
def history(bus: Bus) -> History:
    bus.raise_epoch(1)
    return History(bus)


def recover_now(history: History, directory: Path, settled: Settled = NOTHING_SETTLED) -> Recovered:
    return recover(history.bus, directory, Engine, settled)


def assert_halts(history: History, directory: Path, expected: type[Halt], settled: Settled = NOTHING_SETTLED) -> None:
    """The named halt, with advice, and neither the log nor the files changed by it."""
    before = (history.bus.head(), history.bus.trimmed(), [p.read_bytes() for p in snapshots.kept(directory)])
    with pytest.raises(expected) as halted:
        recover_now(history, directory, settled)
    assert type(halted.value) is expected
    assert len(str(halted.value)) > 60
    assert before == (history.bus.head(), history.bus.trimmed(), [p.read_bytes() for p in snapshots.kept(directory)])


def take_snapshot(history: History, directory: Path) -> Path:
    return snapshots.write(directory, history.core, Engine, history.position)


# -- what works -------------------------------------------------------------------------------------------------------
def test_from_nothing(history: History, directory: Path) -> None:
    recovered = recover_now(history, directory)
    assert recovered.position == Position()
    assert recovered.core.seq == 0


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_replay_gives_the_same_state_position_and_chain(history: History, directory: Path, with_snapshot: bool) -> None:
    history.play([*opening(), *trading(300, seed=6)])
    if with_snapshot:
        take_snapshot(history, directory)
    middle = history.position
    history.play(list(trading(300, seed=7)))
    recovered = recover_now(history, directory, Settled(middle.seq, middle.chain))
    assert (recovered.position.seq, recovered.position.chain) == (history.position.seq, history.position.chain)
    assert recovered.position.last_cmd == history.bus.head().cmd
    assert (recovered.snapshot is not None) is with_snapshot
    rest = history.bus.read_commands(recovered.position.last_cmd, count=1000)
    assert apply_entries(recovered.core, rest, recovered.skips) == b""
    assert recovered.core.state_hash() == history.core.state_hash()
    frames = sum(len(entry.frames) for entry in rest) // FRAME_SIZE
    assert recovered.position.frames + frames == history.position.frames


def test_twice_in_a_row_from_the_recovered_state(history: History, directory: Path) -> None:
    history.play([*opening(), *trading(100, seed=8)])
    once = recover_now(history, directory)
    snapshots.write(directory, once.core, Engine, once.position)
    history.play(list(trading(100, seed=9)))
    twice = recover_now(history, directory)
    assert twice.snapshot is not None
    assert twice.snapshot.position == once.position
    assert twice.position.chain == history.bus.head().chain


def test_commands_after_the_head_are_left_for_the_worker(history: History, directory: Path) -> None:
    history.play([*opening()])
    late = history.bus.append_commands(order(1))
    recovered = recover_now(history, directory)
    assert recovered.position.last_cmd < late
    assert recovered.position.seq == history.bus.head().seq


def test_a_snapshot_after_batches_without_events_is_where_work_goes_on(history: History, directory: Path) -> None:
    history.play([*opening()])
    quiet = history.play([encode_command(Credit(relay_seq=1, source=1, asset_id=1, amount_units=5, account_id=1001))])
    assert quiet.last_cmd > history.bus.head().cmd
    take_snapshot(history, directory)
    assert recover_now(history, directory).position == quiet


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text", "directory"])
def test_a_damaged_newest_snapshot_gives_way_to_an_older_one(history: History, directory: Path, damage: str) -> None:
    history.play([*opening(), *trading(60, seed=10)])
    older = take_snapshot(history, directory)
    history.play(list(trading(60, seed=11)))
    newer = take_snapshot(history, directory)
    content = newer.read_bytes()
    if damage == "flip":
        middle = len(content) // 2
        newer.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        newer.write_bytes(content[:-1])
    elif damage == "empty":
        newer.write_bytes(b"")
    elif damage == "text":
        newer.write_bytes(b"not a snapshot" * 100)
    else:
        newer.unlink()
        newer.mkdir()
    recovered = recover_now(history, directory)
    assert recovered.snapshot is not None
    assert recovered.snapshot.path == older
    assert recovered.position.chain == history.bus.head().chain
    assert newer.exists(), "a damaged copy is kept for whoever looks into it"


# -- what halts -------------------------------------------------------------------------------------------------------
def test_log_behind_postgres(history: History, directory: Path) -> None:
    position = history.play([*opening()])
    assert_halts(history, directory, LogBehindPostgres, Settled(position.seq + 1, "ab" * 32))


@pytest.mark.parametrize("chain", ["ab" * 32, ""])
def test_postgres_of_another_history(history: History, directory: Path, chain: str) -> None:
    position = history.play([*opening()])
    assert_halts(history, directory, PostgresNotOfThisLog, Settled(position.seq, chain))


def test_postgres_between_two_entries(history: History, directory: Path) -> None:
    history.play([*opening()])
    assert_halts(history, directory, PostgresNotOfThisLog, Settled(1, "ab" * 32))


def test_postgres_from_before_the_trim(history: History, directory: Path) -> None:
    history.play([*opening(), *trading(60, seed=12)])
    first = history.bus.read_events(0, count=1)[0]
    take_snapshot(history, directory)
    history.bus.trim(epoch=1, commands_to=START, events_to=history.position.seq - 1)
    assert_halts(history, directory, PostgresTooOld, Settled(first.last_seq, first.chain))


def test_log_behind_the_snapshot(history: History, directory: Path) -> None:
    history.play([*opening(), *trading(60, seed=13)])
    ahead = dataclasses.replace(history.position, seq=history.position.seq + 1)
    snapshots.write(directory, history.core, Engine, ahead)
    assert_halts(history, directory, LogBehindSnapshot)


def test_log_without_the_snapshots_last_command(history: History, directory: Path) -> None:
    history.play([*opening()])
    last = history.position.last_cmd
    lost = dataclasses.replace(history.position, last_cmd=EntryId(last.ms, last.n + 1))
    snapshots.write(directory, history.core, Engine, lost)
    assert_halts(history, directory, LogBehindSnapshot)


def test_an_emptied_redis(directory: Path) -> None:
    full = History(MemoryBus("spot"))
    full.bus.raise_epoch(1)
    full.play([*opening()])
    take_snapshot(full, directory)
    empty = History(MemoryBus("spot"))
    assert_halts(empty, directory, LogBehindSnapshot)
    assert_halts(empty, directory, LogBehindPostgres, Settled(full.position.seq, full.position.chain))


def test_a_snapshot_of_another_history(history: History, directory: Path) -> None:
    history.play([*opening()])
    other = dataclasses.replace(history.position, chain="cd" * 32)
    snapshots.write(directory, history.core, Engine, other)
    assert_halts(history, directory, SnapshotNotOfThisLog)


def test_commands_trimmed_beyond_the_snapshot(history: History, directory: Path) -> None:
    history.play([*opening()])
    take_snapshot(history, directory)
    history.play(list(trading(60, seed=14)))
    history.bus.trim(epoch=1, commands_to=history.position.last_cmd, events_to=0)
    assert_halts(history, directory, CommandsTrimmedTooFar)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_trimmed_log_without_a_snapshot(history: History, directory: Path, damaged: bool) -> None:
    history.play([*opening(), *trading(60, seed=15)])
    if damaged:
        take_snapshot(history, directory).write_bytes(b"")
    history.bus.trim(epoch=1, commands_to=history.position.last_cmd, events_to=0)
    assert_halts(history, directory, NoUsableSnapshot)


def test_an_event_entry_that_replay_does_not_give(history: History, directory: Path) -> None:
    history.play([*opening()])
    forged = history.bus.append_commands(order(1))
    seq, chain = history.position.seq, history.position.chain
    body = apply_entries(history.core, [CommandEntry(forged, order(1, lots=99))], Skips())
    last = seq + len(body) // 192
    history.bus.append_events(
        epoch=1, first_seq=seq + 1, last_seq=last, prev_chain=chain, chain=extend(chain, seq + 1, last, body),
        last_cmd=forged, body=body, rules_version=history.rules_version,
    )  # fmt: skip
    assert_halts(history, directory, ReplayDiffers)


def test_a_published_entry_whose_commands_are_missing(history: History, directory: Path) -> None:
    history.play([*opening()])
    seq, chain = history.position.seq, history.position.chain
    nowhere = EntryId(history.position.last_cmd.ms + 1, 0)
    history.bus.append_events(
        epoch=1, first_seq=seq + 1, last_seq=seq + 1, prev_chain=chain,
        chain=extend(chain, seq + 1, seq + 1, bytes(192)), last_cmd=nowhere, body=bytes(192),
        rules_version=history.rules_version,
    )  # fmt: skip
    assert_halts(history, directory, ReplayDiffers)


def test_replay_that_gives_more_than_was_published(history: History, directory: Path) -> None:
    """A head whose last command made more events than its entry holds: a lost tail of a batch must not pass."""
    history.play([*opening()])
    entry = CommandEntry(history.bus.append_commands(order(1) + order(2)), order(1) + order(2))
    seq, chain = history.position.seq, history.position.chain
    body = apply_entries(history.core, [entry], Skips())[:192]
    history.bus.append_events(
        epoch=1, first_seq=seq + 1, last_seq=seq + 1, prev_chain=chain, chain=extend(chain, seq + 1, seq + 1, body),
        last_cmd=entry.id, body=body, rules_version=history.rules_version,
    )  # fmt: skip
    assert_halts(history, directory, ReplayDiffers)


# -- rules versions ---------------------------------------------------------------------------------------------------
class NextEngine(Engine):
    """The next release: other rules, and it reads the snapshots of the one before."""

    RULES_VERSION = Engine.RULES_VERSION + 1


def test_a_new_version_starts_from_a_snapshot_at_the_head(history: History, directory: Path) -> None:
    history.play([*opening(), *trading(60, seed=16)])
    take_snapshot(history, directory)
    recovered = recover(history.bus, directory, NextEngine, NOTHING_SETTLED)
    assert recovered.snapshot is not None
    assert recovered.snapshot.rules_version == Engine.RULES_VERSION


class FirstEngine(Engine):
    """Rules version 1 as far as this log goes: its snapshots have no table of skips and none of newer rules."""

    RULES_VERSION = 1

    def snapshot(self) -> bytes:
        body = super().snapshot()
        newer = sum(table.since > 1 for table in TABLES)  # and nothing in them
        return body[:12] + (1).to_bytes(4, "little") + body[16 : -4 * newer]


def test_this_version_starts_from_a_version_1_snapshot_at_the_head(history: History, directory: Path) -> None:
    history.core, history.rules_version = FirstEngine(), 1
    history.play([*opening(), *trading(60, seed=17)])
    snapshots.write(directory, history.core, FirstEngine, history.position)
    recovered = recover(history.bus, directory, Engine, NOTHING_SETTLED)
    assert recovered.snapshot is not None
    assert isinstance(recovered.core, Engine)
    assert recovered.snapshot.rules_version == 1
    assert list(recovered.core.balances()) == list(history.core.balances())
    assert list(recovered.core.open_orders()) == list(history.core.open_orders())


def test_a_new_version_refuses_work_of_the_old_one(history: History, directory: Path) -> None:
    history.play([*opening()])
    take_snapshot(history, directory)
    history.play([order(1)])
    with pytest.raises(OtherRulesVersion, match="SIGTERM"):
        recover(history.bus, directory, NextEngine, NOTHING_SETTLED)
    shutil.rmtree(directory)
    with pytest.raises(OtherRulesVersion, match="SIGTERM"):
        recover(history.bus, directory, NextEngine, NOTHING_SETTLED)


def test_an_old_version_refuses_a_newer_snapshot(history: History, directory: Path) -> None:
    history.play([*opening()])
    snapshots.write(directory, history.core, NextEngine, history.position)
    assert_halts(history, directory, OtherRulesVersion)


# -- commands ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1, 40])
@pytest.mark.parametrize("broken", [b"\1\x63\1", b"\2\1\1", b"\1\2\2", b"\1\2\0"])
def test_a_broken_entry_stops_before_anything_of_it_is_applied(size: int, broken: bytes) -> None:
    core = Engine()
    opened = CommandEntry(EntryId(1, 0), b"".join(opening()))
    apply_entries(core, [opened], Skips())
    state = core.state_hash()
    frames = b"".join(order(n) for n in range(size)) + broken + order(99)[3:]
    with pytest.raises(BadCommand, match="2-0") as stopped:
        apply_entries(core, [CommandEntry(EntryId(2, 0), frames)], Skips())
    assert stopped.value.good_entries == 0
    with pytest.raises(BadCommand) as stopped:
        apply_entries(core, [CommandEntry(EntryId(1, 1), order(5)), CommandEntry(EntryId(2, 0), frames)], Skips())
    assert stopped.value.good_entries == 1
    assert core.state_hash() == state


def test_an_engine_that_raises_is_named_with_its_command() -> None:
    core = Engine()
    gap = encode_command(Credit(relay_seq=5, source=1, asset_id=1, amount_units=5, account_id=1001))
    with pytest.raises(RelayNumbersMissing, match=r"7-2-1.*relay_seq 5 after 0"):
        apply_entries(core, [CommandEntry(EntryId(7, 2), order(1) + gap)], Skips())


# -- skips ------------------------------------------------------------------------------------------------------------
def test_skipped_commands_become_rejects_in_every_replay_alike(history: History, directory: Path) -> None:
    history.play([*opening()])
    poison = history.bus.append_commands(order(1) + order(2) + order(3))
    stale = history.bus.append_commands(
        order(4) + encode_command(Credit(relay_seq=1, source=1, asset_id=1, amount_units=1))
    )
    history.bus.write_skip(f"{poison}-1", "INTERNAL", epoch=1)
    history.bus.write_skip(f"{stale}..{stale}", "ENGINE_RESTARTED", epoch=1)
    recovered = recover_now(history, directory)
    rest = history.bus.read_commands(recovered.position.last_cmd, count=10)
    events = apply_entries(recovered.core, rest, recovered.skips)
    assert [(e.KIND, e.cmd_index, e.reason) for e in decode_events(events)] == [
        (EventKind.ORDER_ACCEPTED, 0, Reason.NONE),
        (EventKind.INTERNAL_REJECT, 1, Reason.INTERNAL),
        (EventKind.ORDER_ACCEPTED, 2, Reason.NONE),
        (EventKind.INTERNAL_REJECT, 0, Reason.ENGINE_RESTARTED),
    ]
    again = recover_now(history, directory)
    assert events == b"".join(apply_entries(again.core, [entry], again.skips) for entry in rest)
