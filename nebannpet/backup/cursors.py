"""While a backup runs, trimming must not pass what it has yet to copy: two cursors in the log's own list of readers."""

import threading
from types import TracebackType
from typing import Final, Self

import structlog

from apps.common.clock import now_ms
from apps.streams.bus.base import Bus, EntryId
from apps.streams.bus.errors import BusError

log = structlog.get_logger(__name__)

EVENTS_CURSOR: Final = "backup-events"
COMMANDS_CURSOR: Final = "backup-commands"
# Far below apps/matching/policy.READER_SILENT_MAX_MS, after which a silent reader no longer counts. A backup that is
# killed leaves its cursors; they go by that rule.
HEARTBEAT_S: Final = 15.0


class LogHeld:
    """Inside the block no event after `events` and no command entry after `commands` is trimmed.

    The first heartbeat must succeed (BusError); a later one that fails is said and tried again, and the backup itself
    checks at its end that nothing went missing.
    """

    def __init__(self, bus: Bus, *, events: int, commands: EntryId) -> None:
        self._bus = bus
        self._positions = ((EVENTS_CURSOR, "events", str(events)), (COMMANDS_CURSOR, "commands", str(commands)))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="backup cursors", daemon=True)

    def __enter__(self) -> Self:
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        try:
            for reader, _, _ in self._positions:
                self._bus.drop_cursor(reader)
        except BusError as failure:
            log.warning("the backup's cursors stay for ten minutes", error=str(failure))
        self._bus.close()

    def _keep(self) -> None:
        while not self._done.wait(HEARTBEAT_S):
            try:
                self._beat()
            except BusError as failure:
                log.warning("the backup's cursors could not be renewed", error=str(failure))

    def _beat(self) -> None:
        for reader, stream, position in self._positions:
            self._bus.set_cursor(reader, stream=stream, position=position, now_ms=now_ms())
