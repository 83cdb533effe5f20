"""What may be forgotten: a table of cursors and what they allow."""

import pytest

from apps.matching.policy import EVENTS_KEPT, READER_SILENT_MAX_MS
from apps.matching.trimming import bounds, trim
from apps.streams.bus.base import START, Cursor, EntryId
from apps.streams.bus.errors import Fenced
from apps.streams.bus.memory import MemoryBus
from tests.matching.traffic import order

SNAPSHOT = (1_000_000, EntryId(500, 2))


def events(position: int, heartbeat_ms: int = 0) -> Cursor:
    return Cursor("events", str(position), heartbeat_ms)


@pytest.mark.parametrize(
    ("cursors", "commands_to", "events_to"),
    [
        ({}, EntryId(500, 2), 0),
        ({"marketdata": events(2_000_000)}, EntryId(500, 2), 0),
        ({"settlement": events(2_000_000)}, EntryId(500, 2), 1_000_000 - 1 - EVENTS_KEPT),
        ({"settlement": events(300_000)}, EntryId(500, 2), 300_000 - 1 - EVENTS_KEPT),
        ({"settlement": events(10)}, EntryId(500, 2), 0),
        ({"settlement": events(900_000), "marketdata": events(400_000)}, EntryId(500, 2), 400_000 - 1 - EVENTS_KEPT),
        ({"settlement": events(300_000), "standby": Cursor("commands", "499-9", 0)}, EntryId(499, 9),
         300_000 - 1 - EVENTS_KEPT),
    ],
)  # fmt: skip
def test_bounds(cursors: dict[str, Cursor], commands_to: EntryId, events_to: int) -> None:
    assert bounds(SNAPSHOT, cursors) == (commands_to, events_to)


def test_a_silent_reader_is_dropped_but_never_the_record() -> None:
    bus = MemoryBus("spot")
    bus.raise_epoch(1)
    bus.append_commands(order(1))
    for reader in ("settlement", "archive-events", "marketdata"):
        bus.set_cursor(reader, stream="events", position="5", now_ms=1_000)
    bus.set_cursor("gateway", stream="events", position="5", now_ms=1_001)
    trim(bus, epoch=1, oldest_snapshot=SNAPSHOT, now_ms=1_001 + READER_SILENT_MAX_MS)
    assert set(bus.cursors()) == {"settlement", "archive-events", "gateway"}
    assert bus.trimmed().cmd == SNAPSHOT[1]


def test_nothing_to_trim_writes_nothing_and_an_old_epoch_is_refused() -> None:
    bus = MemoryBus("spot")
    bus.raise_epoch(2)
    assert trim(bus, epoch=2, oldest_snapshot=(0, START), now_ms=0) is None
    with pytest.raises(Fenced):
        trim(bus, epoch=1, oldest_snapshot=SNAPSHOT, now_ms=0)
