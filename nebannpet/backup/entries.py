"""Stream entries in a file, as redis-core has them: whatever fields an entry carries are kept.

Layout: for each entry a u32 length (little endian) and that many bytes of msgpack: [id, [field, value, ...]].
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from nebannpet.backup.errors import NotABackup

_LENGTH_BYTES: Final = 4


class RawEntry(NamedTuple):
    """`fields` alternates names and values."""

    id: bytes
    fields: list[bytes]

    def value(self, name: bytes) -> bytes:
        return self.fields[self.fields.index(name) + 1]


_decoder: Final = msgspec.msgpack.Decoder(tuple[bytes, list[bytes]])


def encode(entry: RawEntry) -> bytes:
    packed = msgspec.msgpack.encode((entry.id, entry.fields))
    return len(packed).to_bytes(_LENGTH_BYTES, "little") + packed


def read(path: Path) -> Iterator[RawEntry]:
    """Oldest first. NotABackup where the file does not hold whole entries (its digest was checked before)."""
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            packed = file.read(int.from_bytes(length, "little"))
            try:
                entry_id, fields = _decoder.decode(packed)
            except msgspec.DecodeError as error:
                raise NotABackup(f"{path.name} does not hold whole stream entries: {error}") from error
            yield RawEntry(entry_id, fields)
