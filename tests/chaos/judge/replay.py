"""Replay: the command log through a fresh engine gives the published bytes, and the state PostgreSQL was made from.

This is the one part of the checker that runs the engine, since that is what it is about; the log is the follower's.
"""

from apps.matching.applying import apply_entries
from apps.matching.engine import Engine
from apps.matching.skips import Skips
from apps.streams.bus.base import CommandEntry, EntryId
from tests.chaos.follower import RawLog


def faults(raw: RawLog) -> list[str]:
    """From empty; the log begins at its first command, because the follower was there from the start."""
    if not raw.events:
        return ["nothing was ever published"]
    last = EntryId.parse(raw.events[-1][1][b"c"])
    entries = [CommandEntry(EntryId.parse(name), fields[b"d"]) for name, fields in raw.commands]
    skips = Skips.parse({key.decode(): value.decode() for key, value in raw.skips.items()})
    published = b"".join(fields[b"d"] for _, fields in raw.events)
    replayed = apply_entries(Engine(), [entry for entry in entries if entry.id <= last], skips)
    if replayed == published:
        return []
    common = next(
        (place for place in range(min(len(replayed), len(published))) if replayed[place] != published[place]), 0
    )
    return [
        f"replay gives {len(replayed)} bytes of events, {len(published)} were published; they differ from {common} on"
    ]
