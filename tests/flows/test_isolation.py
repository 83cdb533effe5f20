"""Each row of the isolation table on a running exchange: stop, try every feature, start, and all works again (T16)."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nebannpet.health import what_it_says
from nebannpet.processes import APPLICATION
from tests.flows.isolation import DOCUMENT, FEATURES, Outcome, Row, document, rows
from tests.flows.probes import Probes
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

RECOVERS_WITHIN_S = 120.0
ALL_WORK = dict.fromkeys(FEATURES, Outcome.WORKS)
WORKERS = ("matching", "standby")
PAUSED_LONG = ("~matching", "~settlement", "~redis-core")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(STANDBY="1") as running:
        yield running


@pytest.fixture(scope="module")
def probes(stack: Stack) -> Iterator[Probes]:
    with Probes(stack) as made:
        yield made


def shown(row: Row) -> Any:
    """One paused row is enough for every run; the others are close to those where the same is stopped."""
    return pytest.param(row, id=row.name, marks=[pytest.mark.long] if row.name in PAUSED_LONG else [])


@pytest.mark.parametrize("row", [shown(row) for row in rows()])
def test_row(row: Row, stack: Stack, probes: Probes) -> None:
    works_again(stack, probes)
    names = by_role(stack, row.stopped)
    try:
        stop(stack, names, paused=row.paused)
        if row.expected["trade"] is Outcome.REFUSED:
            probes.wait_until_trading_stopped()
        found = probes.probe(row.expected)
    finally:
        start(stack, names, paused=row.paused)
    assert found == row.expected


def test_afterwards_all_works_and_log_engine_and_ledger_are_equal(stack: Stack, probes: Probes) -> None:
    works_again(stack, probes)
    assert "equal" in stack.manage("reconcile")


def by_role(stack: Stack, names: tuple[str, ...]) -> list[str]:
    """The processes to stop: of the two workers, `matching` is the one that is active now."""
    swapped = {"matching": "standby", "standby": "matching"} if phases(stack)["standby"] == "active" else {}
    return [swapped.get(name, name) for name in names]


def phases(stack: Stack) -> dict[str, str]:
    """What each of the two workers does. A paused one that went on ends, and is back as the follower a moment later."""
    deadline = time.monotonic() + RECOVERS_WITHIN_S
    found: dict[str, str] = {}
    while sorted(found.values()) != ["active", "following"]:
        assert time.monotonic() < deadline, found
        found = {name: what_it_says(stack.paths.health_socket(name)).word for name in WORKERS}
    return found


def stop(stack: Stack, names: list[str], *, paused: bool) -> None:
    for name in names:
        if paused:
            stack.kill(name, signal.SIGSTOP)
        else:
            stack.stop_process(name)


def start(stack: Stack, names: list[str], *, paused: bool) -> None:
    for name in reversed(names):
        if paused:
            os.kill(stack.pid(name), signal.SIGCONT)
        elif stack.processes()[name]["state"] == "stopped":
            stack.start_process(name)


def works_again(stack: Stack, probes: Probes) -> None:
    """Every process and every feature, in time; and what was queued is credited or sent. Prepares the next row."""
    deadline = time.monotonic() + RECOVERS_WITHIN_S
    for name in stack.processes():
        stack.wait_ready(name, timeout_s=RECOVERS_WITHIN_S)
    while True:
        try:
            probes.prepare()
            found = probes.probe(ALL_WORK, patience_s=3.0)
            probes.prepare()
        except Exception as error:  # noqa: BLE001  shown when the time is over
            found = {"prepare": repr(error)}
        done = all(map(probes.is_credited, probes.queued)) and all(map(probes.is_sent, probes.queued_mails))
        if found == ALL_WORK and done:
            probes.queued.clear()
            probes.queued_mails.clear()
            return
        assert time.monotonic() < deadline, found


def test_every_process_has_its_row() -> None:
    """All but the simulator, which is a client of the exchange like any other."""
    alone = {row.name for row in rows()}
    assert {*APPLICATION, "redis-edge", "redis-core", "postgres"} - {"simulator"} <= alone


def test_document_has_the_table() -> None:
    text = DOCUMENT.read_text()
    assert text == document(text), "run: python -m tests.flows.isolation"
