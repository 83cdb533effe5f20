"""What the archive can bring back: a snapshot at the end of the log, or the log itself when redis-core's data is gone.

A snapshot costs nothing: archive and live log together hold every command. A log that is rebuilt ends where the archive
ends, about a second before what was last acknowledged; PostgreSQL must not be ahead of that.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import psycopg

from apps.common.clock import now_ms
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.authority import PostgresAuthority, Settled
from apps.matching.core import Core, Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.policy import EVENTS_KEPT
from apps.matching.recovery import Recovered, recover
from apps.matching.replay import replay
from apps.matching.skips import Skips
from apps.orders.archive import bases
from apps.orders.archive.log import ArchivedLog, JoinedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.source import Source
from apps.streams.bus.base import START, Bus, EntryId, EventEntry
from apps.streams.bus.link import Link
from apps.streams.bus.redis import RedisBus
from apps.streams.records import FRAME_SIZE
from nebannpet.backup import database
from nebannpet.backup.audited import noted
from nebannpet.backup.entries import RawEntry
from nebannpet.backup.errors import RestoreRefused
from nebannpet.backup.installation import Installation
from nebannpet.backup.log_restore import WholeLog, found_keys, put_log
from nebannpet.backup.manifest import sync_directory

_EPOCH: Final = "SELECT epoch FROM matching_engineepoch WHERE shard = %s"
COMMANDS_PER_READ: Final = 500


@dataclass(frozen=True, slots=True)
class RebuiltLog:
    """`moved_to` has the snapshots that were there before; some of them may be of what was lost."""

    recovered: Recovered
    settled_seq: int
    events: int
    moved_to: Path | None


def rebuild_snapshot(here: Installation) -> Path:
    """The file, at the head of the log, proven by the log's own chain. Raises what archive and recovery raise."""
    with contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        if holder := bus.lease_holder():
            raise RestoreRefused(f"A matching worker is active ({holder}): it writes snapshots itself.")
        archive = Archive(here.archive_dir)
        Source(bus, here.snapshots_dir).check_joins(archive.end())
        core, position = _state_at_end(JoinedLog(archive, bus), up_to=bus.trimmed().cmd)
    with noted(here, "site.rebuilt", {"what": "snapshot", "seq": position.seq}):
        return snapshots.write(here.snapshots_dir, core, Engine, position)


def rebuild_log(here: Installation) -> RebuiltLog:
    """Into an empty redis-core, then recovered as at a start. RestoreRefused before anything is changed."""
    with contextlib.closing(Link(here.core_url)) as link, contextlib.ExitStack() as stack:
        if found := found_keys(link, here.shard):
            raise RestoreRefused(
                f"redis-core is not empty (it has {', '.join(found[:3])}). Move its data aside first, and keep it."
            )
        archived = ArchivedLog(Archive(here.archive_dir))
        settled, epoch = _record(here)
        _check_record(archived, settled)
        core, position = _state_at_end(archived, up_to=archived.last_command())
        stack.enter_context(noted(here, "site.rebuilt", {"what": "log", "seq": position.seq}))
        moved_to = _move_snapshots_aside(here)
        snapshots.write(here.snapshots_dir, core, Engine, position)
        begin = max(archived.archive.begin().seq, min(settled.seq, position.seq) - EVENTS_KEPT)
        first, entries = _from(archived, begin)
        put_log(
            link,
            WholeLog(
                shard=here.shard,
                entries={"commands": (), "events": entries},
                newest={
                    "commands": str(position.last_cmd) if position.last_cmd != START else "",
                    "events": f"{position.seq}-0" if position.seq else "",
                },
                hashes={
                    "head": {"seq": str(position.seq), "chain": position.chain, "cmd": str(archived.head().cmd)},
                    "trimmed": {"cmd": str(position.last_cmd), "seq": str(first - 1)},
                    "skips": archived.read_skips(),
                    "cursors": {
                        "settlement": f"events:{settled.seq}:{now_ms()}",
                        "archive-events": f"events:{position.seq}:{now_ms()}",
                        "archive-commands": f"commands:{archived.last_command()}:{now_ms()}",
                    },
                },
                strings={
                    "epoch": str(max(epoch, archived.archive.end().epoch)),
                    "frames_in": str(position.frames),
                    "frames_done": str(position.frames),
                },
                settled=settled.seq,
            ),
        )
    with contextlib.closing(RedisBus(here.core_url, here.shard)) as bus:
        recovered = recover(bus, here.snapshots_dir, Engine, settled)
    return RebuiltLog(recovered, settled.seq, position.seq - first + 1, moved_to)


