"""The hot standby: an engine in this process that follows the published events of the active worker.

It applies a command only once an event entry that covers it is in the log, and compares what it got with the chain, so
its state always stands at a durable position and is proven entry by entry. That is what makes it fit to write the
snapshots and to go on from at a takeover, without loading anything.

Order of reading: head -> skips -> commands. The active worker writes a skip before it publishes the events of that
command, so whatever the head covers is decided by the skips read after it.
"""

import time
from pathlib import Path

import structlog

from apps.common.clock import now_ms
from apps.matching import policy, snapshots
from apps.matching.core import Core, CoreClass, Position
from apps.matching.errors import EngineFailed, Halt
from apps.matching.recovery import Recovered, replay, start_state
from apps.matching.skips import Skips
from apps.matching.snapshot_keeper import SnapshotKeeper
from apps.streams.bus.base import Bus, Head
from apps.streams.bus.errors import BusRefused

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

        BusError where redis-core is away; what was followed up to then stays good.
        """
        if self._core is None and not self._begin():
            return False
        if self._bus.read_events(self._position.seq, count=1, block_ms=policy.FOLLOW_BLOCK_MS):
            self._advance()
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
        try:
            core, start, _ = start_state(self._bus, self._directory, self._core_class, self._bus.head())
            self._core, self._position = core, start
        except Halt as halt:
            self._give_up(halt)
            return False
        self._advance()
        return self._core is not None

    def _advance(self) -> None:
        """Up to the head; on any failure the state is thrown away, because it may stand within an entry."""
        core, self._core = self._core, None
        assert core is not None
        head = self._bus.head()
        try:
            self._position = self._replayed(core, head)
        except (Halt, EngineFailed) as failure:
            self._give_up(failure)
        else:
            self._core = core
            self.trouble = ""

    def _replayed(self, core: Core, head: Head) -> Position:
        skips = Skips.parse(self._bus.read_skips())
        return replay(self._bus, core, self._position, head, skips, self._core_class.RULES_VERSION)

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
