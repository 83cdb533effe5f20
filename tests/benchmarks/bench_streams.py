"""Streams: messages a gateway sends per CPU second, what connections cost, and what clients that never read do.

The server's process is the part of a gateway that serves streams (stream_server.py), fed with what market data would
tell; readers run in processes of their own. CPU seconds are those of the server's process. `by ASGI send` is the same
server with one send per message and client, in the same run.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.stack import BASE_DIR

FAN_OUT_TARGET = 60_000
READERS = 200
IDLE = 2_000
DEAD = 200
# Each takes half a minute: as long as clients that read nothing may stay.
DEAD_RUNS = 3
DEAD_BYTES_MAX = 50_000_000
P99_RATIO_MAX = 1.2
MARKETS = 5
KINDS = ("trade", "bookTicker", "depth@100ms")
# 100 times a second: in each market two trades, their best prices and a change of the book.
LOAD = {"do": "ticks", "count": 1_000, "prints": 2, "deltas": 1, "gap_s": 0.01}
SECOND = 100


class Told:
    """A process that answers each JSON line with one."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.process.args} ended with {self.process.poll()}"
        return json.loads(line)

    def say(self, job: dict[str, Any] | None = None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job or {}) + "\n")
        self.process.stdin.flush()

    def ask(self, job: dict[str, Any] | None = None) -> dict[str, Any]:
        self.say(job)
        return self.answer()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


@contextlib.contextmanager
def server() -> Iterator[Told]:
    told = Told("tests.benchmarks.stream_server")
    try:
        yield told
    finally:
        told.end()


@contextlib.contextmanager
def clients(of: Told, path: str, count: int, *, dead: bool = False) -> Iterator[Told]:
    arguments = [str(of.first["port"]), path, str(count), *(["--dead"] if dead else [])]
    told = Told("tests.benchmarks.stream_clients", *arguments)
    try:
        yield told
    finally:
        told.end()


def path(*kinds: str) -> str:
    names = "/".join(f"m{market}usdt@{kind}" for market in range(1, MARKETS + 1) for kind in kinds)
    return f"/stream?streams={names}"


def per_cpu_second(done: dict[str, Any]) -> float:
    return float(done["sent"] / done["cpu_s"])


