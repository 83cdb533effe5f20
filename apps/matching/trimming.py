"""How far the log may be forgotten: never beyond the oldest kept snapshot or a reader that still needs it.

Some readers are the record (policy.READERS_REQUIRED): a stream is not trimmed at all before each of them has a cursor
on it. So without the archive process nothing ever goes, and `missing_readers` says whom trimming waits for.
"""

from collections.abc import Mapping

import structlog

from apps.matching.policy import (
    EVENTS_KEPT,
    READER_SILENT_MAX_MS,
    READERS_NEVER_DROPPED,
    READERS_REQUIRED,
)
from apps.streams.bus.base import START, Bus, Cursor, EntryId, Trimmed

log = structlog.get_logger(__name__)


def bounds(oldest_snapshot: tuple[int, EntryId], cursors: Mapping[str, Cursor]) -> tuple[EntryId, int]:
    """(commands up to, events up to) that may go. The entry that ends at a needed position itself stays, so that its
    chain can be compared. 0-0 and 0 where nothing may, as long as a required reader has no cursor."""
    seq, cmd = oldest_snapshot
    seqs = [seq, *(int(c.position) for c in cursors.values() if c.stream == "events")]
    cmds = [cmd, *(EntryId.parse(c.position) for c in cursors.values() if c.stream == "commands")]
    missing = missing_readers(cursors)
    commands_to = START if missing["commands"] else min(cmds)
    events_to = 0 if missing["events"] else max(0, min(seqs) - 1 - EVENTS_KEPT)
    return commands_to, events_to


def missing_readers(cursors: Mapping[str, Cursor]) -> dict[str, list[str]]:
    """By stream, the required readers without a cursor: as long as there is one, that stream is not trimmed."""
    return {
        stream: sorted(name for name in required if name not in cursors or cursors[name].stream != stream)
        for stream, required in READERS_REQUIRED.items()
    }


def waits_for(cursors: Mapping[str, Cursor]) -> tuple[str, ...]:
    """All required readers without a cursor, in one list for an operator."""
    return tuple(sorted({name for names in missing_readers(cursors).values() for name in names}))


def drop_silent_readers(bus: Bus, cursors: dict[str, Cursor], now_ms: int) -> dict[str, Cursor]:
    """The cursors that still count; a reader without heartbeat for READER_SILENT_MAX_MS starts from a snapshot."""
    for reader, cursor in list(cursors.items()):
        if reader not in READERS_NEVER_DROPPED and now_ms - cursor.heartbeat_ms > READER_SILENT_MAX_MS:
            log.warning("reader dropped after ten silent minutes", reader=reader, position=cursor.position)
            bus.drop_cursor(reader)
            del cursors[reader]
    return cursors


def trim(bus: Bus, *, epoch: int, oldest_snapshot: tuple[int, EntryId], now_ms: int) -> Trimmed | None:
    """Forget what nobody needs any more; None where that is nothing new. Fenced for an old epoch."""
    cursors = drop_silent_readers(bus, bus.cursors(), now_ms)
    commands_to, events_to = bounds(oldest_snapshot, cursors)
    if (commands_to, events_to) == (START, 0):
        return None
    return bus.trim(epoch=epoch, commands_to=commands_to, events_to=events_to)
