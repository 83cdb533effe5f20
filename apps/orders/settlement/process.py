"""The process `run_settlement`: events from the stream into PostgreSQL, from the watermark on, for ever.

PostgreSQL or redis-core away: back off, then read the watermark and go on; that is also the answer to a commit whose
reply was lost. Log and record in disagreement: SettlementStopped ends the process, nothing has changed.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

import psycopg
import structlog
from prometheus_client import Counter, Gauge, Histogram

from apps.common.clock import now_ms
from apps.common.crashpoints import reach
from apps.ledger import pgbinary
from apps.orders.errors import SettlementStopped
from apps.orders.policy import (
    BACK_OFF_FIRST_S,
    BACK_OFF_LAST_S,
    BATCH_EVERY_S,
    CURSOR_EVERY_S,
    ENTRIES_PER_READ,
    EVENTS_PER_BATCH,
    LAG_LIMIT_EVENTS,
    LAG_LIMIT_S,
    READ_BLOCK_MS,
)
from apps.orders.settlement.entries import Position, take
from apps.orders.settlement.single import LOCK_RETRY_S, acquire
from apps.orders.settlement.transaction import READER, load_markets, read_position, settle
from apps.outbox import session
from apps.streams.bus.base import Bus, EventEntry
from apps.streams.bus.errors import BusError, LogUnreadable
from apps.streams.kinds import EventKind
from nebannpet.health import Health

log = structlog.get_logger(__name__)

SETTLED_SEQ: Final = Gauge("settlement_seq", "Event sequence number up to which PostgreSQL is settled")
LAG_EVENTS: Final = Gauge("settlement_lag_events", "Durable events that are not settled yet")
LAG_SECONDS: Final = Gauge("settlement_lag_seconds", "Age of the newest settled event while others wait, else 0")
WAITING: Final = Gauge("settlement_waiting", "1 while settlement waits for PostgreSQL or redis-core, else 0")
BATCH_SECONDS: Final = Histogram(
    "settlement_batch_seconds", "Time of one settlement transaction",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)  # fmt: skip
EVENTS: Final = Counter("settlement_events_total", "Events settled by this process")
TRADES: Final = Counter("settlement_trades_total", "Trades settled by this process")

# Compiling a statement takes longer than any of these runs.
_PLANNER: Final = "-c jit=off"


def connect() -> psycopg.Connection[Any]:
    """A connection as settlement needs it; psycopg.OperationalError when PostgreSQL is away."""
    connection = session.connect(planner=_PLANNER)
    pgbinary.register(connection)
    return connection


class SettlementProcess:
    """Runs until `stop` is set. Not thread-safe except `check`, which only reads numbers."""

    def __init__(self, *, shard: str, open_bus: Callable[[], Bus], stop: threading.Event) -> None:
        self._shard = shard
        self._open_bus = open_bus
        self._stop = stop
        self._pause_s = BACK_OFF_FIRST_S
        self._cursor_at = 0.0
        self.status = "starting"
        self.error = ""
        self.seq = 0
        self.lag_events = 0
        self.lag_s = 0.0

    def check(self) -> Health:
        fine = self.status == "settling" and self.lag_s <= LAG_LIMIT_S and self.lag_events <= LAG_LIMIT_EVENTS
        return Health(
            ok=fine,
            details={
                "state": self.status,
                "seq": self.seq,
                "lag_events": self.lag_events,
                "lag_s": round(self.lag_s, 1),
                **({"error": self.error} if self.error else {}),
            },
        )

    def run(self) -> None:
        """Settle until stopped; SettlementStopped when log and record disagree."""
        while not self._stop.is_set():
            try:
                with connect() as connection, closing(self._open_bus()) as bus:
                    self._run_on(connection, bus)
            except (psycopg.OperationalError, psycopg.InternalError) as error:
                # Internal: a file that may not grow, a session ended in the middle of a transaction (fault-F13).
                self._measure_while_waiting()
                self._back_off("waiting for PostgreSQL", error)
            except LogUnreadable as error:
                raise SettlementStopped(f"after event {self.seq}: {error}") from error
            except BusError as error:
                self._back_off("waiting for redis-core", error)
            except (psycopg.IntegrityError, psycopg.errors.RaiseException, AssertionError) as error:
                raise SettlementStopped(f"after event {self.seq}: an invariant is broken: {error}") from error
            except psycopg.Error as error:  # a missing table or right, a value that does not fit: waiting does not help
                raise SettlementStopped(f"after event {self.seq}: PostgreSQL refuses the statement: {error}") from error

    def _run_on(self, connection: psycopg.Connection[Any], bus: Bus) -> None:
        while not acquire(connection, self._shard):
            self._set("another settlement is at work")
            if self._stop.wait(LOCK_RETRY_S):
                return
        position = read_position(connection, self._shard)
        markets = load_markets(connection, self._shard)
        self._check_history(bus, position)
        self._after(bus, position)
        began_s = float("-inf")
        while not self._stop.is_set():
            bus.wait_until_wanted(max(began_s + BATCH_EVERY_S - time.monotonic(), 0))
            entries = self._next_entries(bus, position.seq)
            began_s = time.monotonic()
            if entries:
                reach("settlement.read.after")
            self._set("settling")
            self._pause_s = BACK_OFF_FIRST_S
            while entries and not self._stop.is_set():
                batch, taken = take(entries, position, events_max=EVENTS_PER_BATCH)
                entries = entries[taken:]
                self._measure(bus, batch.last_ms, batch.to_seq)
                with BATCH_SECONDS.time():
                    position = settle(connection, self._shard, batch, markets)
                EVENTS.inc(batch.to_seq - batch.from_seq)
                TRADES.inc(len(batch.of(EventKind.TRADE)))
                self._after(bus, position)
            self._idle(bus, position)

    def _next_entries(self, bus: Bus, after_seq: int) -> list[EventEntry]:
        """What there is, up to about one batch of events; waits a moment for the first entry."""
        found = bus.read_events(after_seq, count=ENTRIES_PER_READ, block_ms=READ_BLOCK_MS)
        entries = list(found)
        while len(found) == ENTRIES_PER_READ and entries[-1].last_seq - after_seq < EVENTS_PER_BATCH:
            found = bus.read_events(entries[-1].last_seq, count=ENTRIES_PER_READ)
            entries.extend(found)
        return entries

    def _check_history(self, bus: Bus, position: Position) -> None:
        """The log must reach the watermark and agree with its chain, as far as it still knows (architecture.md 3)."""
        head, trimmed = bus.head(), bus.trimmed()
        if head.seq < position.seq:
            raise SettlementStopped(
                f"PostgreSQL is settled up to {position.seq}, the log ends at {head.seq}: redis-core lost events"
            )
        if trimmed.seq > position.seq:
            raise SettlementStopped(
                f"PostgreSQL is settled up to {position.seq}, the log was trimmed up to {trimmed.seq}: "
                "the events in between are only in the archive: run manage.py settle --from archive"
            )
        chain = bus.chain_at(position.seq) if position.seq else ""
        if chain is not None and chain != position.chain:
            raise SettlementStopped(f"log and PostgreSQL have different histories: the chains at {position.seq} differ")

    def _after(self, bus: Bus, position: Position) -> None:
        """Tell those who wait, and trimming, how far PostgreSQL is."""
        self.seq = position.seq
        SETTLED_SEQ.set(position.seq)
        bus.announce_settled(position.seq)
        if time.monotonic() >= self._cursor_at:
            self._cursor_at = time.monotonic() + CURSOR_EVERY_S
            bus.set_cursor(READER, stream="events", position=str(position.seq), now_ms=now_ms())

    def _idle(self, bus: Bus, position: Position) -> None:
        """All that was read is settled."""
        self._measure(bus, now_ms(), position.seq)
        if time.monotonic() >= self._cursor_at:
            self._after(bus, position)

    def _measure(self, bus: Bus, event_ms: int, seq: int) -> None:
        self.lag_s = max(now_ms() - event_ms, 0) / 1000
        self.lag_events = bus.head().seq - seq
        LAG_SECONDS.set(self.lag_s)
        LAG_EVENTS.set(self.lag_events)

    def _measure_while_waiting(self) -> None:
        """The lag grows while PostgreSQL is away; what is not settled is counted from what was last announced."""
        try:
            with closing(self._open_bus()) as bus:
                seq = self.seq or bus.settled()
                self.lag_events = bus.head().seq - seq
                oldest = bus.read_events(seq, count=1)
        except BusError:
            return
        self.lag_s = max(now_ms() - oldest[0].last_cmd.ms, 0) / 1000 if oldest else 0.0
        LAG_SECONDS.set(self.lag_s)
        LAG_EVENTS.set(self.lag_events)

    def _back_off(self, status: str, error: Exception) -> None:
        if status != self.status:
            log.warning("settlement", state=status, shard=self._shard, seq=self.seq, error=str(error).strip())
        self.status, self.error = status, str(error).strip()
        WAITING.set(1)
        self._stop.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, BACK_OFF_LAST_S)

    def _set(self, status: str) -> None:
        if status != self.status:
            log.info("settlement", state=status, shard=self._shard, seq=self.seq)
            self.status, self.error = status, ""
            WAITING.set(0)
