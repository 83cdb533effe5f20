"""From what is on disk to a state that may go on: load, check, replay, compare (architecture.md section 3, Recovery).

Order of work: newest snapshot that loads, or the state that this process followed as a standby -> the checks below ->
commands after it are replayed up to the head, the events they give are cut at the published entries' ends and compared
by chain. Only then may anything be appended, and it follows the head. Every failed check is a `Halt` of its own;
nothing is written or deleted here.
"""

from pathlib import Path
from typing import Final, NamedTuple

import structlog

from apps.common.hashchain import extend
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.authority import Settled
from apps.matching.core import Core, CoreClass, Position
from apps.matching.engine.errors import SnapshotError, UnreadableVersion
from apps.matching.errors import (
    CommandsMiscounted,
    CommandsTrimmedTooFar,
    EngineFailed,
    LogBehindPostgres,
    LogBehindSnapshot,
    LogDamaged,
    NoUsableSnapshot,
    OtherRulesVersion,
    PostgresNotOfThisLog,
    PostgresTooOld,
    ReplayDiffers,
    ReplayFailed,
    SnapshotNotOfThisLog,
    SnapshotUnreadable,
)
from apps.matching.skips import Skips
from apps.matching.snapshots import Snapshot
from apps.streams.bus.base import NOTHING_TRIMMED, Bus, EntryId, EventEntry, Head
from apps.streams.records import EVENT_SIZE, FRAME_SIZE

log = structlog.get_logger(__name__)

ENTRIES_PER_READ: Final = 500
# An event entry may have most of a megabyte, so that one read stays below about 50 MB on both sides.
EVENT_ENTRIES_PER_READ: Final = 64
# While clients append, the frames are counted again this often before a count between two readings is enough.
COUNT_ATTEMPTS: Final = 5
ENTRY_N_MAX: Final = 2**64 - 1
KEEP_COPIES: Final = " Keep copies of redis-core's data directory, the snapshots and PostgreSQL before you do anything."


class Recovered(NamedTuple):
    """A core at the head of the log. `snapshot` is what it started from, None for an empty or a followed state."""

    core: Core
    position: Position
    skips: Skips
    snapshot: Snapshot | None


def recover(
    bus: Bus,
    directory: Path,
    core_class: CoreClass,
    settled: Settled,
    *,
    followed: Recovered | None = None,
    mark_in: memoryview | None = None,
) -> Recovered:
    """The state at the head of the log, checked. Raises a Halt; BusAway where the log cannot be read.

    `followed` is a standby's state, checked like a snapshot, and dropped where a paused one came too late. `mark_in`
    is told the command that is being applied.
    """
    skips = Skips.parse(bus.read_skips())
    head = bus.head()
    check_record(bus, head, settled)
    if followed is not None and _trimmed_away(bus, head, followed.position):
        log.info("this standby was paused for so long that the log no longer joins: it loads a snapshot")
        followed = None
    if followed is None:
        core, start, snapshot = start_state(bus, directory, core_class, head)
    else:
        core, start, snapshot = followed.core, followed.position, None
        check_history(bus, head, start, "the state that this standby followed")
    if mark_in is not None:
        core.mark_in(mark_in)
    try:
        position = replay(bus, core, start, head, skips, core_class.RULES_VERSION)
    except EngineFailed as failure:
        raise ReplayFailed(
            f"while replaying what was published: {failure} The engine or the log was changed; start the release that"
            f" wrote it.{KEEP_COPIES}"
        ) from failure
    check_waiting_commands(bus, position)
    log.info("recovered", seq=position.seq, replayed_frames=position.frames - start.frames, started_at_seq=start.seq)
    return Recovered(core, position, skips, snapshot)


def start_state(bus: Bus, directory: Path, core_class: CoreClass, head: Head) -> tuple[Core, Position, Snapshot | None]:
    """The newest snapshot that loads, checked and restored; an empty core where nothing was ever trimmed."""
    snapshot = snapshots.newest(directory)
    if snapshot is None:
        _check_log_is_whole(bus, directory)
        return core_class(), Position(), None
    if snapshot.seq > head.seq:  # a standby starts while another worker trades: the file may be newer than this head
        head = bus.head()
    check_history(bus, head, snapshot.position, f"snapshot {snapshot.path.name}")
    check_version(snapshot.rules_version, core_class.RULES_VERSION, at_head=snapshot.seq == head.seq)
    try:
        core = core_class.restore(snapshot.body)
    except UnreadableVersion as error:
        raise OtherRulesVersion(f"snapshot {snapshot.path.name}: {error}. Start the release that wrote it.") from error
    except SnapshotError as error:
        raise SnapshotUnreadable(
            f"snapshot {snapshot.path.name} has the right checksum, but the engine cannot read it: {error}."
            f"{KEEP_COPIES}"
        ) from error
    return core, snapshot.position, snapshot


