"""From stream entries to frames the engine applies: every command gets its id, every frame is checked first."""

from typing import Final

import numpy as np

from apps.streams.bus.base import CommandEntry
from apps.streams.codec import stamp as stamp_runs
from apps.streams.kinds import CommandKind, TickFlag
from apps.streams.records import COMMAND_VERSION, COMMANDS, FRAME_SIZE

# Below this many frames a plain loop is faster than setting numpy to work (measured).
LOOP_FRAMES_MAX: Final = 12

_HEADER: Final = np.dtype(
    {
        "names": ["version", "kind", "parts", "flags", "entry_ms", "entry_n", "index"],
        "formats": ["u1", "u1", "u1", "u1", "<u8", "<u4", "<u4"],
        "offsets": [0, 1, 2, 3, 16, 24, 28],
        "itemsize": FRAME_SIZE,
    }
)
_KNOWN_KINDS: Final = np.isin(np.arange(256), [int(kind) for kind in COMMANDS])
_SNAPSHOT_TICK: Final = bytes([COMMAND_VERSION, CommandKind.TICK, 1, TickFlag.SNAPSHOT])


def stamp_entry(entry: CommandEntry) -> bytes:
    """The entry's frames with their command ids written in; FrameError before anything else if they are broken."""
    frames = bytearray(entry.frames)
    count, rest = divmod(len(frames), FRAME_SIZE)
    if count > LOOP_FRAMES_MAX and rest == 0:
        header = np.frombuffer(frames, dtype=_HEADER)
        one_frame_each = (header["parts"] == 1).all()
        if one_frame_each and (header["version"] == COMMAND_VERSION).all() and _KNOWN_KINDS[header["kind"]].all():
            header["entry_ms"] = entry.id.ms
            header["entry_n"] = entry.id.n
            header["index"] = np.arange(count, dtype="<u4")
            return bytes(frames)
    stamp_runs(frames, entry.id.ms, entry.id.n)
    return bytes(frames)


def asks_for_snapshot(entry: CommandEntry) -> bool:
    """Whether a TICK of the entry carries TickFlag.SNAPSHOT. Such a tick is the only frame of its entry."""
    return len(entry.frames) == FRAME_SIZE and entry.frames.startswith(_SNAPSHOT_TICK)
