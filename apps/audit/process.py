"""The sequencer as a thread of the process `run_outbox`: keeps one at work, backs off when PostgreSQL is away.

A log that is not what its newest checkpoint signed is not gone on with: another checkpoint over it would be a second
history under our own signature. Without a usable key nothing is signed either. Records are still taken, and trading
goes on; it says so in the log, in the health of `outbox` and in the metric until somebody explains it (docs/audit.md,
"When it says DAMAGED").
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import Counter, Gauge

from apps.audit.errors import KeyUnusable, LogDamaged, NotACheckpoint
from apps.audit.keptcheckpoint import KeptCheckpoint
from apps.audit.notes import read_verifier_key
from apps.audit.policy import BACK_OFF_FIRST_S, BACK_OFF_LAST_S, LOCK_RETRY_S, POLL_S, REPORT_S
from apps.audit.sequencer import Sequencer, Step
from apps.common.clock import now_ms

log = structlog.get_logger(__name__)

SEQUENCED: Final = Counter("audit_sequenced_total", "Records that were put into the audit log's tree")
GAPS: Final = Counter("audit_gaps_total", "INCIDENT: audit records that were removed before they were sequenced")
MALFORMED: Final = Counter("audit_malformed_total", "INCIDENT: records that were not written by this program")
PENDING_AGE: Final = Gauge("audit_pending_seconds", "Age of the oldest audit record that is not in the tree")
SIZE: Final = Gauge("audit_entries", "Entries of the audit log")
DAMAGED: Final = Gauge(
    "audit_damaged", "1 while the audit log is not what its newest checkpoint signed, or its key is unusable"
)


class SequencerProcess:
    """Runs until `stop` is set. `status` may be read from another thread."""

    def __init__(
        self,
        *,
        connect: Callable[[], psycopg.Connection[Any]],
        load_key: Callable[[], Ed25519PrivateKey],
        origin: str,
        kept: KeptCheckpoint,
        previous: Sequence[str] = (),
        stop: threading.Event,
    ) -> None:
        """`previous` are verifier keys as texts (AUDIT_PREVIOUS_KEYS)."""
        self._connect = connect
        self._load_key = load_key
        self._origin = origin
        self._kept = kept
        self._previous = tuple(previous)
        self._stop = stop
        self._pause_s = BACK_OFF_FIRST_S
        self._report_at_s = 0.0
        self.status = "starting"
        self.size = 0

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self._run_once()
            except KeyUnusable as error:
                DAMAGED.set(1)
                self._back_off("key unusable", error.message)
            except LogDamaged as damage:
                DAMAGED.set(1)
                self._back_off("DAMAGED", damage.message)
            except psycopg.OperationalError as error:
                self._back_off("waiting for PostgreSQL", str(error).strip())
            except Exception as error:
                log.exception("AUDIT SEQUENCER FAILED; tried again")
                self._back_off("failing", repr(error))

    def _run_once(self) -> None:
        key = self._load_key()
        try:
            previous = [read_verifier_key(text) for text in self._previous]
        except NotACheckpoint as error:
            raise KeyUnusable(f"AUDIT_PREVIOUS_KEYS: {error.message}") from error
        with self._connect() as connection:
            self._run_on(Sequencer(connection, key=key, origin=self._origin, kept=self._kept, previous=previous))

    def _run_on(self, sequencer: Sequencer) -> None:
        while not sequencer.acquire():
            self._set("another sequencer is at work")
            if self._stop.wait(LOCK_RETRY_S):
                return
        try:
            sequencer.load()
        except LogDamaged:
            self._report(sequencer)
            raise
        DAMAGED.set(0)
        while not self._stop.is_set():
            self._report(sequencer)
            step = sequencer.step()
            self._set("sequencing")
            self._pause_s = BACK_OFF_FIRST_S
            self.size = sequencer.size
            self._tell(step)
            if not step.more:
                self._stop.wait(POLL_S)

    def _tell(self, step: Step) -> None:
        SEQUENCED.inc(step.sequenced)
        SIZE.set(self.size)
        if step.malformed:
            MALFORMED.inc(len(step.malformed))
            log.error("AUDIT RECORDS ARE MALFORMED: not written by this program", records=step.malformed)
        for gap in step.gaps:
            GAPS.inc(gap.last - gap.first + 1)
            log.error("AUDIT RECORDS WERE REMOVED before they were sequenced", writer=gap.writer, first=gap.first,
                      last=gap.last)  # fmt: skip

    def _report(self, sequencer: Sequencer) -> None:
        if time.monotonic() < self._report_at_s:
            return
        self._report_at_s = time.monotonic() + REPORT_S
        since_ms = sequencer.pending_since_ms()
        PENDING_AGE.set((now_ms() - since_ms) / 1000 if since_ms else 0)

    def _back_off(self, status: str, error: str) -> None:
        if status != self.status:
            log.error("audit sequencer", state=status, error=error)
        self.status = status
        self._stop.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, BACK_OFF_LAST_S)

    def _set(self, status: str) -> None:
        if status != self.status:
            log.info("audit sequencer", state=status)
            self.status = status
