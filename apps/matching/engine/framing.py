"""Frames as the handlers read them: checks of a whole buffer before anything of it is applied, fields, texts."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from apps.streams.codec import iter_runs
from apps.streams.kinds import CommandKind
from apps.streams.records import COMMAND_HEADER, COMMAND_VERSION, COMMANDS, FRAME_SIZE

_KNOWN_KINDS: Final = bytes(COMMANDS)
_PADDING: Final = b"\0"


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
