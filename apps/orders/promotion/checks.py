"""What a second site has, compared with itself before it serves (E13): log, state hash, ledger checksums. Reads only.

1. log      PostgreSQL's watermark and the standby worker's newest snapshot are not ahead of the replica's log, and
            the log has their chains where they stand.
2. replay   From the oldest snapshot of this site (or from empty) the commands give the published events, byte by
            byte, up to the log's head: the chain says so at every entry.
3. ledger   The state so replayed to the watermark has PostgreSQL's balances, open orders, fees, external totals and
            trade ids there; entries add up to zero, to the balances and to the totals; trades to entries and fills.
4. state    The state that the standby worker wrote down last has the state hash of the replay at the same command.

The names are those that a refusal gives; each stands for one kind of damage and has its place in docs/two-sites.md.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from apps.matching import snapshots
from apps.matching.authority import Settled
from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.engine.snapshot import state_hash
from apps.matching.errors import Halt, LogDamaged
from apps.matching.recovery_checks import check_history, check_record
from apps.matching.shards import engine_of
from apps.matching.snapshots import Snapshot
from apps.orders.promotion.errors import CheckFailed
from apps.orders.reconciliation import record
from apps.orders.reconciliation.replica import LogDiffers, Replica, head_at
from apps.orders.reconciliation.states import differences
from apps.orders.settlement.entries import Position as Watermark
from apps.streams.bus.base import START, Bus, Head

DIFFERENCES_SHOWN: Final = 10
ATTEMPTS: Final = 3


class Replayed(NamedTuple):
    """The state hash at one position: `source` says what gave it."""

    source: str
    seq: int
    state_hash: str


@dataclass(slots=True)
class Compared:
    """What was found equal, at event `settled.seq` in PostgreSQL and up to `head.seq` in the log."""

    head: Head
    settled: Watermark
    replays: list[Replayed] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class _Trimmed(Exception):
    """The log was trimmed under the replay: the primary is alive and at work. Start again."""


def compare(bus: Bus, directory: Path) -> Compared:
    """Raises CheckFailed with the check's name; BusError and psycopg.OperationalError where a server is away.

    `directory` holds this site's own snapshots. While the primary still trades, what arrives meanwhile is left out.
    """
    for _ in range(ATTEMPTS):
        try:
            return _compare(bus, directory)
        except _Trimmed:
            continue
    raise CheckFailed("replay", f"the log was trimmed under the replay in each of {ATTEMPTS} attempts; try again")


def _compare(bus: Bus, directory: Path) -> Compared:
    with record.connect() as connection:
        settled, facts, counts, found = record.read(connection, bus.shard)
    own = [each for each in snapshots.good(directory) if each.rules_version == RULES_VERSION]
    # Asked after PostgreSQL and the snapshots: the log is behind neither, so an older answer could only be wrong.
    head, settled_end = _check_log(bus, settled, own[:1])
    if found:
        raise CheckFailed("ledger", _shown(found))
    result = Compared(head, settled, counts=counts | facts.counts())
    replica, source = _start(bus, directory, own, settled_end)
    stops = [(settled_end, "ledger"), (result.head, "head")]
    if own and replica.position != own[0].position:
        stops.append((_end_of(own[0]), "standby"))
    for end, what in sorted(stops, key=lambda stop: (stop[0].seq, stop[0].cmd)):
        _advance(replica, bus, end)
        if what == "ledger":
            if different := list(differences(replica.facts(), facts)):
                raise CheckFailed("ledger", _shown(different))
            continue
        replayed = Replayed(source, end.seq, replica.engine.state_hash())
        result.replays.append(replayed)
        if what == "standby":
            result.replays.append(_check_state(own[0], replayed))
    return result


def _check_log(bus: Bus, settled: Watermark, newest: list[Snapshot]) -> tuple[Head, Head]:
    """Log, record and newest snapshot have one history; (head, end of the event entry that PostgreSQL stands at)."""
    try:
        head = _check_record(bus, Settled(settled.seq, settled.chain))
        for snapshot in newest:
            check_history(bus, head, snapshot.position, f"snapshot {snapshot.path.name}")
    except Halt as halt:
        raise CheckFailed("log", f"{halt.reason}: {halt}") from halt
    end = head_at(bus, settled.seq)
    if end is None:
        raise CheckFailed("log", f"PostgreSQL is settled up to event {settled.seq}, where no entry of the log ends")
    return head, end


def _check_record(bus: Bus, settled: Settled) -> Head:
    """The head for which the check holds: entries that arrive between two questions are no damage."""
    while True:
        head = bus.head()
        try:
            check_record(bus, head, settled)
        except LogDamaged:
            if bus.head() == head:
                raise
        else:
            return head


def _start(bus: Bus, directory: Path, own: list[Snapshot], settled_end: Head) -> tuple[Replica, str]:
    """The oldest state at or before PostgreSQL's watermark, and what it is; empty where the log is whole and fewer than
    two snapshots are there, because one snapshot says nothing about itself."""
    usable = [each for each in own if (each.seq, each.last_cmd) <= (settled_end.seq, settled_end.cmd)]
    if len(usable) < 2 and bus.trimmed().cmd == START:
        return Replica(engine_of(bus.shard)(), Position()), "replay from empty"
    if not usable:
        raise CheckFailed(
            "ledger",
            f"PostgreSQL is settled up to event {settled_end.seq}, the log was trimmed, and {directory} holds no"
            " snapshot of this release at or before that event, so its balances cannot be compared. Bring an older"
            " snapshot of the primary site or of a backup there, and run this again.",
        )
    oldest = usable[-1]
    return Replica(Engine.restore(oldest.body), oldest.position), f"replay from snapshot {oldest.seq}"


def _advance(replica: Replica, bus: Bus, end: Head) -> None:
    since = replica.position.last_cmd
    try:
        replica.advance(bus, end)
    except LogDiffers as difference:
        if bus.trimmed().cmd > since:
            raise _Trimmed from None
        raise CheckFailed("replay", str(difference)) from difference


def _check_state(snapshot: Snapshot, replayed: Replayed) -> Replayed:
    """What the standby worker wrote down, which must be what the replay gives at the same command."""
    written = Replayed(f"standby's snapshot {snapshot.path.name}", snapshot.seq, state_hash(snapshot.body))
    if written.state_hash != replayed.state_hash:
        raise CheckFailed(
            "state",
            f"at event {snapshot.seq} the {replayed.source} has state hash {replayed.state_hash}, the"
            f" {written.source} {written.state_hash}. Keep both, and find out which engine was changed.",
        )
    return written


def _end_of(snapshot: Snapshot) -> Head:
    return Head(snapshot.seq, snapshot.chain, snapshot.last_cmd)


def _shown(found: list[str]) -> str:
    rest = len(found) - DIFFERENCES_SHOWN
    return "; ".join([*found[:DIFFERENCES_SHOWN], *([f"and {rest} more"] if rest > 0 else [])])
