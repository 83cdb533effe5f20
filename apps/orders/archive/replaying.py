"""The engine's state at any event of an archive or of the live log, made again from commands and compared on the way.

A replay begins from an empty engine, or from the first base snapshot of this release's rules version, and goes over
command entries. Within one event entry it goes on command by command, so any sequence number can be asked for; a
command is never cut, so the state is the one after the whole command that made the event.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.replay import replay
from apps.matching.shards import engine_of
from apps.matching.skips import Skips
from apps.matching.snapshots import Snapshot
from apps.matching.stamping import stamp_entry
from apps.orders.archive import bases
from apps.orders.archive.errors import ReplayRefused
from apps.orders.archive.log import ArchivedLog, ReadableLog
from apps.orders.archive.packing import Stretch
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId, EventEntry, Head
from apps.streams.codec import iter_runs


@dataclass(frozen=True, slots=True)
class Replayed:
    """`seq` is the last event of the command that made the event asked for; `chain` is the log's at `chain_seq`, the
    end of the last whole event entry up to there. `start_seq` is where the replay began (0: from empty)."""

    start_seq: int
    seq: int
    chain_seq: int
    chain: str
    last_command: str
    state_hash: str
    rules_version: int


def replay_archive(log: ArchivedLog, to_seq: int | None = None, through: EntryId | None = None) -> Replayed:
    """From empty or the first base of these rules to event `to_seq` (None: the end of the log).

    `through`: then on over the commands without events up to that entry, which is where a snapshot stands.

    ReplayRefused where another release must do it; Halt of apps.matching.errors where replay and log differ.
    """
    archive = log.archive
    begin, end = archive.begin(), log.head().seq
    to_seq = end if to_seq is None else to_seq
    if not begin.seq <= to_seq <= end:
        raise ReplayRefused(f"event {to_seq} is not in this archive, which has {begin.seq + 1} to {end}")
    stretch, until = _stretch_of(archive.stretches(), to_seq, end)
    if stretch is not None and stretch.rules_version != RULES_VERSION:
        raise ReplayRefused(
            f"events {stretch.first_seq} to {until} were made by rules version {stretch.rules_version}, this release"
            f" has {RULES_VERSION}. Use a release with rules version {stretch.rules_version} for them."
        )
    own_first = stretch.first_seq if stretch is not None else begin.seq + 1
    if begin.seq == 0 and begin.cmd == START and own_first == 1:
        return _replay(log, engine_of(log.shard)(), Position(), to_seq, through)
    usable = [b for b in archive.bases() if b.rules_version == RULES_VERSION and own_first - 1 <= b.seq <= to_seq]
    if not usable:
        raise ReplayRefused(
            f"there is no base snapshot of rules version {RULES_VERSION} between events {own_first - 1} and {to_seq} in"
            f" {archive.directory}: a replay can only begin from one, or from the very first event"
        )
    snapshot = bases.load(archive.directory, usable[0])
    return _replay(log, Engine.restore(snapshot.body), snapshot.position, to_seq, through)


def replay_live(
    log: ReadableLog, snapshots_dir: Path, to_seq: int | None = None, through: EntryId | None = None
) -> Replayed:
    """The same over redis-core's log alone: from empty, or from the oldest kept snapshot."""
    head = log.head()
    to_seq = head.seq if to_seq is None else to_seq
    if not 0 <= to_seq <= head.seq:
        raise ReplayRefused(f"event {to_seq} is not in the log, which ends at {head.seq}")
    trimmed = log.trimmed()
    if trimmed.cmd == START and trimmed.seq == 0:
        return _replay(log, engine_of(log.shard)(), Position(), to_seq, through)
    kept = [each for each in snapshots.good(snapshots_dir) if _usable(each, to_seq) and each.last_cmd >= trimmed.cmd]
    if not kept:
        raise ReplayRefused(
            f"commands up to {trimmed.cmd} were trimmed from the log, and there is no snapshot of rules version"
            f" {RULES_VERSION} up to event {to_seq}. The archive has the rest: manage.py replay --from archive"
        )
    return _replay(log, Engine.restore(kept[-1].body), kept[-1].position, to_seq, through)


