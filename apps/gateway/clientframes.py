"""Frames of clients (RFC 6455 section 5.2) as they come: where each ends, and the text of the usual kind. Pure.

Most messages are one frame of text. Such a one is read here for a third of what a connection's state machine takes,
which would keep nothing about it; everything else is for the state machine to judge.
"""

from typing import Final

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # C where it is compiled

# FIN and the opcode of text, without extensions.
TEXT: Final = 0x81
OPCODES: Final = frozenset({0, 1, 2, 8, 9, 10})
MASKED: Final = 0x80
# Lengths that stand in two or eight bytes more.
TWO_BYTES: Final = 126
EIGHT_BYTES: Final = 127


def frame_at(data: bytes, start: int, longest: int) -> tuple[int, str | None]:
    """Where the frame ends that begins at `start`, 0 while it is not all here, and its message if that is a text.

    What is no frame of a client, or longer than `longest`, ends with the data: whoever judges it need not see the rest.
    """
    there = len(data) - start
    if there < 2:
        return 0, None
    first, length, head = data[start], data[start + 1] - MASKED, 6
    if length < 0 or first & 15 not in OPCODES:
        return len(data), None
    if length == TWO_BYTES:
        length, head = int.from_bytes(data[start + 2 : start + 4]), 8
    elif length == EIGHT_BYTES:
        length, head = int.from_bytes(data[start + 2 : start + 10]), 14
    if there < head - 4:
        return 0, None
    if length > longest:
        return len(data), None
    body = start + head
    end = body + length
    if end > len(data):
        return 0, None
    if first != TEXT:
        return end, None
    try:
        return end, apply_mask(data[body:end], data[body - 4 : body]).decode()
    except UnicodeDecodeError:
        return end, None
