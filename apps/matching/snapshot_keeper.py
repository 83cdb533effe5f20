"""When a snapshot is due, and what follows from a new one; the same for the active worker and for a standby.

The directory tells: whoever wrote its newest file, active worker or standby on the same disk, did it for both. A
snapshot's age is counted from the command at which it stands.
"""

import time
from pathlib import Path

import structlog

from apps.common.crashpoints import reach
from apps.matching import metrics, policy, snapshots
from apps.matching.core import Core, CoreClass, Position
from apps.matching.snapshot_writer import SnapshotWriter
from apps.streams.bus.base import EntryId

log = structlog.get_logger(__name__)


class SnapshotKeeper:
    """`look_after` is called often and looks at the directory now and then. At most one writer at a time."""

    def __init__(self, directory: Path, core_class: CoreClass) -> None:
        self._directory = directory
        self._writer = SnapshotWriter(directory, core_class)
        self._newest = self._newest_in_directory()
        self._began_s = time.monotonic()
        self._look_s = 0.0
        self._retry_s = 0.0
        self._wanted = False

    def look_after(self, core: Core, position: Position, *, wanted: bool = False, patience: float = 1.0) -> bool:
        """Write one if it is due or `wanted`; True when the directory has a newer one than at the last look.

        `core` must stand at `position`, which must be durable. `patience` stretches the periods.
        """
        self._wanted = self._wanted or wanted
        finished = self._writer.poll()
        now_s = time.monotonic()
        if finished is not None:
            self._note_end(*finished)
        elif now_s < self._look_s and not wanted:
            return False
        self._look_s = now_s + policy.SNAPSHOT_LOOK_S
        newest, before = self._newest_in_directory(), self._newest
        self._newest = newest
        if not self._writer.busy and now_s >= self._retry_s and (self._wanted or self._due(position, patience)):
            self._start(core, position)
        return newest != before

    def write_now(self, core: Core, core_class: CoreClass, position: Position) -> None:
        """In this process, at a hand-over or before the first event of a new rules version."""
        started_s = time.monotonic()
        snapshots.write(self._directory, core, core_class, position)
        self._newest = self._newest_in_directory()
        metrics.SNAPSHOT_SEQ.set(position.seq)
        log.info("snapshot at the head", seq=position.seq, seconds=round(time.monotonic() - started_s, 3))

    def abandon(self) -> None:
        self._writer.abandon()

    def _start(self, core: Core, position: Position) -> None:
        self._wanted = False
        reach("matching.snapshot.before")
        try:
            self._writer.start(core, position)
        except OSError as error:  # no memory or no process left for a fork: the work goes on without
            self._note_end(position, str(error))

    def _note_end(self, position: Position, failure: str) -> None:
        if failure:
            self._retry_s = time.monotonic() + policy.SNAPSHOT_RETRY_S
            metrics.SNAPSHOT_FAILURES.inc()
            log.error("snapshot not written; the older ones stay", seq=position.seq, error=failure)
        else:
            reach("matching.snapshot.after")
            metrics.SNAPSHOT_SEQ.set(position.seq)

    def _due(self, position: Position, patience: float) -> bool:
        if self._newest is None:
            seq, age_s = 0, time.monotonic() - self._began_s
        else:
            seq, command = self._newest
            age_s = (position.last_cmd.ms - command.ms) / 1000
        return age_s >= policy.SNAPSHOT_EVERY_S * patience or (
            position.seq - seq >= policy.SNAPSHOT_EVERY_EVENTS * patience
        )

    def _newest_in_directory(self) -> tuple[int, EntryId] | None:
        kept = snapshots.kept(self._directory)
        return snapshots.position_in_name(kept[0]) if kept else None
