"""Where the fields of an event lie, for whoever reads one or two of them without decoding it."""

import struct

from apps.streams.kinds import EventKind
from apps.streams.records import EVENTS


def offset_of(kind: EventKind, name: str) -> int:
    """Bytes from the start of an event of this kind. ValueError without such a field."""
    layout = EVENTS[kind]
    return struct.calcsize("<BB" + "".join(layout.codes[: layout.names.index(name)]))
