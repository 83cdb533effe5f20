"""Switches as processes follow them that do not ask PostgreSQL each time (architecture.md section 2): SQL, no ORM.

As with credentials (apps/accounts/credentials.py): every change raises `version` on the row, from one sequence, under
one lock that is freed after the commit is visible, and sends NOTIFY on SWITCHES_CHANNEL; triggers do both. A follower
listens on an own autocommit connection, and asks for `version > last` at each notification and every 500 ms.

What decides about money never goes by this: it reads the switches in its own transaction (selectors.read_gates).
"""

import time
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from apps.controls.gates import UNKNOWN_GATES, Gates, SwitchRow, gates_of, subjects_of
from apps.controls.kinds import Kind
from apps.controls.policy import SILENT_MAX_S

SWITCHES_CHANNEL: Final = "switches"

# Parameter: the last version seen. Rows in version order: (version, kind, scope, subject, is_on, until).
CHANGES_SQL: Final = """
SELECT version, kind, scope, subject, is_on, until FROM controls_switch WHERE version > %s ORDER BY version
"""


class SwitchBoard:
    """All switches that were ever set, in memory; fed by whoever follows (its `start` and `refresh`)."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], SwitchRow] = {}
        self._fresh_s = float("-inf")
        self.version = 0

    async def start(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """First read on a connection; after an outage the changes since the last version are caught up."""
        await self.refresh(connection)

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> None:
        for version, *row in await (await connection.execute(CHANGES_SQL, (self.version,))).fetchall():
            found = SwitchRow(*row)
            self._rows[found.kind, found.scope, found.subject] = found
            self.version = version
        self._fresh_s = time.monotonic()

    def gates(self, *, user_id: int, asset: str = "", asset_class: str = "", now: datetime | None = None) -> Gates:
        """For what is shown, such as whether an asset can be withdrawn. UNKNOWN_GATES if nothing was heard lately."""
        if time.monotonic() - self._fresh_s > SILENT_MAX_S:
            return UNKNOWN_GATES
        subjects = subjects_of(user_id=user_id, asset=asset, asset_class=asset_class)
        keys = [(kind.value, scope.value, subject) for kind in Kind for scope, subject in subjects]
        rows = [self._rows[key] for key in keys if key in self._rows]
        return gates_of(rows, user_id=user_id, asset=asset, asset_class=asset_class, now=now or datetime.now(UTC))
