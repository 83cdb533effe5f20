"""What `engine_status` shows: read from redis-core, PostgreSQL and one snapshot; no state of the worker is touched."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apps.matching import snapshots
from apps.matching.engine import Engine
from apps.matching.engines import HOW_TO_BUILD
from apps.matching.models import EngineEpoch, Watermark
from apps.matching.snapshots import Snapshot
from apps.matching.trimming import waits_for
from apps.streams.bus.base import Bus
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from apps.streams.kinds import HaltCause, TickFlag

POLL_S: Final = 0.05
# The last word of a lease's holder says which one the active worker has.
ENGINES: Final = {
    "native": "native (compiled)",
    "plain": f"plain (many times slower than the compiled one; {HOW_TO_BUILD})",
}
WHO_KNOWS_WHY: Final = "the health of matching (and standby) says why; manage.py process list shows it"


class StatusUnavailable(Exception):
    """No snapshot can be shown; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Reader:
    """`behind` counts events for readers of the events stream; None for readers of the commands stream."""

    name: str
    position: str
    behind: int | None
    heartbeat_age_ms: int | None


@dataclass(frozen=True, slots=True)
class Book:
    """`cause` says why the market is in its state; `skips`: failed commands of it since staff last moved it."""

    symbol: str
    state: str
    cause: str
    best_bid_ticks: int
    best_ask_ticks: int
    last_price_ticks: int
    bid_levels: int
    ask_levels: int
    open_orders: int
    skips: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One shard. `state_*` and `books` are those of the snapshot, the rest is of the moment.

    Without an active worker and without a snapshot there is no state: its hash is empty then.
    `engine` is that of the active worker, empty without one.
    `trimming_waits_for`: readers that must have a cursor before anything is trimmed, and have none.
    """

    shard: str
    epoch: int
    epoch_in_postgres: int
    holder: str
    engine: str
    seq: int
    chain: str
    last_command: str
    newest_command: str
    backlog_frames: int
    settled_seq: int
    skips: int
    trimmed_seq: int
    trimming_waits_for: tuple[str, ...]
    readers: tuple[Reader, ...]
    state_seq: int
    state_command: str
    state_rules_version: int
    state_hash: str
    open_orders: int
    books: tuple[Book, ...]


def request_snapshot(bus: Bus, directory: Path, *, timeout_s: float) -> Snapshot | None:
    """Ask the active worker for a snapshot and wait for its file; without an active worker the newest there is."""
    if bus.lease_holder() is None:
        return snapshots.newest(directory)
    asked = bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
    deadline = time.monotonic() + timeout_s
    while True:
        for path in snapshots.kept(directory):
            if snapshots.position_in_name(path)[1] >= asked:
                return snapshots.load(path)
        if time.monotonic() > deadline:
            raise StatusUnavailable(
                f"The active worker ({bus.lease_holder() or 'gone meanwhile'}) wrote no snapshot within"
                f" {timeout_s:.0f} s. Look at its log and its health check."
            )
        time.sleep(POLL_S)


def engine_status(bus: Bus, directory: Path, *, now_ms: int, timeout_s: float) -> EngineStatus:
    snapshot = request_snapshot(bus, directory, timeout_s=timeout_s)
    core = Engine.restore(snapshot.body) if snapshot is not None else None
    head, frames = bus.head(), bus.frame_count()
    holder = bus.lease_holder() or ""
    stored = EngineEpoch.objects.filter(shard=bus.shard).first()
    return EngineStatus(
        shard=bus.shard,
        epoch=bus.epoch(),
        epoch_in_postgres=stored.epoch if stored is not None else 0,
        holder=holder,
        engine=holder.rpartition(" ")[2],
        seq=head.seq,
        chain=head.chain,
        last_command=str(head.cmd),
        newest_command=str(bus.last_command()),
        backlog_frames=frames.appended - frames.done,
        settled_seq=bus.settled(),
        skips=len(bus.read_skips()),
        trimmed_seq=bus.trimmed().seq,
        trimming_waits_for=waits_for(bus.cursors()),
        readers=_readers(bus, head.seq, now_ms),
        state_seq=snapshot.seq if snapshot is not None else 0,
        state_command=str(snapshot.last_cmd) if snapshot is not None else "",
        state_rules_version=snapshot.rules_version if snapshot is not None else 0,
        state_hash=core.state_hash() if core is not None else "",
        open_orders=sum(1 for _ in core.open_orders()) if core is not None else 0,
        books=_books(core) if core is not None else (),
    )


def _readers(bus: Bus, head_seq: int, now_ms: int) -> tuple[Reader, ...]:
    """Cursors on redis-core, and the watermarks in PostgreSQL, which are the authority where both exist."""
    readers = [
        Reader(
            name,
            cursor.position,
            head_seq - int(cursor.position) if cursor.stream == "events" else None,
            now_ms - cursor.heartbeat_ms,
        )
        for name, cursor in sorted(bus.cursors().items())
    ]
    for mark in Watermark.objects.filter(shard=bus.shard).order_by("reader"):
        readers.append(Reader(f"{mark.reader} (PostgreSQL)", str(mark.seq), head_seq - mark.seq, None))
    return tuple(readers)


def _books(core: Engine) -> tuple[Book, ...]:
    orders: dict[int, int] = {}
    for order in core.open_orders():
        orders[order.market_id] = orders.get(order.market_id, 0) + 1
    return tuple(
        Book(
            symbol=market.symbol,
            state=market.state.name,
            cause=market.cause.name,
            best_bid_ticks=market.best_bid_ticks,
            best_ask_ticks=market.best_ask_ticks,
            last_price_ticks=market.last_price_ticks,
            bid_levels=market.bid_levels,
            ask_levels=market.ask_levels,
            open_orders=orders.get(market.market_id, 0),
            skips=market.skips,
        )
        for market in core.markets()
    )


def as_text(status: EngineStatus) -> str:
    lines = [
        f"shard {status.shard}   epoch {status.epoch} (PostgreSQL {status.epoch_in_postgres})   "
        f"held by {status.holder or 'NOBODY'}",
        f"engine    {ENGINES.get(status.engine, 'none')}",
        f"events    {status.seq}   chain {status.chain or '(none)'}",
        f"commands  published up to {status.last_command}, newest {status.newest_command}, "
        f"backlog {status.backlog_frames} frames",
        f"settled   {status.settled_seq}   trimmed up to {status.trimmed_seq}   skipped commands {status.skips}",
    ]
    if status.trimming_waits_for:
        lines.append(f"NOTHING IS TRIMMED before these readers are there: {', '.join(status.trimming_waits_for)}")
    lines.append("readers")
    for reader in status.readers:
        behind = "" if reader.behind is None else f"   {reader.behind} events behind"
        age = "" if reader.heartbeat_age_ms is None else f"   heartbeat {reader.heartbeat_age_ms} ms ago"
        lines.append(f"  {reader.name:<28} {reader.position}{behind}{age}")
    if not status.holder:
        lines.append(f"NO WORKER IS ACTIVE: {WHO_KNOWS_WHY}")
    if not status.state_hash:
        lines.append("state     unknown: no worker is active, and there is no snapshot")
        return "\n".join(lines)
    lines += [
        f"state at event {status.state_seq}, command {status.state_command}, "
        f"rules version {status.state_rules_version}",
        f"  hash {status.state_hash}   {status.open_orders} open orders",
        "books (prices in ticks, 0 = none)",
    ]
    for book in status.books:
        state = book.state if book.cause == HaltCause.NONE.name else f"{book.state} ({book.cause})"
        skips = f"   {book.skips} skipped" if book.skips else ""
        lines.append(
            f"  {book.symbol:<12} {state:<22} bid {book.best_bid_ticks}  ask {book.best_ask_ticks}  "
            f"last {book.last_price_ticks}   levels {book.bid_levels}/{book.ask_levels}   "
            f"orders {book.open_orders}{skips}"
        )
    return "\n".join(lines)
