"""The hot standby: an engine in this process that follows the published events of the active worker.

It applies a command only once an event entry that covers it is in the log, and compares what it got with the chain, so
its state always stands at a durable position and is proven entry by entry. That is what makes it fit to write the
snapshots and to go on from at a takeover, without loading anything.

Order of reading: head -> skips -> commands. The active worker writes a skip before it publishes the events of that
command, so whatever the head covers is decided by the skips read after it.

Commands without events (in a quiet exchange nothing but ticks, for hours) are applied once the active worker counts
them as done while the head stands still. Else they would all wait for the takeover, and be trimmed away before it.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from apps.common.clock import now_ms
from apps.matching import policy, snapshots
from apps.matching.applying import apply_entries
from apps.matching.collector import free_discarded_engine
from apps.matching.core import Core, CoreClass, Position
from apps.matching.errors import CommandsTrimmedTooFar, EngineFailed, Halt, OtherRulesVersion, ReplayDiffers
from apps.matching.recovery import Recovered, start_state
from apps.matching.replay import ENTRIES_PER_READ, replay
from apps.matching.skips import Skips
from apps.matching.snapshot_keeper import SnapshotKeeper
from apps.streams.bus.base import Bus, CommandEntry, Head
from apps.streams.bus.errors import BusRefused
from apps.streams.records import FRAME_SIZE

log = structlog.get_logger(__name__)

CURSOR_PREFIX = "following"


def cursor_name(rules_version: int, name: str) -> str:
    """A standby's cursor says which rules it follows by; trimming waits for it (trimming.py)."""
    return f"{CURSOR_PREFIX}-v{rules_version}-{name}"


def standby_ready(bus: Bus, *, rules_version: int, own_name: str, head_seq: int) -> bool:
    """Whether another worker of the same rules could go on within a moment."""
    prefix = cursor_name(rules_version, "")
    return any(
        reader.startswith(prefix)
        and reader != cursor_name(rules_version, own_name)
        and now_ms() - cursor.heartbeat_ms <= policy.STANDBY_SEEN_MAX_MS
        and head_seq - int(cursor.position) <= policy.STANDBY_BEHIND_MAX
        for reader, cursor in bus.cursors().items()
    )


