"""A run spread over several processes: one alone sends no more than one core can sign and read."""

import subprocess
import sys
import time
from dataclasses import replace
from typing import Final

import msgspec

from apps.gateway.loadgen.driver import run
from apps.gateway.loadgen.market import http_client, read_market
from apps.gateway.loadgen.outcome import Outcome
from apps.gateway.loadgen.plan import Plan, PlanError

# Time to start an interpreter and to connect.
LEAD_NS: Final = 3_000_000_000


def run_in_processes(plan: Plan) -> Outcome:
    """The plan's parts at the same time, each in a process; in this one where there is only one part."""
    plan.check()
    if plan.parts == 1:
        return run(plan)
    if not plan.price:
        # One price for all parts, or pairs would miss each other.
        with http_client(plan) as client:
            plan = replace(plan, price=read_market(client, plan).meeting_price)
    start_ns = plan.start_ns or time.monotonic_ns() + LEAD_NS
    started = []
    for part in range(plan.parts):
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.gateway.loadgen"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(replace(plan, part=part, start_ns=start_ns)))
        process.stdin.close()
        process.stdin = None
        started.append(process)
    outcome, failures = Outcome(), []
    for process in started:
        answer, said = _output(process)
        if process.returncode:
            failures.append(said.decode(errors="replace").strip().splitlines()[-1:])
        else:
            outcome.merge((msgspec.json.decode(answer, type=Outcome),))
    if failures:
        raise PlanError("; ".join(text for lines in failures for text in lines) or "A process of the run failed.")
    return outcome


def _output(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it wrote until its end. Ctrl-C reaches the parts as well, and they end their run in order."""
    while True:
        try:
            return process.communicate()
        except KeyboardInterrupt:
            continue
