"""Blocks: the unit of writing, of checking and of cutting. A segment file is MAGIC and blocks, nothing else.

Layout of a block, little-endian
    header  marker 4s · version u8 · kind u8 · u16 0 · number u32 (of the block in its segment, from 0) · count u32 ·
            length u32 (of the payload as it stands in the file) · raw length u32 · rules version u32 ·
            first u64 u64 · last u64 u64 · prev 32s · digest 32s · check 8s
    payload zstandard frame; what is in it depends on the kind (packing.py)

    `digest` is blake2b-256 over the header up to it and the payload. `prev` is the digest of the block before it, over
    the ends of segments too, so that no block can be changed, left out, put elsewhere or replaced by an older one
    without the next one saying so. `check` is blake2b-64 over the header before it: a file that ends within a block
    can be told from a block whose length was changed.

    first and last are (seq, 0) of EVENTS and BASE, (ms, n) of COMMANDS, zero of others.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from apps.orders.archive.errors import ArchiveDamaged, TornTail
from apps.orders.archive.policy import RAW_BYTES_MAX, ZSTD_LEVEL

MAGIC: Final = b"NBPTarc1"
VERSION: Final = 1
DIGEST_SIZE: Final = 32
CHECK_SIZE: Final = 8
NO_DIGEST: Final = bytes(DIGEST_SIZE)

_MARKER: Final = b"NBLK"
_FIELDS: Final = struct.Struct("<4sBBHIIIIIQQQQ32s")
HEADER_SIZE: Final = _FIELDS.size + DIGEST_SIZE + CHECK_SIZE


class BlockKind(IntEnum):
    """Stored for ever."""

    OPENING = 1
    SKIPS = 2
    COMMANDS = 3
    EVENTS = 4
    BASE = 5


Bounds = tuple[int, int]
NO_BOUNDS: Final[Bounds] = (0, 0)


@dataclass(frozen=True, slots=True)
class Header:
    kind: BlockKind
    number: int
    count: int
    length: int
    raw_length: int
    rules_version: int
    first: Bounds
    last: Bounds
    prev: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """`offset` of the header in its file; `payload` uncompressed, None where only headers are read."""

    header: Header
    offset: int
    payload: bytes | None

    @property
    def end(self) -> int:
        return self.offset + HEADER_SIZE + self.header.length


def encode(
    kind: BlockKind,
    payload: bytes,
    *,
    number: int,
    count: int,
    prev: bytes,
    first: Bounds = NO_BOUNDS,
    last: Bounds = NO_BOUNDS,
    rules_version: int = 0,
) -> tuple[bytes, bytes]:
    """(the block's bytes, its digest)."""
    assert len(payload) <= RAW_BYTES_MAX, "a block of this size would not be read back"
    packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=False).compress(payload)
    fields = _FIELDS.pack(
        _MARKER, VERSION, kind, 0, number, count, len(packed), len(payload), rules_version, *first, *last, prev
    )
    digest = blake2b(fields + packed, digest_size=DIGEST_SIZE).digest()
    head = fields + digest
    return head + _check(head) + packed, digest


def read_blocks(path: Path, *, payloads: bool = True, start: int = 0) -> Iterator[Block]:
    """Whole blocks of a segment file from offset `start` (0: the beginning), each checked against itself and the one
    before it. Without `payloads` they are skipped, so that only the headers are checked.

    TornTail where the file ends within a block, ArchiveDamaged where something else is wrong.
    """
    name = path.name
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArchiveDamaged(f"segment {name} cannot be read: {error}") from error
    with file:
        size = file.seek(0, 2)
        file.seek(0)
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            kind = TornTail if MAGIC.startswith(magic) else ArchiveDamaged
            raise kind(f"segment {name}: it does not begin as a segment file")
        offset = file.seek(max(start, len(MAGIC)))
        before: Header | None = None
        while offset < size:
            number = 0 if start == 0 and before is None else before.number + 1 if before is not None else None
            block = _read_one(file, name, number, offset, size, payloads=payloads)
            if start == 0 or before is not None:
                _check_order(name, block, before)
            yield block
            before, offset = block.header, block.end


def _read_one(file: BinaryIO, name: str, number: int | None, offset: int, size: int, *, payloads: bool) -> Block:
    """`number` is the block's expected one, None where the reading began in the middle."""
    head = file.read(HEADER_SIZE)
    where = f"segment {name}, byte {offset}" if number is None else f"segment {name}, block {number} (byte {offset})"
    if len(head) < HEADER_SIZE:
        raise TornTail(f"{where}: the file ends within a block's header ({len(head)} bytes)")
    header = _decode(head, where)
    where = f"segment {name}, block {header.number} (byte {offset})"
    if offset + HEADER_SIZE + header.length > size:
        raise TornTail(f"{where}: the file ends within the block")
    if not payloads:
        file.seek(header.length, 1)
        return Block(header, offset, None)
    packed = file.read(header.length)
    if len(packed) != header.length:
        raise TornTail(f"{where}: the file ends within the block")
    digest = blake2b(head[: _FIELDS.size], digest_size=DIGEST_SIZE)
    digest.update(packed)
    if digest.digest() != header.digest:
        raise ArchiveDamaged(f"{where}: the bytes do not match the block's digest")
    try:
        payload = zstandard.ZstdDecompressor().decompress(packed, max_output_size=header.raw_length)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(f"{where}: {error}") from error
    if len(payload) != header.raw_length:
        raise ArchiveDamaged(f"{where}: {len(payload)} bytes where the header says {header.raw_length}")
    return Block(header, offset, payload)


def _decode(head: bytes, where: str) -> Header:
    if _check(head[:-CHECK_SIZE]) != head[-CHECK_SIZE:]:
        raise ArchiveDamaged(f"{where}: the block's header does not match its check value")
    marker, version, kind, _, number, count, length, raw_length, rules_version, *bounds, prev = _FIELDS.unpack_from(
        head
    )
    if marker != _MARKER or version != VERSION or kind not in BlockKind.__members__.values():
        raise ArchiveDamaged(f"{where}: no block of a version and kind this release knows ({version}, {kind})")
    if raw_length > RAW_BYTES_MAX:
        raise ArchiveDamaged(f"{where}: a block of {raw_length} bytes")
    first, last = (bounds[0], bounds[1]), (bounds[2], bounds[3])
    digest = head[_FIELDS.size : _FIELDS.size + DIGEST_SIZE]
    return Header(BlockKind(kind), number, count, length, raw_length, rules_version, first, last, prev, digest)


def _check_order(name: str, block: Block, before: Header | None) -> None:
    header = block.header
    expected = 0 if before is None else before.number + 1
    where = f"segment {name}, block {header.number} (byte {block.offset})"
    if header.number != expected:
        raise ArchiveDamaged(f"{where}: block {expected} is missing before it")
    if (header.kind is BlockKind.OPENING) != (before is None):
        raise ArchiveDamaged(f"{where}: a segment has its opening as its first block, and only there")
    if before is not None and header.prev != before.digest:
        raise ArchiveDamaged(f"{where}: it does not follow the block before it (replaced or moved)")


def _check(head: bytes) -> bytes:
    return blake2b(head, digest_size=CHECK_SIZE).digest()
