"""The process `run_outbox`: keeps one relay at work, backs off when PostgreSQL or redis-core is away."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import psycopg
import structlog
from prometheus_client import Counter, Gauge

from apps.outbox import session
from apps.outbox.models import OutboxState
from apps.outbox.policy import BACK_OFF_FIRST_S, BACK_OFF_LAST_S, LOCK_RETRY_S, POLL_S, REPORT_S, SETTLED_POLL_S
from apps.outbox.relay import CommandLog, Relay
from apps.streams.bus.errors import BusError
from nebannpet.health import Health

log = structlog.get_logger(__name__)

SENT: Final = Counter("outbox_sent_total", "Commands appended to the engine's stream, repetitions included")
WAITING: Final = Gauge("outbox_waiting_rows", "Outbox rows whose event is not settled yet")
OLDEST: Final = Gauge("outbox_oldest_waiting_seconds", "Age of the oldest outbox row that is not settled")

_REPORT: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)
  FROM outbox_outboxrow WHERE shard = %s AND source = %s AND state = %s
"""


class RelayProcess:
    """Runs until `stop` is set. `status` is what the health check shows."""

    def __init__(self, *, shard: str, open_bus: Callable[[], CommandLog], stop: threading.Event) -> None:
        self._shard = shard
        self._open_bus = open_bus
        self._stop = stop
        self._pause_s = BACK_OFF_FIRST_S
        self._report_at = 0.0
        self.status = "starting"
        self.sent_seq = 0

    def check(self) -> Health:
        return Health(ok=self.status == "relaying", details={"state": self.status, "sent_relay_seq": self.sent_seq})

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                with session.connect() as connection, closing(self._open_bus()) as commands:
                    self._run_on(Relay(connection, commands, self._shard))
            except psycopg.OperationalError as error:
                self._back_off("waiting for PostgreSQL", error)

    def _run_on(self, relay: Relay) -> None:
        connection = relay.connection
        while not relay.acquire():
            self._set("another relay is at work")
            if self._stop.wait(LOCK_RETRY_S):
                return
        if not self._wait_for_record(relay):
            return
        connection.execute("LISTEN outbox")
        while not self._stop.is_set():
            self._report(relay)
            try:
                numbered, sent = relay.number(), relay.send()
            except BusError as error:
                relay.forget()
                self._back_off("waiting for redis-core", error)
                continue
            self._set("relaying")
            self._pause_s = BACK_OFF_FIRST_S
            self.sent_seq = relay.sent_seq
            SENT.inc(sent)
            if not numbered and not sent:
                for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass

    def _wait_for_record(self, relay: Relay) -> bool:
        """True once PostgreSQL is settled up to where the log ends now (relay.py says why); False when stopped."""
        head_seq: int | None = None
        while not self._stop.is_set():
            try:
                if head_seq is None:
                    head_seq = relay.commands.head().seq
            except BusError as error:
                self._back_off("waiting for redis-core", error)
                continue
            if relay.settled_seq() >= head_seq:
                return True
            self._set("waiting for settlement")
            self._stop.wait(SETTLED_POLL_S)
        return False

    def _back_off(self, status: str, error: Exception) -> None:
        if status != self.status:
            log.warning("relay", state=status, shard=self._shard, error=str(error).strip())
        self.status = status
        self._stop.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, BACK_OFF_LAST_S)

    def _set(self, status: str) -> None:
        if status != self.status:
            log.info("relay", state=status, shard=self._shard)
            self.status = status

    def _report(self, relay: Relay) -> None:
        if time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + REPORT_S
        row = relay.connection.execute(_REPORT, [relay.shard, relay.source, OutboxState.WAITING.value]).fetchone()
        assert row is not None
        WAITING.set(row[0])
        OLDEST.set(float(row[1]))
