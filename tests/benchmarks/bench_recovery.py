"""A large book through every kind of pause: snapshot beside trading, hand-over by SIGTERM, restart after kill -9.

One worker process and one redis-core of their own, a million resting orders; the compiled engine, or the one that
ENGINE names (the plain one takes minutes). Each figure is what a client would feel: the snapshot's pause is the longest
answer to one order at a time while the snapshot is taken.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil

from apps.matching import snapshots
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from apps.streams.kinds import TickFlag
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.bench_matching import Machine, machine, resting_orders
from tests.benchmarks.engines import measured
from tests.benchmarks.frames import setup_frames
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

RESTING = int(os.environ.get("BENCH_RESTING_ORDERS", "1000000"))
TAIL_EVENTS = int(os.environ.get("BENCH_TAIL_EVENTS", "200000"))
RESTART_TARGET_S = {"native": 10.0, "plain": 20.0}
PAUSE_TARGET_MS = 50.0
CHUNK = 50_000
TIMEOUT_S = 600.0
# How long single orders are sent around the request for a snapshot.
PROBE_BEFORE_S, PROBE_AFTER_S = 0.5, 2.0


@benchmark("recovery", "1,000,000 resting orders: pause of a snapshot, hand-over by SIGTERM, restart after kill -9")
def recovery() -> Iterator[Row]:
    engine = measured()[0]
    with machine(engine) as m:
        number = _with_large_book(m)
        pauses, usual = [], []
        for _ in range(min(3, RUNS)):
            pause_ms, usual_ms, number = _snapshot_pause(m, number)
            pauses.append(pause_ms)
            usual.append(usual_ms)
        yield Row(
            figure=f"{RESTING:,} orders, longest answer while the active worker forks for a snapshot",
            engine=engine,
            unit="ms",
            series=Series(pauses, lower_is_better=True),
            below=PAUSE_TARGET_MS,
            note=f"longest without one {median(usual):.1f} ms; resident {_resident_mb(m):,.0f} MB",
        )
        seconds, snapshot_s, number = _hand_over(m, number)
        yield Row(
            figure=f"{RESTING:,} orders, SIGTERM until the process has ended",
            engine=engine,
            unit="s",
            series=Series([seconds], lower_is_better=True),
            note=f"of which the snapshot at the head, written and proven: {snapshot_s:.1f} s",
        )
        restarts = []
        for _ in range(RUNS):
            restart_s, number = _restart(m, number)
            restarts.append(restart_s)
        yield Row(
            figure=f"{RESTING:,} orders, {TAIL_EVENTS:,} events after the snapshot, restart after kill -9",
            engine=engine,
            unit="s",
            series=Series(restarts, lower_is_better=True),
            below=RESTART_TARGET_S[engine],
            note=f"from exec to the first new event, of which {_cpu_s(m):.1f} s of the last were its own CPU time;"
            f" resident {_resident_mb(m):,.0f} MB, peak {_peak_mb(m):,.0f} MB",
        )


def _with_large_book(m: Machine) -> int:
    """Start a worker, rest the orders; the number of the next one."""
    m.start_worker()
    setup = setup_frames()
    m.append(setup, len(setup) // FRAME_SIZE)
    for first in range(0, RESTING, CHUNK):
        _wait(m, m.append(resting_orders(first, min(CHUNK, RESTING - first)), 500))
    return RESTING


def _wait(m: Machine, last: object, poll_s: float = 0.005) -> None:
    deadline = time.perf_counter() + TIMEOUT_S
    while m.bus.head().cmd < last:  # type: ignore[operator]
        if time.perf_counter() > deadline:
            raise RuntimeError("the worker did not finish: " + _log(m)[-2000:])
        time.sleep(poll_s)


def _snapshot_pause(m: Machine, number: int) -> tuple[float, float, int]:
    """(longest answer with a snapshot in it, longest before it, next order number); answers in milliseconds.

    Returns when the snapshot is there that was asked for, not one that was on its way.
    """
    usual_ms, number = _probe(m, number, PROBE_BEFORE_S)
    asked = m.append(encode_command(Tick(flags=TickFlag.SNAPSHOT)), 1)
    pause_ms, number = _probe(m, number, PROBE_AFTER_S)
    deadline = time.perf_counter() + TIMEOUT_S
    while not any(snapshots.position_in_name(path)[1] >= asked for path in snapshots.kept(m.directory)):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"no snapshot: {_log(m)[-2000:]}")
        time.sleep(0.05)
    return pause_ms, usual_ms, number


def _probe(m: Machine, number: int, seconds: float) -> tuple[float, int]:
    """One order at a time for that long; (longest answer in ms, next order number)."""
    longest, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        sent = time.perf_counter()
        _wait(m, m.bus.append_commands(resting_orders(number, 1)), poll_s=0.0002)
        longest = max(longest, time.perf_counter() - sent)
        number += 1
    return longest * 1000, number


def _hand_over(m: Machine, number: int) -> tuple[float, float, int]:
    """(seconds from SIGTERM to the end, seconds of the snapshot in it, next order number); a worker runs again."""
    _wait(m, m.bus.append_commands(resting_orders(number, 1)))
    started = time.perf_counter()
    m.end_worker(signal.SIGTERM)
    seconds = time.perf_counter() - started
    found = re.findall(r"snapshot at the head.*?seconds=([0-9.]+)", _log(m))
    m.start_worker()
    _wait(m, m.bus.append_commands(resting_orders(number + 1, 1)))
    return seconds, float(found[-1]), number + 2


def _restart(m: Machine, number: int) -> tuple[float, int]:
    """Seconds from exec to the answer to a command that waited, with the tail after the newest snapshot."""
    _, _, number = _snapshot_pause(m, number)
    start_seq, goal = m.bus.head().seq, TAIL_EVENTS
    while (left := goal - (m.bus.head().seq - start_seq)) > 0:
        count = min(CHUNK, max(1, left))
        _wait(m, m.append(resting_orders(number, count), 500))
        number += count
    for writer in psutil.Process(m.worker_pid).children():
        writer.kill()  # the next snapshot has just become due; its writer would finish it for the dead worker
    m.end_worker(signal.SIGKILL)
    waiting = m.append(resting_orders(number, 1), 1)
    started = time.perf_counter()
    m.start_worker()
    _wait(m, waiting)
    return time.perf_counter() - started, number + 1


def _log(m: Machine) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", m.log_path.read_text(errors="replace"))


def _memory_mb(m: Machine, name: str) -> float:
    status = Path(f"/proc/{m.worker_pid}/status").read_text()
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) / 1024


def _cpu_s(m: Machine) -> float:
    """What the worker has used since its start: tells a slow machine from a slow worker."""
    fields = Path(f"/proc/{m.worker_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(m: Machine) -> float:
    return _memory_mb(m, "VmRSS")


def _peak_mb(m: Machine) -> float:
    return _memory_mb(m, "VmHWM")
