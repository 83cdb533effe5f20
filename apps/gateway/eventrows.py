"""Events as named tuples, for what every answer reads: the fields and KIND of the records of apps/streams/events.py.

A tuple is made in a quarter of the time of a record, whose fields are put in one by one.
"""

from collections import namedtuple
from typing import Any, Final

from apps.streams.records import EVENT_VERSION, EVENTS, FrameError, Layout


def _row_type(layout: Layout) -> type[Any]:
    # The class of the record stands in the name of the tuple only: what a row is, its KIND says.
    fields = namedtuple(layout.record.__name__, layout.names)  # type: ignore[misc]
    return type(layout.record.__name__, (fields,), {"KIND": layout.kind, "__slots__": ()})


_ROWS: Final = {
    int(kind): (_row_type(layout), layout.struct.unpack_from, [position + 2 for position, _ in layout.texts])
    for kind, layout in EVENTS.items()
}


def row_of(record: bytes) -> Any:
    """The event in a 192-byte record; FrameError for an unknown kind or version."""
    kind = record[1]
    if record[0] != EVENT_VERSION or kind not in _ROWS:
        raise FrameError(f"unknown event version {record[0]}, kind {kind}")
    row, unpack, texts = _ROWS[kind]
    values: Any = unpack(record)
    if texts:
        values = list(values)
        for position in texts:
            values[position] = values[position].rstrip(b"\0").decode("ascii")
    return tuple.__new__(row, values[2:])
