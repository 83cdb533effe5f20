"""Is the archive whole, and does the live log go on from it? Every byte is read; nothing is changed.

Frame       every block against its digest and the block before it, over the ends of segments too; numbers of segments
Commands    ids rise; frames are whole runs of known kinds
Events      seqs gapless in entries and in the events themselves; chain; epoch and rules version never fall; the
            commands that events name do not go back; order ids dense; trade ids and prevented ids dense by market
Openings    each says exactly what the segments before it add up to
Bases       each file is the one that was kept
Live log    where both have the same entries they are equal; the live log goes on from the archive's end to its head
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from apps.ledger.columns import Column, column
from apps.orders.archive import bases, policy
from apps.orders.archive.blocks import BlockKind
from apps.orders.archive.errors import ArchiveDamaged, ArchiveStopped
from apps.orders.archive.log import ReadableLog
from apps.orders.archive.packing import named, unpack_commands, unpack_events
from apps.orders.archive.process import READER_COMMANDS, READER_EVENTS
from apps.orders.archive.reader import Archive, Contents, Segment, after_events, beginning_of, check_join
from apps.orders.archive.source import Source
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.columns import split
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId, EventEntry
from apps.streams.bus.errors import LogUnreadable
from apps.streams.codec import iter_runs
from apps.streams.kinds import EventKind
from apps.streams.records import COMMAND_VERSION, COMMANDS, FRAME_SIZE, FrameError
from apps.streams.shards import order_ids_after

Entry = TypeVar("Entry", CommandEntry, EventEntry)
Place = TypeVar("Place", int, EntryId)

_KINDS: Final = np.array([int(kind) for kind in COMMANDS], dtype=np.uint8)


@dataclass(slots=True)
class Counts:
    """What was looked at. `overlap_*`: entries that archive and live log both have; `live_events`: those after it."""

    segments: int = 0
    blocks: int = 0
    bytes: int = 0
    command_entries: int = 0
    commands: int = 0
    event_entries: int = 0
    events: int = 0
    trades: int = 0
    skips: int = 0
    bases: int = 0
    torn_bytes: int = 0
    overlap_command_entries: int = 0
    overlap_event_entries: int = 0
    live_events: int = 0


@dataclass(slots=True)
class Verified:
    """`wrong` is empty where all is whole, else the first thing that is not, with its place."""

    counts: Counts = field(default_factory=Counts)
    first_seq: int = 0
    last_seq: int = 0
    chain: str = ""
    last_command: str = ""
    wrong: str = ""

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "whole": not self.wrong}


@dataclass(slots=True)
class _Ids:
    """Ids that are dense over the whole log; 0: none seen yet, and an archive may begin anywhere."""

    last_order: int = 0
    last_trade: dict[int, int] = field(default_factory=dict)
    last_prevented: dict[int, int] = field(default_factory=dict)
    last_cmd: EntryId = START

    def take(self, entries: list[EventEntry], where: str, *, from_first: bool) -> int:
        """Check the events of consecutive entries; returns how many trades there are."""
        body = b"".join(entry.body for entry in entries)
        try:
            by_kind, _ = split(body, entries[0].first_seq, entries[-1].last_seq)
        except SettlementStopped as problem:
            raise ArchiveDamaged(f"{where}: {problem}") from problem
        accepted = by_kind.get(EventKind.ORDER_ACCEPTED)
        if accepted is not None:
            ids = column(accepted["order_id"])
            self.last_order = _dense(ids, self.last_order, f"{where}: order ids", from_first=from_first)
        for kind, name, last in (
            (EventKind.TRADE, "trade_id", self.last_trade),
            (EventKind.PREVENTED_MATCH, "prevented_id", self.last_prevented),
        ):
            events = by_kind.get(kind)
            for market in np.unique(events["market_id"]) if events is not None else ():
                assert events is not None
                ids = column(events[name][events["market_id"] == market])
                what = f"{where}: {name}s of market {int(market)}"
                last[int(market)] = _dense(ids, last.get(int(market), 0), what, from_first=from_first)
        for entry in entries:
            if entry.last_cmd < self.last_cmd:
                raise ArchiveDamaged(f"{where}: entry {entry.first_seq} covers commands up to {entry.last_cmd} again")
            self.last_cmd = entry.last_cmd
        trades = by_kind.get(EventKind.TRADE)
        return len(trades) if trades is not None else 0


def _dense(ids: Column, last: int, what: str, *, from_first: bool) -> int:
    """The last of `ids`, which must follow `last` without a gap; ArchiveDamaged otherwise."""
    expected = last + 1 if last or from_first else int(ids[0])
    wrong = np.flatnonzero(ids != np.arange(expected, expected + len(ids)))
    if len(wrong):
        place = int(wrong[0])
        raise ArchiveDamaged(f"{what} are not dense: {int(ids[place])} where {expected + place} comes next")
    return int(ids[-1])


def verify_archive(directory: Path) -> Verified:
    """Everything but the live log."""
    result = Verified()
    try:
        archive = Archive(directory)
        begin = archive.begin()
        result.first_seq = begin.seq + 1
        _verify_segments(archive, result)
        for base in archive.bases():
            bases.load(directory, base)
            result.counts.bases += 1
    except ArchiveDamaged as damage:
        result.wrong = str(damage)
    return result


def _verify_segments(archive: Archive, result: Verified) -> None:
    begin = archive.begin()
    shard = archive.segments[0].opening.shard
    ids = _Ids(last_order=order_ids_after(shard) if begin.seq == 0 else 0)
    counts, before = result.counts, None
    for segment in archive.segments:
        name = segment.path.name
        if before is not None:
            check_join(segment, before.digest)
            _check_opening(segment, before)
        contents = beginning_of(segment)
        counts.segments += 1
        counts.bytes += segment.path.stat().st_size
        for block in archive.walk(segment):
            contents.take(block, name)
            counts.blocks += 1
            if block.header.kind is BlockKind.COMMANDS:
                entries = unpack_commands(block, name)
                counts.command_entries += len(entries)
                counts.commands += sum(_commands_in(entry, named(block, name)) for entry in entries)
            elif block.header.kind is BlockKind.EVENTS:
                found = unpack_events(block, name)
                counts.trades += ids.take(found, named(block, name), from_first=begin.seq == 0)
                counts.event_entries += len(found)
                counts.events += found[-1].last_seq - found[0].first_seq + 1
            result.last_seq, result.chain = contents.ends.seq, contents.ends.chain
            result.last_command = str(contents.ends.cmd)
        before = contents
    counts.torn_bytes = archive.torn_bytes
    counts.skips = len(archive.skips())


def _check_opening(segment: Segment, before: Contents) -> None:
    opening = segment.opening
    versions = [stretch.rules_version for stretch in before.stretches]
    if versions != sorted(versions):
        raise ArchiveDamaged(f"before segment {segment.path.name} the rules version of events falls: {versions}")
    said = (opening.ends, opening.skips, opening.bases, opening.stretches)
    if said != (before.ends, before.skips, before.bases, before.stretches):
        raise ArchiveDamaged(
            f"segment {segment.path.name} says something else about the segments before it than they do"
        )


def _commands_in(entry: CommandEntry, where: str) -> int:
    """How many commands; ArchiveDamaged where the frames are not whole runs of known kinds."""
    frames = np.frombuffer(entry.frames, dtype=np.uint8)
    count, rest = divmod(len(frames), FRAME_SIZE)
    if rest == 0 and count:
        heads = frames.reshape(count, FRAME_SIZE)
        plain = (heads[:, 0] == COMMAND_VERSION) & (heads[:, 2] == 1) & np.isin(heads[:, 1], _KINDS)
        if plain.all():
            return count
    try:
        return sum(1 for _ in iter_runs(entry.frames))
    except FrameError as error:
        raise ArchiveDamaged(f"{where}: command entry {entry.id}: {error}") from error


# -- the live log -----------------------------------------------------------------------------------------------------
def verify_live(directory: Path, bus: Bus, result: Verified) -> None:
    """Lay the live log beside a verified archive. BusAway where redis-core does not answer."""
    try:
        archive = Archive(directory)
        _check_claimed(archive, bus)
        Source(bus, directory).check_joins(archive.end())
        _check_skips(archive, bus)
        _compare_events(archive, bus, result.counts)
        _compare_commands(archive, bus, result.counts)
        result.counts.live_events = _follow_to_head(archive, bus)
    except (ArchiveDamaged, ArchiveStopped) as problem:
        result.wrong = str(problem)
    except LogUnreadable as problem:
        result.wrong = f"the live log is damaged (the archive by itself is whole): {problem}"


def _check_claimed(archive: Archive, bus: Bus) -> None:
    cursors, end = bus.cursors(), archive.end()
    events, commands = cursors.get(READER_EVENTS), cursors.get(READER_COMMANDS)
    if events is None or commands is None:
        raise ArchiveStopped("redis-core knows of no archive: the process archive never ran on this log")
    archive.refresh()  # the cursors may have moved since it was read, and the archive before them
    end = archive.end()
    if int(events.position) > end.seq or EntryId.parse(commands.position) > end.cmd:
        raise ArchiveDamaged(
            f"redis-core says that events up to {events.position} and commands up to {commands.position} are archived,"
            f" but whole blocks end at event {end.seq} and command {end.cmd}: segments were removed, cut or damaged"
        )


def _check_skips(archive: Archive, bus: Bus) -> None:
    archived, live = archive.skips(), bus.read_skips()
    for commands, reason in archived.items():
        if live.get(commands) != reason:
            raise ArchiveDamaged(f"skip {commands} ({reason}) is {live.get(commands, 'missing')} in the live log")
    for commands in live.keys() - archived.keys():
        ms, n, *_ = commands.partition("..")[0].split("-")
        if EntryId(int(ms), int(n)) <= archive.end().cmd:
            raise ArchiveDamaged(f"skip {commands} of the live log is missing in the archive, which has the command")


def _compare_events(archive: Archive, bus: Bus, counts: Counts) -> None:
    """Of both only what the archive had at first: it may grow meanwhile, and its files are read to their ends."""
    end = archive.end().seq
    first = next(iter(bus.read_events(0, count=1)), None)
    after = max(first.first_seq - 1 if first is not None else end, archive.begin().seq)
    live = takewhile(lambda entry: entry.last_seq <= end, _events_of(bus, after))
    archived = takewhile(lambda entry: entry.last_seq <= end, archive.events(after))
    counts.overlap_event_entries = _overlap(
        live, archived, lambda entry: entry.last_seq, lambda seq: seq <= bus.trimmed().seq, "event entry that ends at"
    )


def _compare_commands(archive: Archive, bus: Bus, counts: Counts) -> None:
    end, after = archive.end().cmd, max(bus.trimmed().cmd, archive.begin().cmd)
    live = takewhile(lambda entry: entry.id <= end, _commands_of(bus, after))
    archived = takewhile(lambda entry: entry.id <= end, archive.commands(after))
    counts.overlap_command_entries = _overlap(
        live, archived, lambda entry: entry.id, lambda cmd: cmd <= bus.trimmed().cmd, "command entry"
    )


def _overlap(
    live: Iterator[Entry],
    archived: Iterator[Entry],
    place_of: Callable[[Entry], Place],
    trimmed: Callable[[Place], bool],
    what: str,
) -> int:
    """How many entries both have. What only the archive has must have been trimmed, perhaps just now."""
    count = 0
    for entry in live:
        place = place_of(entry)
        for same in archived:
            if place_of(same) == place:
                break
            if not trimmed(place_of(same)):
                raise ArchiveDamaged(f"{what} {place_of(same)} of the archive is missing in the live log")
        else:
            raise ArchiveDamaged(f"{what} {place} of the live log is missing in the archive")
        if same != entry:
            raise ArchiveDamaged(f"{what} {place} is another one in the archive than in the live log")
        count += 1
    for same in archived:
        if not trimmed(place_of(same)):
            raise ArchiveDamaged(f"{what} {place_of(same)} of the archive is missing in the live log")
    return count


def _follow_to_head(archive: Archive, bus: Bus) -> int:
    """Events after the archive's end, along the chain to the head; how many there are."""
    end, head = archive.end(), bus.head()
    ends = end
    for entry in _events_of(bus, end.seq):
        if entry.first_seq > head.seq:
            break
        ends = after_events(ends, [entry], "live log")
    if ends.seq < head.seq or (ends.seq == head.seq and ends.chain != head.chain):
        raise ArchiveDamaged(f"the live log's entries end at event {ends.seq}, its head says {head.seq}")
    return ends.seq - end.seq


def _events_of(log: ReadableLog, after: int) -> Iterator[EventEntry]:
    while entries := log.read_events(after, count=policy.EVENT_ENTRIES_PER_READ):
        yield from entries
        after = entries[-1].last_seq


def _commands_of(log: ReadableLog, after: EntryId) -> Iterator[CommandEntry]:
    while entries := log.read_commands(after, count=policy.COMMAND_ENTRIES_PER_READ):
        yield from entries
        after = entries[-1].id
