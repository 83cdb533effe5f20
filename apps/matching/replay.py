"""Published commands applied again, and what they give laid against what was published.

The regenerated events are cut where the published entries end and compared by chain and by bytes. Recovery, standby,
reconcile, archive and promotion all replay through here.
"""

from typing import Final

from apps.common.hashchain import extend
from apps.matching.applying import apply_entries
from apps.matching.core import Core, Position
from apps.matching.errors import LogDamaged, OtherRulesVersion, ReplayDiffers
from apps.matching.recovery_checks import KEEP_COPIES, shown_chain
from apps.matching.skips import Skips
from apps.streams.bus.base import Bus, EventEntry, Head
from apps.streams.records import EVENT_SIZE, FRAME_SIZE

ENTRIES_PER_READ: Final = 500
# An event entry may have most of a megabyte, so that one read stays below about 50 MB on both sides.
EVENT_ENTRIES_PER_READ: Final = 64


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
                f"the log's head at event {self._seq} has chain {shown_chain(self._head.chain)}, its last entry"
                f" {shown_chain(self._chain)}: redis-core's file was damaged. Bring back its newest intact append-only"
                f" file and start again.{KEEP_COPIES}"
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
