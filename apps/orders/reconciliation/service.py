"""Reconcile: log, engine and ledger say the same at one sequence number, or every difference is named (T13).

1. log against engine    A replica made by replaying the command log has the state hash of the live engine's snapshot.
2. log against ledger    PostgreSQL's watermark carries the chain that the log has there.
3. engine against ledger The replica, replayed on to the watermark, has PostgreSQL's balances, open orders, fees,
                         external totals and trade ids.
4. ledger against itself Entries add up to zero, to the balances and to the totals; trades to entries and to fills.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog
from django.utils import timezone

from apps.common.errors import DomainError
from apps.matching.engine.snapshot import state_hash
from apps.orders.models import Reconciliation
from apps.orders.policy import (
    DIFFERENCES_STORED,
    POLL_S,
    RECONCILE_FULL_EVERY_S,
    SETTLEMENT_WAIT_S,
    SNAPSHOT_WAIT_S,
)
from apps.orders.reconciliation import record
from apps.orders.reconciliation.replica import LogDiffers, Replica, ask_snapshot, head_at
from apps.orders.reconciliation.states import differences
from apps.streams.bus.base import Bus, Head

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3
# The count of a run that says from where on transactions were looked at; 0: the whole history.
WHOLE_HISTORY: Final = "checked after event"


@dataclass(slots=True)
class Result:
    """What was compared, and every difference as a sentence. `engine_seq`, `ledger_seq`: None where not reached."""

    shard: str
    started_at: datetime
    engine_seq: int | None = None
    ledger_seq: int | None = None
    state_hash: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.differences


class _TrimmedMeanwhile(Exception):
    """Commands the replica needed went while it was reading; take a newer snapshot and try again."""


def reconcile(*, bus: Bus, directory: Path, shard: str, full: bool = False) -> Result:
    """Compare everything once. Reads only, except one TICK that asks the engine for a snapshot.

    The record's own sums are taken from the replayed stretch where the whole history was found equal within the last
    RECONCILE_FULL_EVERY_S and nothing but equal since; else, and with `full`, from the beginning.
    Raises BusError and psycopg.OperationalError where redis-core or PostgreSQL is away.
    """
    for _ in range(ATTEMPTS):
        result = Result(shard, timezone.now())
        try:
            _compare(result, bus, directory, None if full else _checked_seq(shard))
        except _TrimmedMeanwhile:
            continue
        except LogDiffers as difference:
            result.differences.append(str(difference))
        except DomainError as refusal:
            result.differences.append(f"engine: {refusal.message}")
        return result
    result.differences.append(f"log: trimmed under the replay in each of {ATTEMPTS} attempts")
    return result


def save(result: Result) -> Reconciliation:
    """The permanent row of a run."""
    shown = result.differences[:DIFFERENCES_STORED]
    if len(shown) < len(result.differences):
        shown.append(f"and {len(result.differences) - len(shown)} more")
    return Reconciliation.objects.create(
        shard=result.shard, engine_seq=result.engine_seq, ledger_seq=result.ledger_seq, equal=result.equal,
        counts=result.counts, differences=shown, started_at=result.started_at, finished_at=timezone.now(),
    )  # fmt: skip


def _checked_seq(shard: str) -> int | None:
    """Event up to which the last runs found everything equal, the first of them looking at the whole history."""
    runs = Reconciliation.objects.filter(shard=shard)
    recent = runs.filter(finished_at__gt=timezone.now() - timedelta(seconds=RECONCILE_FULL_EVERY_S))
    whole = recent.filter(equal=True, counts__contains={WHOLE_HISTORY: 0}).order_by("-id").first()
    if whole is None or runs.filter(id__gt=whole.id, equal=False).exists():
        return None
    return runs.order_by("-id").values_list("ledger_seq", flat=True).first()


def _compare(result: Result, bus: Bus, directory: Path, checked_seq: int | None) -> None:
    replica = Replica.before(bus, directory)
    start_seq = replica.position.seq
    known = None if checked_seq is None else record.Known(checked_seq, replica.facts())
    live = ask_snapshot(bus, directory, timeout_s=SNAPSHOT_WAIT_S)
    _advance(replica, bus, Head(live.seq, live.chain, live.last_cmd))
    result.engine_seq = live.seq
    result.counts["events replayed"] = live.seq - start_seq
    result.state_hash = state_hash(live.body)
    if (replayed := replica.engine.state_hash()) != result.state_hash:
        result.differences.append(
            f"log: replayed to {live.seq} it has state hash {replayed}, the engine {result.state_hash}"
        )
    with record.connect() as connection:
        _wait_until_settled(connection, result.shard, live.seq)
        position, facts, counts, found = record.read(connection, result.shard, known)
    result.ledger_seq = position.seq
    result.counts |= counts | facts.counts()
    result.differences += found
    if position.seq < live.seq:
        result.differences.append(f"ledger: settled up to {position.seq} only, the engine was compared at {live.seq}")
        return
    end = head_at(bus, position.seq)
    if end is None or end.chain != position.chain:
        result.differences.append(
            f"ledger: at event {position.seq} PostgreSQL has chain {position.chain}, "
            f"the log {end.chain if end else 'no entry that ends there'}"
        )
        return
    _advance(replica, bus, end)
    result.differences += differences(replica.facts(), facts)


def _advance(replica: Replica, bus: Bus, head: Head) -> None:
    since = replica.position.last_cmd
    try:
        replica.advance(bus, head)
    except LogDiffers:
        if bus.trimmed().cmd > since:
            raise _TrimmedMeanwhile from None
        raise


def _wait_until_settled(connection: psycopg.Connection[Any], shard: str, seq: int) -> None:
    deadline = time.monotonic() + SETTLEMENT_WAIT_S
    while record.watermark(connection, shard).seq < seq and time.monotonic() < deadline:
        time.sleep(POLL_S)