def _usable(snapshot: Snapshot, to_seq: int) -> bool:
    return snapshot.rules_version == RULES_VERSION and snapshot.seq <= to_seq


def _stretch_of(stretches: Sequence[Stretch], seq: int, end: int) -> tuple[Stretch | None, int]:
    """(the stretch that event `seq` is in, its last event); None before the first event."""
    found, until = None, end
    for stretch in stretches:
        if stretch.first_seq > max(seq, 1):
            return found, stretch.first_seq - 1
        found = stretch
    return found, until


def _replay(log: ReadableLog, engine: Engine, start: Position, to_seq: int, through: EntryId | None) -> Replayed:
    skips = Skips.parse(log.read_skips())
    entry = next(iter(log.read_events(to_seq - 1, count=1)), None) if to_seq > start.seq else None
    last_command: EntryId | None = None
    if entry is None:
        position = start
    elif entry.last_seq == to_seq:
        position = _replay_to(log, engine, start, entry, skips)
    else:
        position = _replay_before(log, engine, start, entry, skips)
        last_command = _replay_within(log, engine, position, entry, to_seq, skips)
    if through is not None:
        last_command = _pass_time(log, engine, last_command or position.last_cmd, through, skips)
    return Replayed(
        start_seq=start.seq, seq=engine.seq, chain_seq=position.seq, chain=position.chain,
        last_command=str(last_command or position.last_cmd), state_hash=engine.state_hash(),
        rules_version=RULES_VERSION,
    )  # fmt: skip


def _replay_before(log: ReadableLog, engine: Engine, start: Position, entry: EventEntry, skips: Skips) -> Position:
    """Up to the end of the event entry before `entry`."""
    before = entry.first_seq - 1
    if before <= start.seq:
        return start
    return _replay_to(log, engine, start, log.read_events(before - 1, count=1)[0], skips)


def _replay_to(log: ReadableLog, engine: Engine, start: Position, entry: EventEntry, skips: Skips) -> Position:
    """Up to the end of `entry`, compared with the log entry by entry."""
    head = Head(entry.last_seq, entry.chain, entry.last_cmd)
    return replay(cast(Bus, log), engine, start, head, skips, RULES_VERSION)  # it only reads


def _replay_within(
    log: ReadableLog, engine: Engine, start: Position, entry: EventEntry, to_seq: int, skips: Skips
) -> EntryId:
    """Command by command into an event entry, until the command that makes event `to_seq` is done."""
    last, made = start.last_cmd, b""
    while engine.seq < to_seq:
        command = next(iter(log.read_commands(last, count=1)), None)
        if command is None or command.id > entry.last_cmd:
            raise ReplayRefused(f"the commands up to {entry.last_cmd} do not give event {to_seq}")
        made += _apply_until(engine, command, to_seq, skips)
        last = command.id
    if entry.body[: len(made)] != made:
        raise ReplayRefused(f"replay gives other events than {entry.first_seq} to {engine.seq} of the log")
    return last


def _apply_until(engine: Engine, entry: CommandEntry, to_seq: int, skips: Skips) -> bytes:
    frames, made = stamp_entry(entry), b""
    for index, (offset, length) in enumerate(iter_runs(frames)):
        run = frames[offset : offset + length]
        reason = skips.reason(entry.id, index, run[1])
        made += engine.process(run) if reason is None else engine.skip(run, reason)
        if engine.seq >= to_seq:
            break
    return made


def _pass_time(log: ReadableLog, engine: Engine, last: EntryId, through: EntryId, skips: Skips) -> EntryId:
    """Commands that give no event move the engine's clock and nothing else."""
    seq = engine.seq
    while last < through:
        entries = [entry for entry in log.read_commands(last, count=500) if entry.id <= through]
        if not entries or apply_entries(engine, entries, skips):
            raise ReplayRefused(
                f"after event {seq} there is no command entry {through} without events in between"
                if entries
                else f"there is no command entry {through} after {last} here; the live log may have it (--from log)"
            )
        last = entries[-1].id
    if last != through:
        raise ReplayRefused(f"command entry {through} comes before event {seq}, or is not in the log")
    return last
