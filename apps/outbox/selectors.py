"""Reading the outbox."""

import time
from typing import Final

from apps.outbox.models import OutboxRow, OutboxState

_POLL_FIRST_S: Final = 0.01
_POLL_LAST_S: Final = 0.2


def wait_done(row: OutboxRow, timeout: float) -> OutboxRow:
    """The row as soon as its event is settled (done or refused), or as it stands after `timeout` seconds.

    For commands and pages that show the outcome; call it after the transaction that wrote the row has committed.
    """
    deadline = time.monotonic() + timeout
    pause = _POLL_FIRST_S
    while True:
        fresh = OutboxRow.objects.get(pk=row.pk)
        left = deadline - time.monotonic()
        if fresh.state != OutboxState.WAITING or left <= 0:
            return fresh
        time.sleep(min(pause, left))
        pause = min(pause * 2, _POLL_LAST_S)


def row_for_key(key: str) -> OutboxRow | None:
    """The row of a business key, None where there is none."""
    return OutboxRow.objects.filter(key=key).first()
