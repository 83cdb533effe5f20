"""Checks of a whole buffer before anything of it is applied, and of text fields."""

from typing import Final

from apps.streams.codec import iter_runs
from apps.streams.records import COMMAND_VERSION, COMMANDS, FRAME_SIZE

_KNOWN_KINDS: Final = bytes(COMMANDS)
_PADDING: Final = b"\0"


def check_frames(frames: bytes) -> None:
    """FrameError unless these are whole frame runs of known kinds and version.

    Nearly every buffer holds only commands of one frame; those are judged by three slices.
    """
    count, rest = divmod(len(frames), FRAME_SIZE)
    if (
        rest == 0
        and frames[0::FRAME_SIZE].count(COMMAND_VERSION) == count
        and not frames[1::FRAME_SIZE].translate(None, _KNOWN_KINDS)
        and frames[2::FRAME_SIZE].count(1) == count
    ):
        return
    for _ in iter_runs(frames):
        pass


def is_text(field: bytes) -> bool:
    """A NUL-padded field of ASCII characters without NUL among them, which every reader can decode and store."""
    return field.isascii() and 0 not in field.rstrip(_PADDING)