class Follower:
    """Not active, only reading. `step` never waits longer than FOLLOW_BLOCK_MS, but for loading a snapshot."""

    def __init__(self, bus: Bus, directory: Path, core_class: CoreClass, name: str) -> None:
        self._bus = bus
        self._directory = directory
        self._core_class = core_class
        self._name = name
        self._snapshots = SnapshotKeeper(directory, core_class)
        self._core: Core | None = None
        self._position = Position()
        self._try_again_s = 0.0
        self._heartbeat_s = 0.0
        self._announced = False
        self._cursor_refused = False
        self.trouble = ""

    @property
    def following(self) -> bool:
        return self._core is not None

    @property
    def position(self) -> Position:
        return self._position

    def step(self) -> bool:
        """Wait a moment for new events and apply them; False where it cannot follow now, and `trouble` says why.

        BusError where redis-core is away; what was followed up to then stays good, unless it was lost amid a replay.
        """
        if self._core is None and not self._begin():
            return False
        if self._bus.read_events(self._position.seq, count=1, block_ms=policy.FOLLOW_BLOCK_MS):
            self._advance()
        elif quiet := self._done_without_events():
            self._pass(quiet)
        if self._core is not None and self._snapshots.look_after(self._core, self._position):
            snapshots.prune(self._directory)
        self._heartbeat()
        return self._core is not None

    def hand_out(self) -> Recovered | None:
        """The followed state, for a takeover; this follower starts from nothing afterwards."""
        self._snapshots.abandon()
        if self._announced:
            self._bus.drop_cursor(cursor_name(self._core_class.RULES_VERSION, self._name))
            self._announced = False
        core, self._core = self._core, None
        return Recovered(core, self._position, Skips(), None) if core is not None else None

    # -- following ----------------------------------------------------------------------------------------------------
    def _begin(self) -> bool:
        if time.monotonic() < self._try_again_s:
            return False
        free_discarded_engine()
        try:
            core, start, snapshot = start_state(self._bus, self._directory, self._core_class, self._bus.head())
            if snapshot is not None and snapshot.rules_version != self._core_class.RULES_VERSION:
                # Good to start from at a takeover, which then leaves this version's own snapshot before its first
                # event. A state of these rules beside a worker of the others must never become a snapshot.
                raise OtherRulesVersion(
                    f"the log is at rules version {snapshot.rules_version}, this worker has"
                    f" {self._core_class.RULES_VERSION}: it starts at the head once the lease is free."
                )
            self._core, self._position = core, start
        except Halt as halt:
            self._give_up(halt)
            return False
        self._advance()
        return self._core is not None

    def _advance(self) -> None:
        """Up to the head; on any failure the state is thrown away, because it may stand within an entry."""
        head, stored = self._bus.head(), self._bus.read_skips()
        core, self._core = self._core, None
        assert core is not None
        try:
            self._position = self._replayed(core, head, stored)
        except (Halt, EngineFailed) as failure:
            self._give_up(failure)
        else:
            self._core = core
            self.trouble = ""

    def _replayed(self, core: Core, head: Head, stored: Mapping[str, str]) -> Position:
        skips = Skips.parse(stored)
        return replay(self._bus, core, self._position, head, skips, self._core_class.RULES_VERSION)

    def _done_without_events(self) -> list[CommandEntry]:
        """What the active worker has applied since this position while no event came.

        The count is read before the head: the worker moves it after the events. Whole entries, so that a count which
        is not one of their ends ends at the last one before.
        """
        position, done = self._position, self._bus.frame_count().done
        if done <= position.frames or self._bus.head().seq != position.seq:
            return []
        found: list[CommandEntry] = []
        for entry in self._bus.read_commands(position.last_cmd, count=ENTRIES_PER_READ):
            done -= len(entry.frames) // FRAME_SIZE
            if done < position.frames:
                break
            found.append(entry)
        return found

    def _pass(self, quiet: list[CommandEntry]) -> None:
        trimmed = self._bus.trimmed()
        core, self._core = self._core, None
        assert core is not None
        position = self._position
        try:
            if trimmed.cmd > position.last_cmd:  # then the commands that were read do not follow
                raise CommandsTrimmedTooFar(f"commands up to {trimmed.cmd} were trimmed, this standby was slower.")
            if events := apply_entries(core, quiet, Skips()):
                raise ReplayDiffers(
                    f"commands up to {quiet[-1].id} were done without an event after {position.seq}, this standby has"
                    f" {len(events)} bytes of them."
                )
        except (Halt, EngineFailed) as failure:
            self._give_up(failure)
            return
        self._core = core
        frames = sum(len(entry.frames) for entry in quiet) // FRAME_SIZE
        self._position = Position(position.seq, position.chain, quiet[-1].id, position.frames + frames)

    def _give_up(self, failure: Exception) -> None:
        if str(failure) != self.trouble:
            log.warning("standby cannot follow, it tries again from a snapshot", reason=str(failure))
        self.trouble = str(failure)
        self._try_again_s = time.monotonic() + policy.FOLLOW_RETRY_S

    # -- what the active worker relies on -----------------------------------------------------------------------------
    def _heartbeat(self) -> None:
        if self._core is None or time.monotonic() < self._heartbeat_s + policy.HEARTBEAT_EVERY_S:
            return
        self._heartbeat_s = time.monotonic()
        try:
            self._bus.set_cursor(
                cursor_name(self._core_class.RULES_VERSION, self._name),
                stream="events",
                position=str(self._position.seq),
                now_ms=now_ms(),
            )
            self._announced = True
        except BusRefused as refused:  # a replica, on a second site: it is told nothing and waits for nobody
            if not self._cursor_refused:
                log.info("the log is read-only here; the active worker does not know of this standby", why=str(refused))
            self._cursor_refused = True
