"""Whether log, snapshot and PostgreSQL belong together and are whole; each failed check is a `Halt` of its own.

The same checks run at start-up, after a crash, at a takeover and after every lost connection to redis-core
(architecture.md section 3, Recovery). They only read.
"""

from pathlib import Path
from typing import Final

from apps.matching.authority import Settled
from apps.matching.core import Position
from apps.matching.errors import (
    CommandsMiscounted,
    CommandsTrimmedTooFar,
    LogBehindPostgres,
    LogBehindSnapshot,
    LogDamaged,
    NoUsableSnapshot,
    OtherRulesVersion,
    PostgresNotOfThisLog,
    PostgresTooOld,
    SnapshotNotOfThisLog,
)
from apps.streams.bus.base import NOTHING_TRIMMED, Bus, EntryId, Head
from apps.streams.records import FRAME_SIZE

ENTRIES_PER_READ: Final = 500
# While clients append, the frames are counted again this often before a count between two readings is enough.
COUNT_ATTEMPTS: Final = 5
ENTRY_N_MAX: Final = 2**64 - 1
KEEP_COPIES: Final = " Keep copies of redis-core's data directory, the snapshots and PostgreSQL before you do anything."


def check_record(bus: Bus, head: Head, settled: Settled) -> None:
    """PostgreSQL is not ahead of the log, both have one history, and the log ends where its head says."""
    if after := bus.read_events(head.seq, count=1):
        raise LogDamaged(
            f"the log's head stands at event {head.seq}, but the stream goes on with entry"
            f" {after[0].first_seq}-{after[0].last_seq}: redis-core's file was damaged. Bring back its newest intact"
            f" append-only file and start again.{KEEP_COPIES}"
        )
    if settled.seq > head.seq:
        raise LogBehindPostgres(
            f"PostgreSQL is settled up to event {settled.seq}, but redis-core's log ends at {head.seq}: redis-core lost"
            " acknowledged events (restored from an old copy, or its file was cut). Bring back its newest"
            f" append-only file and start again.{KEEP_COPIES}"
        )
    chain = bus.chain_at(settled.seq)
    trimmed = bus.trimmed()
    if chain is None and settled.seq < trimmed.seq:
        raise PostgresTooOld(
            f"PostgreSQL is settled up to event {settled.seq}, but events up to {trimmed.seq} were trimmed from the"
            " log: it was restored from an old backup. Bring it up to the log with 'manage.py settle --from archive'."
            f"{KEEP_COPIES}"
        )
    if chain != settled.chain:
        raise PostgresNotOfThisLog(
            f"at event {settled.seq} PostgreSQL has chain {settled.chain or '(none)'} and the log has"
            f" {shown_chain(chain)}: two histories. Restore the pair that belongs together.{KEEP_COPIES}"
        )


def check_history(bus: Bus, head: Head, start: Position, name: str) -> None:
    """The log reaches from `start` to its own head, and both have one history. `name` says whose position it is."""
    if start.seq > head.seq or start.last_cmd > bus.last_command():
        raise LogBehindSnapshot(
            f"{name} stands at event {start.seq}, command {start.last_cmd}, but redis-core's log ends at event"
            f" {head.seq}, command {bus.last_command()}: redis-core lost acknowledged data. Bring back its newest"
            f" append-only file and start again.{KEEP_COPIES}"
        )
    chain = bus.chain_at(start.seq)
    if chain != start.chain:
        raise SnapshotNotOfThisLog(
            f"at event {start.seq} {name} has chain {start.chain or '(none)'} and the log has {shown_chain(chain)}: two"
            f" histories. Find out which one PostgreSQL shares; never mix them.{KEEP_COPIES}"
        )
    trimmed = bus.trimmed()
    if trimmed.cmd > start.last_cmd:
        raise CommandsTrimmedTooFar(
            f"commands up to {trimmed.cmd} were trimmed, but {name} ends at {start.last_cmd}. Bring a newer snapshot"
            f" back from a backup.{KEEP_COPIES}"
        )


def trimmed_away(bus: Bus, head: Head, start: Position) -> bool:
    """Whether the log has gone on from `start`, but no longer knows how. A log that contradicts it is another thing."""
    trimmed = bus.trimmed()
    return (
        start.seq <= head.seq
        and (trimmed.cmd > start.last_cmd or trimmed.seq > start.seq)
        and bus.chain_at(start.seq) in (None, start.chain)
    )


def check_version(found: int, own: int, *, at_head: bool) -> None:
    """A worker replays only work of its own rules version; a newer one starts from a snapshot at the head."""
    if found == own or (found < own and at_head):
        return
    if found > own:
        raise OtherRulesVersion(
            f"the newest snapshot is of rules version {found}, this release has {own}: start the newer release again."
        )
    raise OtherRulesVersion(
        f"the newest snapshot is of rules version {found} and not at the head of the log, this release has {own}. Start"
        " the release before, stop its matching process with SIGTERM (it then writes a snapshot at the head), and"
        " start this one again."
    )


def check_log_is_whole(bus: Bus, directory: Path) -> None:
    trimmed = bus.trimmed()
    if trimmed != NOTHING_TRIMMED:
        raise NoUsableSnapshot(
            f"the log was trimmed up to command {trimmed.cmd} and event {trimmed.seq}, and {directory} holds no"
            f" snapshot that loads. Bring one back from a backup.{KEEP_COPIES}"
        )


def check_waiting_commands(bus: Bus, position: Position) -> None:
    """The last applied command is in the stream, and as many frames follow it as were appended since.

    Commands without events are covered by no chain: an entry lost from the middle of the stream, or a processed one
    that a damaged id has put behind the head, is seen only here. Clients may append meanwhile.
    """
    last = position.last_cmd
    if bus.trimmed().cmd < last:
        before_last = EntryId(last.ms, last.n - 1) if last.n else EntryId(last.ms - 1, ENTRY_N_MAX)
        if [entry.id for entry in bus.read_commands(before_last, count=1)] != [last]:
            raise CommandsMiscounted(
                f"command entry {last}, the last one that was applied, is not in the stream: redis-core's file was"
                f" damaged. Bring back its newest intact append-only file and start again.{KEEP_COPIES}"
            )
    for _ in range(COUNT_ATTEMPTS):
        before = bus.frame_count().appended
        total = position.frames + _frames_after(bus, position.last_cmd)
        after = bus.frame_count().appended
        if before == total == after:
            return
        if before == after:
            break
    if not before <= total <= after:
        raise CommandsMiscounted(
            f"{total} command frames are processed or wait in the stream after command {position.last_cmd}, but"
            f" {after} were ever appended: redis-core's file was damaged, command entries are missing or stand twice."
            f" Bring back its newest intact append-only file and start again.{KEEP_COPIES}"
        )


def _frames_after(bus: Bus, last: EntryId) -> int:
    count = 0
    while entries := bus.read_commands(last, count=ENTRIES_PER_READ):
        count += sum(len(entry.frames) for entry in entries) // FRAME_SIZE
        last = entries[-1].id
    return count


def shown_chain(chain: str | None) -> str:
    return "nothing that ends there" if chain is None else chain or "(none)"
