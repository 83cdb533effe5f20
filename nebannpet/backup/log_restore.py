"""A copied log back into an empty redis-core: all of it appears at once, or nothing does."""

import json
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

# Bytes of one round trip, which is one write and one fsync of the append-only file.
ROUND_TRIP_BYTES: Final = 4 * 2**20
_FILES: Final = {"commands": COMMANDS_FILE, "events": EVENTS_FILE}


def _unfinished(shard: str, name: str) -> str:
    return f"{getattr(ShardKeys(shard), name)}:restoring"


def found_keys(link: Link, shard: str) -> list[str]:
    """Keys of the shard's log that exist; what an interrupted restore left does not count."""
    keys = [getattr(ShardKeys(shard), name) for name in (*HASHES, *STRINGS, *STREAMS)]
    return [key for key in keys if link.read("EXISTS", key)]


def restore_log(link: Link, set_: Path, manifest: Manifest) -> None:
    """The streams entry by entry under other names, then everything under its own name in one transaction.

    BusError where redis-core fails; then nothing of the shard is there and this can be done again.
    """
    shard = manifest.shard
    keys = ShardKeys(shard)
    content = json.loads((set_ / KEYS_FILE).read_bytes())
    _write(link, [("DEL", *(_unfinished(shard, name) for name in STREAMS))])
    present = [name for name in STREAMS if content["newest"][name]]
    for name in present:
        _fill(link, _unfinished(shard, name), set_ / _FILES[name], content["newest"][name])
    last: list[tuple[str | bytes | int, ...]] = [("MULTI",)]
    last += [("RENAME", _unfinished(shard, name), getattr(keys, name)) for name in present]
    hashes = content["hashes"] | {"cursors": _cursors(manifest)}
    last += [
        ("HSET", getattr(keys, name), *(text for pair in hashes[name].items() for text in pair))
        for name in HASHES
        if hashes[name]
    ]
    last += [("SET", getattr(keys, name), value) for name, value in content["strings"].items()]
    last += [("SET", keys.settled, manifest.database.seq), ("EXEC",)]
    _write(link, last)


def _cursors(manifest: Manifest) -> dict[str, str]:
    """Where the readers of the record stand in this set. The others begin from a snapshot, as after a long silence."""
    found = {"settlement": f"events:{manifest.database.seq}:{now_ms()}"}
    if manifest.archive.events:
        found["archive-events"] = f"events:{manifest.archive.events}:{now_ms()}"
    if manifest.archive.commands:
        found["archive-commands"] = f"commands:{manifest.archive.commands}:{now_ms()}"
    return found


def _fill(link: Link, key: str, path: Path, newest: str) -> None:
    """The same entries under the same ids; the next id redis-core gives comes after `newest` also where it is gone."""
    calls: list[tuple[str | bytes | int, ...]] = []
    size = 0
    last = ""
    for entry in read(path):
        calls.append(("XADD", key, entry.id, *entry.fields))
        size += _size(entry)
        last = entry.id.decode("ascii")
        if size >= ROUND_TRIP_BYTES:
            _write(link, calls)
            calls, size = [], 0
    if not last:
        calls += [("XADD", key, newest, "d", ""), ("XTRIM", key, "MAXLEN", 0)]
    elif last != newest:
        calls.append(("XSETID", key, newest))
    _write(link, calls)


def _size(entry: RawEntry) -> int:
    return sum(map(len, entry.fields))


def _write(link: Link, calls: list[tuple[str | bytes | int, ...]]) -> None:
    if not calls:
        return
    try:
        answers: list[Any] = link.write_all(calls)
    except ResponseError as refused:
        raise BusRefused(str(refused)) from refused
    inner = answers[-1] if calls[-1] == ("EXEC",) else []
    for answer in inner:
        if isinstance(answer, ResponseError):
            raise BusRefused(str(answer)) from answer
