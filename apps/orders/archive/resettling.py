"""Settling from the archive into a PostgreSQL that was restored from an older backup.

The events between the backup's watermark and the live log come from the archive, the rest from the live log, up to
where it ends when the command begins: up to there rows may be missing that no settlement process makes again
(restoring.py). Each batch is settled by settlement's own transaction, so a run that was broken off is run again.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import psycopg

from apps.common.clock import now_ms
from apps.orders.archive.errors import RestoreRefused
from apps.orders.archive.log import ArchivedLog, JoinedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.restoring import Restored, Restorer, keep_account_numbers
from apps.orders.policy import ENTRIES_PER_READ, EVENTS_PER_BATCH
from apps.orders.settlement.columns import Batch
from apps.orders.settlement.entries import Position, take
from apps.orders.settlement.outcomes import RELAYED
from apps.orders.settlement.single import acquire
from apps.orders.settlement.transaction import READER, load_markets, read_position, settle
from apps.streams.bus.base import Bus

# Account fields of events: whoever is named in one of them has an account in the engine.
_ACCOUNT_FIELDS: Final = ("account_id", "maker_account_id", "to_account_id")


@dataclass(slots=True)
class Resettled:
    """From where to where, and what had to be made again on the way. `log_end`: where the log ended at the start."""

    from_seq: int
    to_seq: int
    log_end: int
    restored: Restored = field(default_factory=Restored)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def resettle(
    *,
    connection: psycopg.Connection[Any],
    archive: Archive,
    live: Bus | None,
    shard: str,
    progress: Callable[[int, int], None] = lambda _seq, _end: None,
) -> Resettled:
    """Settle up to where the log ends now; without `live`, up to the end of the archive.

    RestoreRefused before anything is done while another settlement is at work, or where archive, log and PostgreSQL do
    not belong together; SettlementStopped as settlement itself. `progress` is called after each batch.
    """
    if not acquire(connection, shard):
        raise RestoreRefused(
            "a settlement process is at work on this database. Stop it first (manage.py process stop settlement), and"
            " leave matching, relay and gateway stopped until this command has ended."
        )
    log = JoinedLog(archive, live) if live is not None else ArchivedLog(archive)
    end = log.head().seq
    position = read_position(connection, shard)
    _check_belongs(archive, log, position)
    _hold_trimming(live, position)
    result = Resettled(position.seq, position.seq, end)
    restorer = Restorer(log, shard)
    result.restored = restorer.restored
    markets = load_markets(connection, shard)
    seen: set[int] = set()
    while position.seq < end:
        entries = log.read_events(position.seq, count=ENTRIES_PER_READ)
        if not entries:
            raise RestoreRefused(f"the log ends at event {end}, but has no entry after {position.seq}")
        while entries:
            batch, taken = take(entries, position, events_max=EVENTS_PER_BATCH)
            entries = entries[taken:]
            seen |= _accounts(batch)
            restorer.prepare(batch.records(*RELAYED))
            position = settle(connection, shard, batch, markets)
            result.to_seq = position.seq
            progress(position.seq, end)
    restorer.restored.unknown_accounts = keep_account_numbers(seen)
    _hold_trimming(live, position)
    if live is not None:
        live.announce_settled(position.seq)
    return result


def _check_belongs(archive: Archive, log: ArchivedLog, position: Position) -> None:
    begin = archive.begin()
    if position.seq < begin.seq:
        raise RestoreRefused(
            f"PostgreSQL is settled up to event {position.seq}, and the archive begins with event {begin.seq + 1}. A"
            " newer backup of PostgreSQL, or an older copy of the archive, is needed."
        )
    if position.seq > log.head().seq:
        raise RestoreRefused(
            f"PostgreSQL is settled up to event {position.seq}, and the log ends at {log.head().seq}: nothing of it is"
            " missing in PostgreSQL; it is the log that lost events."
        )
    chain = log.chain_at(position.seq)
    if chain != position.chain:
        raise RestoreRefused(
            f"at event {position.seq} PostgreSQL has chain {position.chain or '(none)'} and the archive has"
            f" {'no entry that ends there' if chain is None else chain or '(none)'}: two histories. Restore the pair"
            " that belongs together."
        )


def _hold_trimming(live: Bus | None, position: Position) -> None:
    """The cursor still says how far the lost database was; nothing this one needs may be trimmed meanwhile."""
    if live is not None:
        live.set_cursor(READER, stream="events", position=str(position.seq), now_ms=now_ms())


def _accounts(batch: Batch) -> set[int]:
    found: set[int] = set()
    for events in batch.by_kind.values():
        for name in _ACCOUNT_FIELDS:
            if name in (events.dtype.names or ()):
                found.update(int(account) for account in np.unique(events[name]))
    return found - {0}
