"""A copied log back into an empty redis-core: all of it appears at once, or nothing does."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.exceptions import ResponseError

from apps.common.clock import now_ms
from apps.streams.bus.errors import BusRefused
from apps.streams.bus.link import Link
from apps.streams.names import ShardKeys
from nebannpet.backup.entries import RawEntry, read
from nebannpet.backup.log_copy import COMMANDS_FILE, EVENTS_FILE, HASHES, KEYS_FILE, STREAMS, STRINGS
from nebannpet.backup.manifest import Manifest

# Bytes of one transaction, which is one write and one fsync of the append-only file.
TRANSACTION_BYTES: Final = 4 * 2**20
_FILES: Final = {"commands": COMMANDS_FILE, "events": EVENTS_FILE}


def _unfinished(shard: str, name: str) -> str:
    return f"{getattr(ShardKeys(shard), name)}:restoring"


def found_keys(link: Link, shard: str) -> list[str]:
    """Keys of the shard's log that exist; what an interrupted restore left does not count."""
    keys = [getattr(ShardKeys(shard), name) for name in (*HASHES, *STRINGS, *STREAMS)]
    return [key for key in keys if link.read("EXISTS", key)]


@dataclass(frozen=True, slots=True)
class WholeLog:
    """A log of one shard to be put into redis-core. `entries` and `newest` by stream; a stream whose `newest` is ''
    was never written to. `hashes` and `strings` by part of the key's name."""

    shard: str
    entries: Mapping[str, Iterable[RawEntry]]
    newest: Mapping[str, str]
    hashes: Mapping[str, Mapping[str, str]]
    strings: Mapping[str, str]
    settled: int


def restore_log(link: Link, set_: Path, manifest: Manifest) -> None:
    """The log of a set. BusError where redis-core fails; then nothing of it is there and this can be done again."""
    content = json.loads((set_ / KEYS_FILE).read_bytes())
    put_log(
        link,
        WholeLog(
            shard=manifest.shard,
            entries={name: read(set_ / _FILES[name]) for name in STREAMS},
            newest=content["newest"],
            hashes=content["hashes"] | {"cursors": _cursors(manifest)},
            strings=content["strings"],
            settled=manifest.database.seq,
        ),
    )


def put_log(link: Link, log: WholeLog) -> None:
    """The streams entry by entry under other names, then everything under its own name in one transaction."""
    keys = ShardKeys(log.shard)
    _write(link, [("DEL", *(_unfinished(log.shard, name) for name in STREAMS))])
    present = [name for name in STREAMS if log.newest[name]]
    for name in present:
        _fill(link, _unfinished(log.shard, name), log.entries[name], log.newest[name])
    last: list[tuple[str | bytes | int, ...]] = [("MULTI",)]
    last += [("RENAME", _unfinished(log.shard, name), getattr(keys, name)) for name in present]
    last += [
        ("HSET", getattr(keys, name), *(text for pair in found.items() for text in pair))
        for name, found in log.hashes.items()
        if found
    ]
    last += [("SET", getattr(keys, name), value) for name, value in log.strings.items()]
    last += [("SET", keys.settled, log.settled), ("EXEC",)]
    _write(link, last)


def _cursors(manifest: Manifest) -> dict[str, str]:
    """Where the readers of the record stand in this set. The others begin from a snapshot, as after a long silence."""
    found = {"settlement": f"events:{manifest.database.seq}:{now_ms()}"}
    if manifest.archive.events:
        found["archive-events"] = f"events:{manifest.archive.events}:{now_ms()}"
    if manifest.archive.commands:
        found["archive-commands"] = f"commands:{manifest.archive.commands}:{now_ms()}"
    return found


def _fill(link: Link, key: str, entries: Iterable[RawEntry], newest: str) -> None:
    """The same entries under the same ids; the next id redis-core gives comes after `newest` also where it is gone."""
    calls: list[tuple[str | bytes | int, ...]] = []
    size = 0
    last = ""
    for entry in entries:
        calls.append(("XADD", key, entry.id, *entry.fields))
        size += _size(entry)
        last = entry.id.decode("ascii")
        if size >= TRANSACTION_BYTES:
            _write_together(link, calls)
            calls, size = [], 0
    if not last:
        calls += [("XADD", key, newest, "d", ""), ("XTRIM", key, "MAXLEN", 0)]
    elif last != newest:
        calls.append(("XSETID", key, newest))
    _write_together(link, calls)


def _size(entry: RawEntry) -> int:
    return sum(map(len, entry.fields))


def _write_together(link: Link, calls: list[tuple[str | bytes | int, ...]]) -> None:
    """In one transaction: else redis-core fsyncs after every few entries that it has read from the socket."""
    if calls:
        _write(link, [("MULTI",), *calls, ("EXEC",)])


def _write(link: Link, calls: list[tuple[str | bytes | int, ...]]) -> None:
    try:
        answers: list[Any] = link.write_all(calls)
    except ResponseError as refused:
        raise BusRefused(str(refused)) from refused
    inner = answers[-1] if calls[-1] == ("EXEC",) else []
    for answer in inner:
        if isinstance(answer, ResponseError):
            raise BusRefused(str(answer)) from answer
