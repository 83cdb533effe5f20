"""The process `run_archive`: both streams and the skips of a shard into segments, for ever.

One round: read what is final -> one write and one fsync -> only then the cursors on redis-core, which trimming waits
for. What the archive holds is the truth about how far it is; the cursors follow it.

redis-core away or the disk full: back off and go on. Archive and log in disagreement: nothing more is written, the
health check says why, and the process stays until a person has looked.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from apps.common.clock import now_ms
from apps.common.crashpoints import reach
from apps.orders.archive import policy
from apps.orders.archive.bases import BaseWatch, first_of_trimmed_log
from apps.orders.archive.errors import ArchiveDamaged, ArchiveStopped
from apps.orders.archive.growth import Growth
from apps.orders.archive.packing import Ends
from apps.orders.archive.retention import Retention
from apps.orders.archive.source import Round, Source
from apps.orders.archive.writer import Claimed, Writer
from apps.streams.bus.base import Bus, EntryId
from apps.streams.bus.errors import BusError
from nebannpet.health import Health

log = structlog.get_logger(__name__)

READER_COMMANDS: Final = "archive-commands"
READER_EVENTS: Final = "archive-events"

SEQ: Final = Gauge("archive_seq", "Event sequence number up to which the archive is durable")
LAG_EVENTS: Final = Gauge("archive_lag_events", "Durable events that are not archived yet")
SIZE: Final = Gauge("archive_bytes", "Bytes of all segments of the archive")
PER_DAY: Final = Gauge("archive_bytes_per_day", "Growth of the archive over the last day, or since it began")
WRITTEN: Final = Counter("archive_written_bytes_total", "Bytes this process appended to the archive")
RAW: Final = Counter("archive_raw_bytes_total", "Bytes of the entries this process archived, before compression")
ROUNDS: Final = Counter("archive_rounds_total", "Rounds written, each with one fsync")
STOPPED: Final = Gauge("archive_stopped", "1 while archive and log disagree and nothing is archived, else 0")


class ArchiveProcess:
    """Runs until `stop` is set. Not thread-safe except `check`, which only reads attributes."""

    def __init__(
        self,
        *,
        shard: str,
        open_bus: Callable[[], Bus],
        directory: Path,
        snapshots_dir: Path,
        stop: threading.Event,
        keep_days: int = 0,
        begin_anew: bool = False,
    ) -> None:
        self._shard = shard
        self._open_bus = open_bus
        self._directory = directory
        self._snapshots_dir = snapshots_dir
        self._stop = stop
        self._begin_anew = begin_anew
        self._retention = Retention(directory, keep_days)
        self._growth = Growth()
        self._pause_s = policy.BACK_OFF_FIRST_S
        self._behind_since: float | None = None
        self.status = "starting"
        self.explanation = ""
        self.ends = Ends()
        self.lag_events = 0
        self.segment = 0
        self.size = 0

    def check(self) -> Health:
        """Failing while it does not archive, or is further behind than the policy allows."""
        behind_s = time.monotonic() - self._behind_since if self._behind_since is not None else 0.0
        fine = self.status == "archiving" and (
            self.lag_events <= policy.LAG_LIMIT_EVENTS and behind_s <= policy.LAG_LIMIT_S
        )
        return Health(
            ok=fine,
            details={
                "state": self.status,
                "explanation": self.explanation,
                "seq": self.ends.seq,
                "command": str(self.ends.cmd),
                "lag_events": self.lag_events,
                "segment": self.segment,
                "bytes": self.size,
                "bytes_per_day": self._growth.per_day(),
            },
        )

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(self._open_bus()) as bus, Writer(self._directory, self._shard) as writer:
                    self._run_on(writer, bus)
            except BusError as error:
                self._back_off("waiting for redis-core", error)
            except OSError as error:
                self._back_off("the disk refuses", error)
            except (ArchiveStopped, ArchiveDamaged) as reason:
                self._stay(reason)

    # -- one connection -----------------------------------------------------------------------------------------------
    def _run_on(self, writer: Writer, bus: Bus) -> None:
        source, watch = Source(bus, self._snapshots_dir), BaseWatch(self._directory, self._snapshots_dir)
        if not writer.open_end(self._claimed(bus)):
            self._begin(writer, bus, source)
        self._begin_anew = False
        source.check_joins(writer.ends)
        self._growth.start(self._directory)
        self._move_cursors(bus, writer)
        stopping = False
        while not stopping:
            stopping = self._stop.is_set()  # then one more round: the worker was stopped before
            started_s = time.monotonic()
            try:
                behind = self._round(writer, bus, source, watch)
            except OSError as error:
                # With the same writer: it knows what is durable, and writes afresh what may not be.
                self._back_off("the disk refuses", error)
                continue
            if not behind:
                self._stop.wait(max(0.0, started_s + policy.FLUSH_EVERY_S - time.monotonic()))

    def _round(self, writer: Writer, bus: Bus, source: Source, watch: BaseWatch) -> bool:
        """Whether more is waiting."""
        found = source.next_round(writer.ends)
        bases = watch.look(writer.contents.bases, writer.begin_ends)
        written = writer.append(commands=found.commands, events=found.events, skips=found.skips, bases=bases)
        self._note(writer, found, written)
        self._move_cursors(bus, writer)
        if self._retention.delete_old():
            writer.recount()
        if due := self._retention.due_base(writer.contents, watch):
            writer.append(bases=[due])
        return found.behind

    def _claimed(self, bus: Bus) -> Claimed | None:
        """What the cursors say; None where neither was ever written, or the operator gave the old archive up."""
        cursors = bus.cursors()
        if self._begin_anew or not {READER_COMMANDS, READER_EVENTS} & cursors.keys():
            return None
        events, commands = cursors.get(READER_EVENTS), cursors.get(READER_COMMANDS)
        return Claimed(
            int(events.position) if events else 0, EntryId.parse(commands.position) if commands else EntryId(0, 0)
        )

    def _begin(self, writer: Writer, bus: Bus, source: Source) -> None:
        """A new archive. The cursors come first, so that the log is not trimmed under the first segment."""
        ends = source.begin()
        while True:
            self._set_cursors(bus, ends)
            if (again := source.begin()) == ends:
                break
            ends = again
        bases = []
        if ends.seq or ends.cmd > (0, 0):
            bases.append(first_of_trimmed_log(self._directory, self._snapshots_dir, ends))
        writer.begin(ends)
        writer.append(bases=bases)
        log.info("archive begun", shard=self._shard, after_event=ends.seq, after_command=str(ends.cmd))

    def _move_cursors(self, bus: Bus, writer: Writer) -> None:
        """After the fsync, never before: trimming believes them. Also without news, as a heartbeat."""
        reach("archive.cursor.before")
        self._set_cursors(bus, writer.ends)
        self.ends = writer.ends

    def _set_cursors(self, bus: Bus, ends: Ends) -> None:
        bus.set_cursor(READER_EVENTS, stream="events", position=str(ends.seq), now_ms=now_ms())
        bus.set_cursor(READER_COMMANDS, stream="commands", position=str(ends.cmd), now_ms=now_ms())

    # -- what is told -------------------------------------------------------------------------------------------------
    def _note(self, writer: Writer, found: Round, written: int) -> None:
        self.lag_events = found.head.seq - writer.ends.seq
        self._behind_since = (self._behind_since or time.monotonic()) if found.behind else None
        self.segment, self.size = writer.segment, writer.size
        if written:
            self._growth.add(written)
            ROUNDS.inc()
            WRITTEN.inc(written)
            RAW.inc(sum(len(entry.frames) for entry in found.commands) + sum(len(entry.body) for entry in found.events))
        SEQ.set(writer.ends.seq)
        LAG_EVENTS.set(self.lag_events)
        SIZE.set(self.size)
        PER_DAY.set(self._growth.per_day())
        STOPPED.set(0)
        self._pause_s = policy.BACK_OFF_FIRST_S
        self._set("archiving")

    def _back_off(self, status: str, error: Exception) -> None:
        if status != self.status:
            log.warning("archive", state=status, shard=self._shard, seq=self.ends.seq, error=str(error))
        self.status, self.explanation = status, str(error)
        self._stop.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, policy.BACK_OFF_LAST_S)

    def _stay(self, reason: Exception) -> None:
        self.status = "stopped"
        self.explanation = f"{str(reason).rstrip('.')}. Exact steps: docs/runbooks/archive-stopped.md"
        STOPPED.set(1)
        log.critical("ARCHIVE STOPPED; nothing was changed", shard=self._shard, reason=self.explanation)
        self._stop.wait()

    def _set(self, status: str) -> None:
        if status != self.status:
            log.info("archive", state=status, shard=self._shard, seq=self.ends.seq)
        self.status, self.explanation = status, ""
