"""What stands in a block's payload.

OPENING   msgpack of `Opening`: where the segment begins, and all that readers need of the segments before it
SKIPS     msgpack of {command id or range: reason}, those that are new
COMMANDS  entries of ms u64 · n u64 · length u32 · frames
EVENTS    chain before the first 32s, then entries of first seq u64 · last seq u64 · epoch u64 · command ms u64 ·
          command n u64 · length u32 · chain 32s · body; all of one rules version, which is in the block's header
BASE      msgpack of `Base`
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from apps.common.hashchain import GENESIS
from apps.orders.archive.blocks import Block
from apps.orders.archive.errors import ArchiveDamaged
from apps.streams.bus.base import START, CommandEntry, EntryId, EventEntry

_COMMAND: Final = struct.Struct("<QQI")
_EVENT: Final = struct.Struct("<QQQQQI32s")
_CHAIN_SIZE: Final = 32

Record = TypeVar("Record")


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """A position in both streams: events up to `seq`, whose entry covers commands up to `head_cmd`, and command
    entries up to `cmd`; `cmd_digest` is of that entry's frames, '' where it is not in the archive."""

    seq: int = 0
    chain: str = GENESIS
    epoch: int = 0
    rules_version: int = 0
    head_cmd: EntryId = START
    cmd: EntryId = START
    cmd_digest: str = ""


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that the archive keeps in `snapshots/`: `digest` of the whole file, `state_hash` of its state."""

    name: str
    seq: int
    chain: str
    cmd: EntryId
    rules_version: int
    state_hash: str
    digest: str
    size: int
    taken_ms: int


class Stretch(msgspec.Struct, frozen=True):
    """Events from `first_seq` on, up to the next stretch, are of `rules_version`."""

    rules_version: int
    first_seq: int


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """First block of a segment. Skips, bases and stretches are all that were known when it was opened."""

    shard: str
    segment: int
    created_ms: int
    ends: Ends
    skips: dict[str, str]
    bases: list[Base]
    stretches: list[Stretch]


def frames_digest(frames: bytes) -> str:
    return blake2b(frames, digest_size=16).hexdigest()


def pack_commands(entries: Sequence[CommandEntry]) -> bytes:
    return b"".join(_COMMAND.pack(*entry.id, len(entry.frames)) + entry.frames for entry in entries)


def pack_events(entries: Sequence[EventEntry]) -> bytes:
    parts = [_chain_bytes(entries[0].prev_chain)]
    for entry in entries:
        parts.append(
            _EVENT.pack(
                entry.first_seq, entry.last_seq, entry.epoch, *entry.last_cmd, len(entry.body),
                _chain_bytes(entry.chain),
            )
        )  # fmt: skip
        parts.append(entry.body)
    return b"".join(parts)


def unpack_commands(block: Block, segment: str) -> list[CommandEntry]:
    """ArchiveDamaged where the payload is not whole entries, as many and as far as the header says."""
    payload, offset, found = _payload(block), 0, []
    try:
        while offset < len(payload):
            ms, n, length = _COMMAND.unpack_from(payload, offset)
            offset += _COMMAND.size
            found.append(CommandEntry(EntryId(ms, n), payload[offset : offset + length]))
            offset += length
    except struct.error as error:
        raise ArchiveDamaged(f"{named(block, segment)}: {error}") from error
    bounds = (found[0].id, found[-1].id) if found else None
    if offset != len(payload) or len(found) != block.header.count or bounds != (block.header.first, block.header.last):
        raise ArchiveDamaged(f"{named(block, segment)}: its command entries are not what its header says")
    return found


def unpack_events(block: Block, segment: str) -> list[EventEntry]:
    """As `unpack_commands`; the chain between the entries is put together, not checked."""
    payload, offset, found = _payload(block), _CHAIN_SIZE, []
    prev = _chain_text(payload[:_CHAIN_SIZE])
    try:
        while offset < len(payload):
            first, last, epoch, ms, n, length, chain_bytes = _EVENT.unpack_from(payload, offset)
            offset += _EVENT.size
            chain = _chain_text(chain_bytes)
            body = payload[offset : offset + length]
            found.append(EventEntry(first, last, epoch, prev, chain, EntryId(ms, n), body, block.header.rules_version))
            offset += length
            prev = chain
    except struct.error as error:
        raise ArchiveDamaged(f"{named(block, segment)}: {error}") from error
    bounds = ((found[0].first_seq, 0), (found[-1].last_seq, 0)) if found else None
    if offset != len(payload) or len(found) != block.header.count or bounds != (block.header.first, block.header.last):
        raise ArchiveDamaged(f"{named(block, segment)}: its event entries are not what its header says")
    return found


def unpack_opening(block: Block, segment: str) -> Opening:
    return _decode(block, segment, Opening)


def unpack_base(block: Block, segment: str) -> Base:
    return _decode(block, segment, Base)


def unpack_skips(block: Block, segment: str) -> dict[str, str]:
    return _decode(block, segment, dict[str, str])


def named(block: Block, segment: str) -> str:
    return f"segment {segment}, block {block.header.number} (byte {block.offset})"


def _decode(block: Block, segment: str, kind: type[Record]) -> Record:
    try:
        return msgspec.msgpack.decode(_payload(block), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveDamaged(f"{named(block, segment)}: {error}") from error


def _payload(block: Block) -> bytes:
    assert block.payload is not None, "only headers were read"
    return block.payload


def _chain_bytes(chain: str) -> bytes:
    return bytes.fromhex(chain) if chain else bytes(_CHAIN_SIZE)


def _chain_text(chain: bytes) -> str:
    return chain.hex() if any(chain) else GENESIS