# -- the state --------------------------------------------------------------------------------------------------------
def _state_at_end(log: ArchivedLog, *, up_to: EntryId) -> tuple[Core, Position]:
    """Replayed to the head and compared on the way; then the commands without events up to `up_to`, which were trimmed
    or archived as final, so that the position is not before what the log has forgotten."""
    core, start = _start_of(log)
    reading, head, skips = cast(Bus, log), log.head(), Skips.parse(log.read_skips())
    position = replay(reading, core, start, head, skips, RULES_VERSION)
    last, frames = position.last_cmd, position.frames
    while entries := [entry for entry in log.read_commands(last, count=COMMANDS_PER_READ) if entry.id <= up_to]:
        if apply_entries(core, entries, skips):
            raise RestoreRefused(
                f"Commands after {last} make events that the log never published. Run manage.py verify_log."
            )
        last = entries[-1].id
        frames += sum(len(entry.frames) for entry in entries) // FRAME_SIZE
    return core, Position(position.seq, position.chain, last, frames)


def _start_of(log: ArchivedLog) -> tuple[Core, Position]:
    """The newest base of this release's rules; an empty engine where the archive begins at the very first command."""
    archive, head = log.archive, log.head()
    usable = [base for base in archive.bases() if base.rules_version == RULES_VERSION and base.seq <= head.seq]
    if usable:
        snapshot = bases.load(archive.directory, usable[-1])
        return Engine.restore(snapshot.body), snapshot.position
    begin = archive.begin()
    if begin.seq == 0 and begin.cmd == START:
        return Engine(), Position()
    raise RestoreRefused(
        f"The archive begins after event {begin.seq} and keeps no snapshot of rules version {RULES_VERSION} to begin"
        " from. Use the release whose version it has (manage.py verify_log), or a backup."
    )


# -- the log ----------------------------------------------------------------------------------------------------------
def _record(here: Installation) -> tuple[Settled, int]:
    """Watermark and epoch; the beginning where the database is empty, as before `restore --database-only`."""
    with database.connect(here.dsn) as connection:
        if not database.be_the_only_one(connection):
            raise RestoreRefused("A backup or a restore is running on this database; wait for its end.")
        if not database.tables(connection):
            return Settled(0, ""), 0
        try:
            row = connection.execute(_EPOCH, [here.shard]).fetchone()
        except psycopg.errors.UndefinedTable as error:
            raise RestoreRefused("The database is not one of this exchange: it has other tables.") from error
    return PostgresAuthority(here.dsn, here.shard).settled(), int(row[0]) if row is not None else 0


def _check_record(log: ArchivedLog, settled: Settled) -> None:
    end = log.head()
    if settled.seq > end.seq:
        raise RestoreRefused(
            f"PostgreSQL is settled up to event {settled.seq}, the archive ends at {end.seq}: PostgreSQL knows more."
            " Move the database aside, rebuild the log beside an empty one, then: manage.py restore BACKUP"
            " --database-only, and manage.py settle --from archive."
        )
    if settled.seq and log.chain_at(settled.seq) != settled.chain:
        raise RestoreRefused(f"At event {settled.seq} PostgreSQL and the archive have different histories.")


def _from(log: ArchivedLog, after_seq: int) -> tuple[int, Iterator[RawEntry]]:
    """(first event, entries) after `after_seq`, up to the end."""
    entries = log.archive.events(after_seq)
    first = next(entries, None)
    if first is None:
        return log.head().seq + 1, iter(())
    return first.first_seq, _raw(first, entries)


def _raw(first: EventEntry, others: Iterator[EventEntry]) -> Iterator[RawEntry]:
    """As apps/streams/bus/scripts.APPEND_EVENTS writes them."""
    yield _raw_one(first)
    for entry in others:
        yield _raw_one(entry)


def _raw_one(entry: EventEntry) -> RawEntry:
    values = {
        "e": entry.epoch, "f": entry.first_seq, "p": entry.prev_chain, "h": entry.chain, "c": entry.last_cmd,
    }  # fmt: skip
    fields = [text.encode("ascii") for name, value in values.items() for text in (name, str(value))]
    return RawEntry(f"{entry.last_seq}-0".encode(), [*fields, b"d", entry.body, b"r", b"%d" % entry.rules_version])


def _move_snapshots_aside(here: Installation) -> Path | None:
    """Some may be of what is lost; none is deleted."""
    directory = here.snapshots_dir
    if not directory.exists() or not any(directory.iterdir()):
        return None
    aside = directory.with_name(f"{directory.name}.before-rebuild-{now_ms()}")
    directory.rename(aside)
    sync_directory(aside.parent)
    return aside
