"""An engine by itself: command frames in, event records out; everything of it on, nothing durable.

ENGINE=plain|native says which one. The workloads are those of workload.py and followed.py.
"""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from apps.streams.records import FRAME_SIZE
from tests.benchmarks import engines, memory
from tests.benchmarks.calibration import beside
from tests.benchmarks.frames import Frames, frames
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

COUNT = int(os.environ.get("BENCH_COMMANDS", "1000000"))
COUNT_LATENCY = min(COUNT, 200_000)
COUNT_MEMORY = int(os.environ.get("BENCH_MEMORY_ORDERS", "200000"))
COUNT_SNAPSHOT = int(os.environ.get("BENCH_RESTING_ORDERS", "1000000"))
BATCH = 1_000
WORKLOADS = ("mix", "sweep", "deep", "icebergs", "stops")
# By engine: commands a CPU second, p99 of a call in microseconds, bytes a resting order, seconds for a million orders.
RATES: dict[str, dict[str, float]] = {
    "plain": {"mix": 120_000.0, "sweep": 75_000.0},
    "native": {"mix": 4_000_000.0, "sweep": 2_500_000.0, "deep": 1_500_000.0},
}
P99_MIX_US = {"plain": 40.0, "native": 2.0}
BYTES = {"native": 160.0}
SNAPSHOT_S = {"native": 1.0}
RESTORE_S = {"native": 2.0}
NOTE = f"{engines.NAME}; gc frozen and off, as the worker runs"


@benchmark("engine", "engine alone: funds, fees, ids, band, self-trade prevention on; batches of 1,000")
def engine() -> Iterator[Row]:
    for name in WORKLOADS:
        work = frames(name, COUNT)
        pairs = [beside(lambda work=work: _commands_per_second(work, BATCH)) for _ in range(RUNS)]
        rates = Series([rate for rate, _ in pairs])
        ratios = Series([rate / loops for rate, loops in pairs])
        yield Row(
            figure=f"{name}, {COUNT:,} commands",
            unit="commands/CPU-s",
            series=rates,
            ratio=ratios,
            ratio_to="calibration",
            at_least=RATES[engines.NAME].get(name),
            note=NOTE,
        )


@benchmark("engine-latency", "engine alone: one command a call")
def engine_latency() -> Iterator[Row]:
    for name in WORKLOADS:
        work = frames(name, COUNT_LATENCY)
        pairs = [beside(lambda work=work: _percentiles(work)) for _ in range(RUNS)]
        for position, quantile in enumerate(("p50", "p99", "p99.9")):
            yield Row(
                figure=f"{name}, {quantile} of a call",
                unit="µs",
                series=Series([values[position] for values, _ in pairs], lower_is_better=True),
                ratio=Series([values[position] * 1e-6 * loops for values, loops in pairs], lower_is_better=True),
                ratio_to="calibration",
                below=P99_MIX_US[engines.NAME] if (name, quantile) == ("mix", "p99") else None,
                note=NOTE + "; the timer's 0.07 µs included",
            )


@benchmark("engine-memory", "engine alone: resident bytes of a resting order, its client id and place included")
def engine_memory() -> Iterator[Row]:
    for shape in memory.SHAPES:
        command = [sys.executable, "-m", "tests.benchmarks.memory", shape, str(COUNT_MEMORY)]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(RUNS)]
        yield Row(
            figure=f"{shape}, from {COUNT_MEMORY:,} to {2 * COUNT_MEMORY:,}",
            unit="bytes/order",
            series=Series(runs, lower_is_better=True),
            below=BYTES.get(engines.NAME),
            note=f"{engines.NAME}; growth of a fresh process, a book of {memory.LEVELS:,} levels",
        )


@benchmark("engine-snapshot", "engine alone: snapshot body of a large book, and the engine restored from it")
def engine_snapshot() -> Iterator[Row]:
    made, restored, size = [], [], 0
    source = memory.filled(memory.plain, COUNT_SNAPSHOT)
    for _ in range(RUNS):
        with _collector_off():
            started = time.process_time()
            body = source.snapshot()
            made.append(time.process_time() - started)
            started = time.process_time()
            copy = engines.engine_class().restore(body)
            restored.append(time.process_time() - started)
        assert copy.seq == source.seq
        size = len(body)
        del copy, body
    for what, seconds, targets in (("snapshot", made, SNAPSHOT_S), ("restore", restored, RESTORE_S)):
        yield Row(
            figure=f"{what}, {COUNT_SNAPSHOT:,} resting orders",
            unit="CPU-s",
            series=Series(seconds, lower_is_better=True),
            below=targets.get(engines.NAME),
            note=f"{engines.NAME}; {size / 2**20:,.0f} MiB",
        )


def _funded(work: Frames) -> Any:
    engine = engines.engine_class()()
    engine.process(work.setup)
    return engine


def _commands_per_second(work: Frames, batch: int) -> float:
    engine = _funded(work)
    size = batch * FRAME_SIZE
    with _collector_off():
        started = time.process_time()
        for offset in range(0, len(work.commands), size):
            engine.process(work.commands[offset : offset + size])
        seconds = time.process_time() - started
    return work.count / seconds


def _percentiles(work: Frames) -> tuple[float, float, float]:
    """p50, p99 and p99.9 of one process() call with one command, in microseconds."""
    engine = _funded(work)
    process, clock, commands = engine.process, time.perf_counter_ns, work.commands
    nanoseconds = []
    with _collector_off():
        for offset in range(0, len(commands), FRAME_SIZE):
            frame = commands[offset : offset + FRAME_SIZE]
            started = clock()
            process(frame)
            nanoseconds.append(clock() - started)
    nanoseconds.sort()
    count = len(nanoseconds)
    return (
        nanoseconds[count // 2] / 1000,
        nanoseconds[count * 99 // 100] / 1000,
        nanoseconds[count * 999 // 1000] / 1000,
    )


class _collector_off:
    """gc.freeze() and gc.disable(): the engine leaves no reference cycles (a test proves it)."""

    def __enter__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def __exit__(self, *exception: object) -> None:
        gc.enable()
        gc.unfreeze()
