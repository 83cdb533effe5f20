"""What may be forgotten: a table of cursors and what they allow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from apps.matching import snapshots
from apps.matching.engine import Engine
from apps.matching.policy import EVENTS_KEPT, READER_SILENT_MAX_MS
from apps.matching.status import Phase
from apps.matching.trimming import bounds, missing_readers, trim
from apps.streams.bus.base import START, Bus, Cursor, EntryId
from apps.streams.bus.errors import Fenced
from apps.streams.bus.memory import MemoryBus
from tests.matching.conftest import RunningWorker
from tests.matching.traffic import opening, order
from tests.matching.waiting import until

SNAPSHOT = (1_000_000, EntryId(500, 2))


def events(position: int, heartbeat_ms: int = 0) -> Cursor:
    return Cursor("events", str(position), heartbeat_ms)


def commands(position: str) -> Cursor:
    return Cursor("commands", position, 0)


ARCHIVE = {"archive-commands": commands("900-0"), "archive-events": events(2_000_000)}
RECORD = ARCHIVE | {"settlement": events(2_000_000)}


@pytest.mark.parametrize(
    ("cursors", "commands_to", "events_to"),
    [
        # Without a reader of the record nothing of its streams goes.
        ({}, START, 0),
        ({"marketdata": events(2_000_000)}, START, 0),
        ({"settlement": events(2_000_000)}, START, 0),
        (ARCHIVE, EntryId(500, 2), 0),
        ({"settlement": events(2_000_000), "archive-commands": commands("900-0")}, EntryId(500, 2), 0),
        ({"settlement": events(2_000_000), "archive-events": events(2_000_000)}, START, 1_000_000 - 1 - EVENTS_KEPT),
        ({"settlement": events(2_000_000), "archive-commands": events(9), "archive-events": events(9)}, START, 0),
        # With all of them, the slowest and the oldest kept snapshot count.
        (RECORD, EntryId(500, 2), 1_000_000 - 1 - EVENTS_KEPT),
        (RECORD | {"settlement": events(300_000)}, EntryId(500, 2), 300_000 - 1 - EVENTS_KEPT),
        (RECORD | {"archive-events": events(200_000)}, EntryId(500, 2), 200_000 - 1 - EVENTS_KEPT),
        (RECORD | {"archive-commands": commands("400-7")}, EntryId(400, 7), 1_000_000 - 1 - EVENTS_KEPT),
        (RECORD | {"settlement": events(10)}, EntryId(500, 2), 0),
        (RECORD | {"marketdata": events(400_000)}, EntryId(500, 2), 400_000 - 1 - EVENTS_KEPT),
        (RECORD | {"standby": commands("499-9")}, EntryId(499, 9), 1_000_000 - 1 - EVENTS_KEPT),
    ],
)
def test_bounds(cursors: dict[str, Cursor], commands_to: EntryId, events_to: int) -> None:
    assert bounds(SNAPSHOT, cursors) == (commands_to, events_to)


def test_whom_trimming_waits_for() -> None:
    assert missing_readers({}) == {"commands": ["archive-commands"], "events": ["archive-events", "settlement"]}
    assert missing_readers({"settlement": events(1)}) == {
        "commands": ["archive-commands"],
        "events": ["archive-events"],
    }
    assert missing_readers(RECORD) == {"commands": [], "events": []}


def test_a_silent_reader_is_dropped_but_never_the_record() -> None:
    bus = MemoryBus("spot")
    bus.raise_epoch(1)
    bus.append_commands(order(1))
    for reader in ("settlement", "archive-events", "marketdata"):
        bus.set_cursor(reader, stream="events", position="5", now_ms=1_000)
    bus.set_cursor("archive-commands", stream="commands", position="900-0", now_ms=1_000)
    bus.set_cursor("gateway", stream="events", position="5", now_ms=1_001)
    trim(bus, epoch=1, oldest_snapshot=SNAPSHOT, now_ms=1_001 + READER_SILENT_MAX_MS)
    assert set(bus.cursors()) == {"settlement", "archive-events", "archive-commands", "gateway"}
    assert bus.trimmed().cmd == SNAPSHOT[1]


def test_nothing_to_trim_writes_nothing_and_an_old_epoch_is_refused() -> None:
    bus = MemoryBus("spot")
    bus.raise_epoch(2)
    assert trim(bus, epoch=2, oldest_snapshot=(0, START), now_ms=0) is None
    bus.set_cursor("archive-commands", stream="commands", position="900-0", now_ms=0)
    with pytest.raises(Fenced):
        trim(bus, epoch=1, oldest_snapshot=SNAPSHOT, now_ms=0)


class NextEngine(Engine):
    """The next release, with other rules."""

    RULES_VERSION = Engine.RULES_VERSION + 1


def test_the_first_snapshot_of_new_rules_is_never_pruned_away(
    bus: Bus, start: Callable[..., RunningWorker], directory: Path
) -> None:
    """The archive may not be running at an upgrade; replays of the new rules can begin nowhere else."""
    bus.append_commands(b"".join(opening()))
    old = start()
    old.wait_for(Phase.ACTIVE)
    until(lambda: bus.head().seq > 0)
    old.stop()
    assert snapshots.firsts_of_versions(directory) == []
    start(core_class=NextEngine).wait_for(Phase.ACTIVE)
    (first,) = snapshots.firsts_of_versions(directory)
    assert snapshots.load(first).rules_version == NextEngine.RULES_VERSION
    assert snapshots.load(first).seq == bus.head().seq
    for path in snapshots.kept(directory):
        path.unlink()
    assert snapshots.load(first).seq == bus.head().seq
