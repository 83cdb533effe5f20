"""The process `run_reconcile`: a reconciliation on a schedule, in a process of its own.

Why its own: a replay and whole-table reads take seconds of CPU. Inside settlement or the relay they would be felt by
those who wait for money (T16); here they are felt by nobody, and the process runs at low priority.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg
import structlog
from django.db import OperationalError, connections
from prometheus_client import Counter, Gauge

from apps.orders.policy import BACK_OFF_LAST_S, RECONCILE_EVERY_S, RECONCILE_REST_FACTOR
from apps.orders.reconciliation.service import Result, reconcile, save
from apps.streams.bus.base import Bus
from apps.streams.bus.errors import BusError
from nebannpet.health import Health

log = structlog.get_logger(__name__)

EQUAL: Final = Gauge("reconcile_equal", "1 if log, engine and ledger were equal at the last reconciliation, else 0")
DIFFERENCES: Final = Gauge("reconcile_differences", "Differences named by the last reconciliation")
SEQ: Final = Gauge("reconcile_seq", "Event sequence number of the last reconciliation")
SECONDS: Final = Gauge("reconcile_seconds", "How long the last reconciliation took")
RUNS: Final = Counter("reconcile_runs_total", "Reconciliations done")

NICENESS: Final = 10


class ReconcileProcess:
    """Runs until `stop` is set; the first reconciliation comes after one interval, when there is something to see."""

    def __init__(self, *, shard: str, open_bus: Callable[[], Bus], directory: Path, stop: threading.Event) -> None:
        self._shard = shard
        self._open_bus = open_bus
        self._directory = directory
        self._stop = stop
        self.last: Result | None = None

    def check(self) -> Health:
        """Failing while the last run found a difference."""
        last = self.last
        if last is None:
            return Health(ok=True, details={"state": "no run yet"})
        details = {"equal": last.equal, "seq": last.ledger_seq, "differences": len(last.differences)}
        return Health(ok=last.equal, details=details)

    def run(self) -> None:
        os.nice(NICENESS)
        rest_s = RECONCILE_EVERY_S
        while not self._stop.wait(rest_s):
            started_s = time.monotonic()
            try:
                self._run_once()
            except (BusError, psycopg.OperationalError, OperationalError) as error:
                log.warning("reconciliation put off", error=str(error).strip())
                # One that failed after long work (a time-out of a statement) must not begin again at once for ever.
                rest_s = max(BACK_OFF_LAST_S, RECONCILE_REST_FACTOR * (time.monotonic() - started_s))
                continue
            finally:
                # Nothing is held until the next run, least of all a connection that a restart has broken meanwhile.
                connections.close_all()
            seconds = time.monotonic() - started_s
            SECONDS.set(seconds)
            rest_s = max(RECONCILE_EVERY_S, RECONCILE_REST_FACTOR * seconds)

    def _run_once(self) -> None:
        with closing(self._open_bus()) as bus:
            result = reconcile(bus=bus, directory=self._directory, shard=self._shard)
        save(result)
        self.last = result
        RUNS.inc()
        EQUAL.set(result.equal)
        DIFFERENCES.set(len(result.differences))
        SEQ.set(result.ledger_seq or 0)
        if result.equal:
            log.info("reconciliation equal", seq=result.ledger_seq, **_underscored(result.counts))
        else:
            log.critical("RECONCILIATION FOUND DIFFERENCES", seq=result.ledger_seq, differences=result.differences)


def _underscored(counts: dict[str, int]) -> dict[str, int]:
    return {name.replace(" ", "_"): count for name, count in counts.items()}
