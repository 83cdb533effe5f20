"""From what is on disk to a state that may go on: load, check, replay, compare (architecture.md section 3, Recovery).

Order of work: newest snapshot that loads, or the state that this process followed as a standby -> the checks of
recovery_checks.py -> commands after it are replayed up to the head and compared (replay.py). Only then may anything be
appended, and it follows the head. Every failed check is a `Halt` of its own; nothing is written or deleted here.

The skips are read after the head, as a standby does: a skip is written before the events of its command, so that the
skips cover the head even while another worker, who has meanwhile replaced this one, goes on.
"""

from pathlib import Path
from typing import NamedTuple

import structlog

from apps.matching import snapshots
from apps.matching.authority import Settled
from apps.matching.core import Core, CoreClass, Position
from apps.matching.engine.errors import SnapshotError, UnreadableVersion
from apps.matching.engines import prepare
from apps.matching.errors import EngineFailed, OtherRulesVersion, ReplayFailed, SnapshotUnreadable
from apps.matching.recovery_checks import (
    KEEP_COPIES,
    check_history,
    check_log_is_whole,
    check_record,
    check_version,
    check_waiting_commands,
    trimmed_away,
)
from apps.matching.replay import replay
from apps.matching.skips import Skips
from apps.matching.snapshots import Snapshot
from apps.streams.bus.base import Bus, Head

log = structlog.get_logger(__name__)


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
    head = bus.head()
    skips = Skips.parse(bus.read_skips())
    check_record(bus, head, settled)
    if followed is not None and trimmed_away(bus, head, followed.position):
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
        check_log_is_whole(bus, directory)
        core = core_class()
        prepare(core)
        return core, Position(), None
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
    prepare(core)
    return core, snapshot.position, snapshot
