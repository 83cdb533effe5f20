"""Rows of events have what the records have. No servers."""

import pytest

from apps.gateway.eventrows import row_of
from apps.streams.codec import decode_event
from apps.streams.kinds import EventKind
from apps.streams.records import EVENTS, FrameError


@pytest.mark.parametrize("kind", EVENTS)
def test_a_row_has_the_fields_of_the_record(kind: EventKind) -> None:
    layout = EVENTS[kind]
    values = [b"x-%d" % at if code.endswith("s") else 2 * at + 1 for at, code in enumerate(layout.codes)]
    record = layout.struct.pack(1, kind, *values)
    row, event = row_of(record), decode_event(record)
    assert (row.KIND, row._fields) == (event.KIND, layout.names)
    assert tuple(row) == tuple(getattr(event, name) for name in layout.names)


@pytest.mark.parametrize("head", [b"\2\1", b"\1\xff"])
def test_what_is_not_known_is_refused(head: bytes) -> None:
    with pytest.raises(FrameError):
        row_of(head.ljust(192, b"\0"))
