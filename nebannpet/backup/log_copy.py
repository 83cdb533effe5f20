"""redis-core's log of one shard into a set, at one point and without a pause of trading.

    point   ONE transaction (MULTI) reads the small keys and where both streams end: that is the point
    copy    stream entries never change, so they are read in portions afterwards, up to the point's ends
    check   every event entry's chain is computed again; the result must be the head's

Not a DUMP of whole streams: that stops redis-core for as long as it takes (a second for each few hundred MB), needs as
much memory again, cannot be restored above 512 MB, and is not portable between versions of the server.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from redis.exceptions import ResponseError

from apps.common.hashchain import extend
from apps.streams.bus.base import EntryId
from apps.streams.bus.errors import BusRefused
from apps.streams.bus.link import Link
from apps.streams.names import ShardKeys
from nebannpet.backup.entries import RawEntry, encode
from nebannpet.backup.errors import BackupFailed
from nebannpet.backup.files import NewSet

KEYS_FILE: Final = "redis-core/keys.json"
COMMANDS_FILE: Final = "redis-core/commands.log"
EVENTS_FILE: Final = "redis-core/events.log"

# A portion keeps redis-core for some milliseconds: an event entry has some kilobytes, at most most of a megabyte.
ENTRIES_PER_READ: Final = 64

# What of ShardKeys is copied, by kind; a test keeps this list whole.
HASHES: Final = ("head", "skips", "trimmed", "cursors")
STRINGS: Final = ("epoch", "frames_in", "frames_done")
STREAMS: Final = ("commands", "events")
# Who is active and how full the disk is are for the living; how far PostgreSQL is, settlement says anew.
LEFT_OUT: Final = ("lease", "disk_free", "settled", "settled_channel", "unsettled_reads_channel")


@dataclass(frozen=True, slots=True)
class Point:
    """The small keys by their part of the name, and the newest entry id ever given in each stream ('' without)."""

    hashes: dict[str, dict[str, str]]
    strings: dict[str, str]
    newest: dict[str, str]

    @property
    def seq(self) -> int:
        return int(self.hashes["head"].get("seq", "0"))

    @property
    def chain(self) -> str:
        return self.hashes["head"].get("chain", "")

    @property
    def trimmed(self) -> tuple[EntryId, int]:
        found = self.hashes["trimmed"]
        return EntryId.parse(found.get("cmd", "0-0")), int(found.get("seq", "0"))


@dataclass(slots=True)
class Copied:
    """`chains` has the chain after each event seq at which an entry ends or begins, of those that were asked for."""

    command_entries: int = 0
    event_entries: int = 0
    chains: dict[int, str] = field(default_factory=dict)


def read_point(link: Link, shard: str) -> Point:
    """BusError where redis-core does not answer."""
    keys = ShardKeys(shard)
    calls = [
        *(("HGETALL", getattr(keys, name)) for name in HASHES),
        *(("GET", getattr(keys, name)) for name in STRINGS),
        *(("XINFO", "STREAM", getattr(keys, name)) for name in STREAMS),
    ]
    answers: list[Any] = link.write_all([("MULTI",), *calls, ("EXEC",)])[-1]
    hashes, answers = answers[: len(HASHES)], answers[len(HASHES) :]
    strings, streams = answers[: len(STRINGS)], answers[len(STRINGS) :]
    for answer in (*hashes, *strings):
        if isinstance(answer, ResponseError):
            raise BusRefused(str(answer)) from answer
    return Point(
        hashes={name: _pairs(found) for name, found in zip(HASHES, hashes, strict=True)},
        strings={name: found.decode() for name, found in zip(STRINGS, strings, strict=True) if found is not None},
        newest={name: _newest(found) for name, found in zip(STREAMS, streams, strict=True)},
    )


def _pairs(flat: list[bytes]) -> dict[str, str]:
    texts = [value.decode() for value in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _newest(answer: Any) -> str:
    if isinstance(answer, ResponseError):
        if "no such key" in str(answer):
            return ""
        raise BusRefused(str(answer)) from answer
    found: bytes = answer[answer.index(b"last-generated-id") + 1]
    return found.decode("ascii")


def copy_log(link: Link, shard: str, point: Point, into: NewSet, *, chains_at: set[int]) -> Copied:
    """Both streams up to the point, and the small keys; BackupFailed where the events do not chain to the head."""
    keys = ShardKeys(shard)
    copied = Copied()
    with into.new_file(COMMANDS_FILE) as file:
        for entry in _entries(link, keys.commands, point.newest["commands"], into):
            file.write(encode(entry))
            copied.command_entries += 1
    with into.new_file(EVENTS_FILE) as file:
        seq, chain = 0, ""
        for entry in _entries(link, keys.events, f"{point.seq}-0" if point.seq else "", into):
            first, last = int(entry.value(b"f")), EntryId.parse(entry.id).ms
            previous = entry.value(b"p").decode("ascii")
            if copied.event_entries and (first, previous) != (seq + 1, chain):
                raise BackupFailed(f"The log has a gap after event {seq}; see docs/runbooks/replay-differs.md.")
            seq, chain = last, entry.value(b"h").decode("ascii")
            if extend(previous, first, last, entry.value(b"d")) != chain:
                raise BackupFailed(f"Event entry {first}-{last} does not match its chain: redis-core's log is damaged.")
            copied.chains.update({at: found for at, found in ((first - 1, previous), (last, chain)) if at in chains_at})
            file.write(encode(entry))
            copied.event_entries += 1
    if copied.event_entries and (seq, chain) != (point.seq, point.chain):
        raise BackupFailed(f"The log's events end at {seq}, its head says {point.seq}: redis-core's log is damaged.")
    copied.chains |= {at: point.chain for at in chains_at if at == point.seq}
    with into.new_file(KEYS_FILE) as file:
        content = {"hashes": point.hashes, "strings": point.strings, "newest": point.newest}
        file.write(json.dumps(content, indent=1).encode("ascii"))
    return copied


def _entries(link: Link, key: str, last: str, into: NewSet) -> Iterator[RawEntry]:
    """From the oldest one there is up to `last`; nothing where that is ''."""
    start = "-"
    while last:
        rows: list[Any] = link.read("XRANGE", key, start, last, "COUNT", ENTRIES_PER_READ)
        into.check_room()
        for entry_id, fields in rows:
            yield RawEntry(entry_id, fields)
        if len(rows) < ENTRIES_PER_READ:
            return
        start = f"({rows[-1][0].decode('ascii')}"