@benchmark("fan-out", "stream messages per CPU second of a gateway, 200 readers")
def fan_out() -> Iterator[Row]:
    """Each repeat is judged only if its readers got every message: none was conflated."""
    busy = {"do": "ticks", "count": 40, "prints": 4, "deltas": 1, "gap_s": 0}
    single = {"do": "ticks", "count": 300, "prints": 1, "deltas": 0, "gap_s": 0}
    found: dict[str, list[float]] = {}
    for kind, job, names in (("busy", busy, path(*KINDS)), ("single", single, "/stream?streams=m1usdt@trade")):
        burst = 45 if kind == "busy" else 1
        with server() as told, clients(told, "/bare", READERS) as bare, clients(told, names, READERS) as readers:
            for _ in range(RUNS):
                for name, asked, of in (
                    (f"{kind} bare", {"do": "bare", "count": job["count"] // 2, "burst": burst}, bare),
                    (kind, job, readers),
                ):
                    done = told.ask(asked)
                    took(of, done["sent"])
                    found.setdefault(name, []).append(per_cpu_second(done))
    for kind, figure, note in (
        ("busy", "45 messages a turn and client", f"{READERS} readers of trades, best prices and books of 5 markets"),
        ("single", "one message a turn and client", "each is a write of its own"),
    ):
        bare_ones = found[f"{kind} bare"]
        ratios = [ours / bare_one for ours, bare_one in zip(found[kind], bare_ones, strict=True)]
        yield Row(
            figure=figure, unit="messages/CPU s", series=Series(found[kind]), ratio=Series(ratios),
            ratio_to="by ASGI send", at_least=FAN_OUT_TARGET, note=note,
        )  # fmt: skip
        yield Row(figure=f"{figure}, by ASGI send", unit="messages/CPU s", series=Series(bare_ones))


def took(readers: Told, count: int) -> None:
    """Wait until the readers have so many messages; AssertionError for more."""
    got, deadline_s = 0, time.monotonic() + 120
    while got < count:
        assert time.monotonic() < deadline_s, f"{got} of {count} messages came"
        got += readers.ask()["messages"]
        time.sleep(0.02)
    assert got == count


@benchmark("connections", "2,000 idle and 200 busy stream connections on one process, and their memory")
def connections() -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(server())
        empty = told.ask({"do": "memory"})["rss"]
        stack.enter_context(clients(told, "/ws/m1usdt@quiet", IDLE))
        idle = told.ask({"do": "memory"})["rss"]
        readers = stack.enter_context(clients(told, path(*KINDS), READERS))
        readers.ask()
        done = told.ask(LOAD)
        ages = readers.ask()["ages_ms"]
        both = told.ask({"do": "memory"})
    assert both["connections"] == IDLE + READERS
    yield Row(figure="memory of an idle connection", unit="bytes", series=Series([(idle - empty) / IDLE], True))
    yield Row(figure="memory of a busy connection", unit="bytes", series=Series([(both["rss"] - idle) / READERS], True))
    sent = done["sent"] / done["wall_s"]
    yield Row(
        figure="age of a trade at its reader, p99", unit="ms", series=Series([ages[1]], True),
        note=f"{sent:,.0f} messages/s, {100 * done['cpu_s'] / done['wall_s']:.0f} % of a core",
    )  # fmt: skip


@benchmark("dead-readers", "200 stream clients that never read: memory, and the age of others' messages")
def dead_readers() -> Iterator[Row]:
    """Each time ten seconds without them, then from their coming until the last was cut off, then without again.

    All in the same steps of a second, so that with and without them differ in nothing else.
    """
    kinds = path(*KINDS)
    grown, taken, ratios, ages = [], [], [], []
    for _ in range(min(RUNS, DEAD_RUNS)):
        with server() as told, clients(told, kinds, 50) as readers:
            seconds(told, 2)
            readers.ask()
            memory, kernel = seconds(told, 10)
            without = [readers.ask()["ages_ms"][1]]
            with clients(told, kinds, DEAD, dead=True):
                worst, worst_kernel = seconds(told, 10, until_connections=50)
                during = readers.ask()["ages_ms"][1]
            seconds(told, 10)
            without.append(readers.ask()["ages_ms"][1])
        grown.append(float(worst - memory))
        taken.append(float(worst_kernel - kernel))
        ages.append((during, *without))
        ratios.append(during / statistics.mean(without))
    yield Row(
        figure=f"memory that {DEAD} cost", unit="bytes", series=Series(grown, True), below=DEAD_BYTES_MAX,
        note="the most until the last one was cut off",
    )  # fmt: skip
    yield Row(
        figure="the kernel's memory for them", unit="bytes", series=Series(taken, True),
        note="of all TCP connections of the machine, both ends",
    )  # fmt: skip
    told_ages = "; ".join(f"{during:.1f} to {before:.1f}, {after:.1f}" for during, before, after in ages)
    yield Row(
        figure="p99 age of a trade with them, to that without", unit="", series=Series(ratios, True),
        below=P99_RATIO_MAX, note=f"ms with to without before, after: {told_ages}",
    )  # fmt: skip


def seconds(told: Told, least: int, *, until_connections: int | None = None) -> tuple[int, int]:
    """Publish so many seconds, and on until so few connections are left; the most (bytes of the process, of TCP)."""
    worst, worst_kernel, done = 0, 0, 0
    while True:
        told.ask({**LOAD, "count": SECOND})
        done += 1
        now = told.ask({"do": "memory"})
        worst, worst_kernel = max(worst, now["rss"]), max(worst_kernel, tcp_bytes())
        if done >= least and (until_connections is None or now["connections"] <= until_connections):
            return worst, worst_kernel
        assert done < 120, "dead readers stay"


def tcp_bytes() -> int:
    """What the kernel holds for TCP connections now."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[line.split().index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")
    raise AssertionError("the kernel tells nothing of TCP")
