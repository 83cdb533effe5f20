"""Reconciliation on a schedule: each run leaves a row, a metric and a health state; a server away puts it off."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.orders.models import Reconciliation
from apps.orders.policy import RECONCILE_REST_FACTOR
from apps.orders.reconciliation import process as module
from apps.orders.reconciliation import service
from apps.orders.reconciliation.process import DIFFERENCES, EQUAL, SEQ, ReconcileProcess
from apps.orders.reconciliation.replica import LogDiffers, Replica
from apps.orders.reconciliation.service import ATTEMPTS, Result, reconcile
from apps.streams.bus.base import EntryId, Trimmed
from apps.streams.bus.errors import BusAway
from apps.streams.bus.memory import MemoryBus
from tests.orders.live import SHARD, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the next runs give: a Result, or an error that is raised. The last one repeats."""
    planned: list[Any] = []

    def next_outcome(**_: object) -> Result:
        outcome = planned.pop(0) if len(planned) > 1 else planned[0]
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Result)
        return outcome

    monkeypatch.setattr(module, "reconcile", next_outcome)
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    monkeypatch.setattr(module, "BACK_OFF_LAST_S", 0.01)
    monkeypatch.setattr("os.nice", lambda by: by)
    return planned


@pytest.fixture
def process(tmp_path: Path, outcomes: list[Any]) -> Iterator[ReconcileProcess]:
    stop = threading.Event()
    made = ReconcileProcess(shard=SHARD, open_bus=lambda: MemoryBus(SHARD), directory=tmp_path, stop=stop)
    thread = threading.Thread(target=made.run)
    made.start = thread.start  # type: ignore[attr-defined]
    yield made
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()


def result(*differences: str) -> Result:
    return Result(SHARD, timezone.now(), engine_seq=8, ledger_seq=9, differences=list(differences))


def test_runs_leave_rows_metrics_and_health(process: ReconcileProcess, outcomes: list[Any]) -> None:
    outcomes += [result(), result("balance of account 1001"), result()]
    assert process.check().ok
    process.start()  # type: ignore[attr-defined]
    until(lambda: Reconciliation.objects.filter(equal=False).exists(), "a difference stored")
    until(lambda: Reconciliation.objects.count() >= 3, "the third run stored")
    rows = list(Reconciliation.objects.order_by("id").values_list("equal", "differences", "ledger_seq")[:3])
    assert rows == [(True, [], 9), (False, ["balance of account 1001"], 9), (True, [], 9)]
    assert SEQ._value.get() == 9


def test_a_difference_fails_the_health_check_until_the_next_run(process: ReconcileProcess, outcomes: list[Any]) -> None:
    outcomes += [result("one", "two")]
    process.start()  # type: ignore[attr-defined]
    until(lambda: process.last is not None, "one run done")
    health = process.check()
    assert not health.ok
    assert health.details["differences"] == 2
    until(lambda: DIFFERENCES._value.get() == 2, "metric set")
    assert EQUAL._value.get() == 0


def test_servers_that_are_away_put_it_off(process: ReconcileProcess, outcomes: list[Any]) -> None:
    outcomes += [BusAway("gone"), psycopg.OperationalError("gone"), result()]
    process.start()  # type: ignore[attr-defined]
    until(lambda: Reconciliation.objects.exists(), "a run after the servers came back")
    assert process.check().ok


def test_a_log_trimmed_under_the_replay_is_tried_again_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def before(bus: object, directory: Path) -> Replica:
        attempts.append(directory)
        return Replica(Engine(), Position(seq=5))

    def advance(self: Replica, bus: object, head: object) -> None:
        raise LogDiffers("log: commands are missing")

    class Snapshot:
        seq, chain, last_cmd, body = 9, "", EntryId(9, 0), b""

    bus = MemoryBus(SHARD)
    monkeypatch.setattr(service.Replica, "before", before)
    monkeypatch.setattr(service.Replica, "advance", advance)
    monkeypatch.setattr(service, "ask_snapshot", lambda *_, **__: Snapshot)
    found = reconcile(bus=bus, directory=tmp_path, shard=SHARD).differences
    assert (found, len(attempts)) == (["log: commands are missing"], 1)
    bus._log.trimmed = Trimmed(EntryId(3, 0), 2)
    found = reconcile(bus=bus, directory=tmp_path, shard=SHARD).differences
    assert found == [f"log: trimmed under the replay in each of {ATTEMPTS} attempts"]
    assert len(attempts) == 1 + ATTEMPTS


def test_one_that_fails_after_long_work_rests_in_proportion(
    process: ReconcileProcess, outcomes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def times_out(**_: object) -> Result:
        runs.append(time.monotonic())
        time.sleep(0.05)
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    monkeypatch.setattr(module, "reconcile", times_out)
    process.start()  # type: ignore[attr-defined]
    until(lambda: len(runs) >= 2, "the second attempt")
    assert runs[1] - runs[0] >= 0.05 * RECONCILE_REST_FACTOR
