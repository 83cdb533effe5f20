"""What a batch says about relayed commands: outbox rows, and the mirror of what staff sets."""

from typing import Any

import psycopg

from apps.markets.services.mirror import mirror_state
from apps.orders.errors import SettlementStopped
from apps.orders.settlement import staffsettings
from apps.orders.settlement.columns import Batch
from apps.outbox.services import Outcome, settle_rows
from apps.streams.kinds import CommandKind, EventKind, Reason, Source

RELAYED = (
    EventKind.MONEY_MOVED,
    EventKind.RELAY_REFUSED,
    EventKind.SETTINGS_APPLIED,
    EventKind.MARKET_STATE_CHANGED,
    EventKind.INTERNAL_REJECT,
    EventKind.ORDER_REVIEWED,
)
# Sources whose commands stand in the outbox. An event may name another one: the engine refuses a command of a source
# that it does not know with an event that says so, and nothing in the record waits for it.
_NUMBERED = frozenset(Source) - {Source.DIRECT}
# Events that answer one kind of command; the others say in `op` which one.
_ANSWERED = {
    EventKind.MARKET_STATE_CHANGED: CommandKind.SET_MARKET_STATE,
    EventKind.ORDER_REVIEWED: CommandKind.REVIEW_ORDER,
}
_REFUSALS = (EventKind.RELAY_REFUSED, EventKind.INTERNAL_REJECT)


def write(cursor: psycopg.Cursor[Any], shard: str, batch: Batch) -> None:
    """Mark the outbox rows of the batch's events and mirror market states and what was set, ascending by seq."""
    outcomes = []
    for event in batch.records(*RELAYED):
        if event.relay_seq and event.source in _NUMBERED:
            reason = int(event.reason or Reason.INTERNAL) if event.KIND in _REFUSALS else int(Reason.NONE)
            outcomes.append(Outcome(event.source, event.relay_seq, _kind(event), event.seq, reason))
        if event.KIND == EventKind.MARKET_STATE_CHANGED:
            mirror_state(cursor, event)
    staffsettings.mirror(cursor, shard, batch)
    marked = settle_rows(cursor=cursor, shard=shard, outcomes=outcomes)
    if marked != len(outcomes):
        raise SettlementStopped(
            f"events {batch.from_seq + 1}-{batch.to_seq} answer {len(outcomes)} relayed commands, "
            f"but {marked} outbox rows wait for them: this database did not send them all. If it was restored from an"
            " older backup, run manage.py settle --from archive"
        )


def _kind(event: Any) -> int:
    """CommandKind that the event answers."""
    answered = _ANSWERED.get(event.KIND)
    return int(event.op if answered is None else answered)