# -- checks -----------------------------------------------------------------------------------------------------------
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
            f" {_shown(chain)}: two histories. Restore the pair that belongs together.{KEEP_COPIES}"
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
            f"at event {start.seq} {name} has chain {start.chain or '(none)'} and the log has {_shown(chain)}: two"
            f" histories. Find out which one PostgreSQL shares; never mix them.{KEEP_COPIES}"
        )
    trimmed = bus.trimmed()
    if trimmed.cmd > start.last_cmd:
        raise CommandsTrimmedTooFar(
            f"commands up to {trimmed.cmd} were trimmed, but {name} ends at {start.last_cmd}. Bring a newer snapshot"
            f" back from a backup.{KEEP_COPIES}"
        )


def _trimmed_away(bus: Bus, head: Head, start: Position) -> bool:
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


def _check_log_is_whole(bus: Bus, directory: Path) -> None:
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


# -- replay -----------------------------------------------------------------------------------------------------------
def replay(bus: Bus, core: Core, start: Position, head: Head, skips: Skips, rules_version: int) -> Position:
    """Apply the commands after `start` up to the head's last one; the position then, compared entry by entry."""
    if start.seq == head.seq:
        return start
    published = _Published(bus, start, head, rules_version)
    last_cmd, frames = start.last_cmd, start.frames
    while last_cmd < head.cmd:
        entries = [e for e in bus.read_commands(last_cmd, count=ENTRIES_PER_READ) if e.id <= head.cmd]
        if not entries:
            raise ReplayDiffers(
                f"the log has no command between {last_cmd} and {head.cmd}, but events up to {head.seq}.{KEEP_COPIES}"
            )
        published.compare(apply_entries(core, entries, skips))
        last_cmd = entries[-1].id
        frames += sum(len(entry.frames) for entry in entries) // FRAME_SIZE
    published.finish()
    return Position(head.seq, head.chain, last_cmd, frames)


class _Published:
    """The event entries after a position, against which regenerated events are laid."""

    def __init__(self, bus: Bus, start: Position, head: Head, rules_version: int) -> None:
        self._bus = bus
        self._seq, self._chain = start.seq, start.chain
        self._read_to = start.seq
        self._head = head
        self._rules_version = rules_version
        self._entries: list[EventEntry] = []
        self._rest = b""

    def compare(self, events: bytes) -> None:
        """Cut `events` where the published entries end and compare each by its chain; what is left waits."""
        self._rest += events
        start = 0
        while self._seq < self._head.seq:
            entry = self._next()
            size = (entry.last_seq - entry.first_seq + 1) * EVENT_SIZE
            if len(self._rest) - start < size:
                break
            self._compare_entry(entry, self._rest[start : start + size])
            start += size
            self._entries.pop(0)
        self._rest = self._rest[start:]

    def finish(self) -> None:
        """All published events came again, and no others."""
        if self._seq != self._head.seq or self._rest:
            raise ReplayDiffers(
                f"replay gives {len(self._rest) // EVENT_SIZE} events after event {self._seq}, the log ends at"
                f" {self._head.seq}.{KEEP_COPIES}"
            )
        if self._chain != self._head.chain:
            raise LogDamaged(
                f"the log's head at event {self._seq} has chain {_shown(self._head.chain)}, its last entry"
                f" {_shown(self._chain)}: redis-core's file was damaged. Bring back its newest intact append-only file"
                f" and start again.{KEEP_COPIES}"
            )

    def _next(self) -> EventEntry:
        if not self._entries:
            self._entries = self._bus.read_events(self._read_to, count=EVENT_ENTRIES_PER_READ)
            if not self._entries:
                raise ReplayDiffers(f"events after {self._read_to} are missing from the log.{KEEP_COPIES}")
            self._read_to = self._entries[-1].last_seq
        return self._entries[0]

    def _compare_entry(self, entry: EventEntry, events: bytes) -> None:
        where = f"event entry {entry.first_seq}-{entry.last_seq}"
        if entry.rules_version != self._rules_version:
            raise OtherRulesVersion(
                f"{where} was made by rules version {entry.rules_version}, this release has {self._rules_version} and"
                " must not replay it. Start the release of that version, stop its matching process with SIGTERM, and"
                " start this one again."
            )
        chain = extend(self._chain, entry.first_seq, entry.last_seq, events)
        if entry.first_seq != self._seq + 1 or chain != entry.chain:
            raise ReplayDiffers(
                f"{where} (epoch {entry.epoch}, up to command {entry.last_cmd}): replay gives chain {chain}, the log"
                f" has {entry.chain}. The engine or the log was changed; start the release that wrote it.{KEEP_COPIES}"
            )
        if entry.body != events or entry.prev_chain != self._chain:
            # The state is right, but settlement and the gateways read these bytes from the log.
            raise LogDamaged(
                f"{where}: commands and chain agree, but the entry's own bytes are not those its chain was made of:"
                f" redis-core's file was damaged. Bring back its newest intact append-only file and start again."
                f"{KEEP_COPIES}"
            )
        self._seq, self._chain = entry.last_seq, entry.chain


def _shown(chain: str | None) -> str:
    return "nothing that ends there" if chain is None else chain or "(none)"
