"""Frames as the handlers read them: checks of a whole buffer before anything of it is applied, fields, texts."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from apps.streams.codec import iter_runs
from apps.streams.kinds import CommandKind
from apps.streams.records import COMMAND_HEADER, COMMAND_VERSION, COMMANDS, FRAME_SIZE

_KNOWN_KINDS: Final = bytes(COMMANDS)
_PADDING: Final = b"\0"
_PLACE_ORDER: Final = int(CommandKind.PLACE_ORDER)


def run_offsets(frames: bytes) -> Sequence[int]:
    """Where each frame run of the buffer starts; FrameError unless all are whole and of known kinds and version.

    Nearly every buffer holds only commands of one frame; those are judged by three slices.
    """
    count, rest = divmod(len(frames), FRAME_SIZE)
    if (
        rest == 0
        and frames[0::FRAME_SIZE].count(COMMAND_VERSION) == count
        and not frames[1::FRAME_SIZE].translate(None, _KNOWN_KINDS)
        and frames[2::FRAME_SIZE].count(1) == count
    ):
        return range(0, len(frames), FRAME_SIZE)
    return [offset for offset, _ in iter_runs(frames)]


def fields_of(kind: CommandKind) -> Struct:
    """What a handler unpacks of a frame: parts, flags, market_id, account_id, then the fields of the command's own.

    Version and kind have been checked by then, and the command id stands in the journal.
    """
    own = COMMANDS[kind].struct.format.removeprefix(COMMAND_HEADER.format)
    return Struct("<2xBBIQ16x" + own)


def is_text(field: bytes) -> bool:
    """A NUL-padded field of ASCII characters without NUL among them, which every reader can decode and store."""
    return field.isascii() and 0 not in field.rstrip(_PADDING)


def is_order_of(frames: bytes, offset: int, market_id: int, account_id: int) -> bool:
    """A PLACE_ORDER frame of that market and account; the frames behind a head are not checked before."""
    version, kind, _, _, orders_market_id, orders_account_id, *_ = COMMAND_HEADER.unpack_from(frames, offset)
    return (version, kind, orders_market_id, orders_account_id) == (
        COMMAND_VERSION, _PLACE_ORDER, market_id, account_id,
    )  # fmt: skip
