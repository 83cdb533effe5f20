"""The plain engine by itself: command frames in, event records out; everything of it on, nothing durable."""

import gc
import os
import time
from collections.abc import Iterator

from apps.matching.engine import Engine
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.calibration import beside
from tests.benchmarks.frames import Frames, frames
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

COUNT = int(os.environ.get("BENCH_COMMANDS", "1000000"))
COUNT_LATENCY = min(COUNT, 200_000)
BATCH = 1_000
TARGETS = {"mix": 150_000.0, "sweep": 90_000.0}
P99_MIX_US = 40.0
NOTE = "gc frozen and off, as the worker runs"


@benchmark("engine", "plain engine: funds, fees, ids, band, self-trade prevention on; batches of 1,000")
def engine() -> Iterator[Row]:
    for name, target in TARGETS.items():
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
            at_least=target,
            note=NOTE,
        )


@benchmark("engine-latency", "plain engine: one command a call")
def engine_latency() -> Iterator[Row]:
    for name in TARGETS:
        work = frames(name, COUNT_LATENCY)
        pairs = [beside(lambda work=work: _percentiles(work)) for _ in range(RUNS)]
        for position, quantile in enumerate(("p50", "p99", "p99.9")):
            yield Row(
                figure=f"{name}, {quantile} of a call",
                unit="µs",
                series=Series([values[position] for values, _ in pairs], lower_is_better=True),
                ratio=Series([values[position] * 1e-6 * loops for values, loops in pairs], lower_is_better=True),
                ratio_to="calibration",
                below=P99_MIX_US if (name, quantile) == ("mix", "p99") else None,
                note=NOTE + "; the timer's 0.07 µs included",
            )


def _funded(work: Frames) -> Engine:
    engine = Engine()
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
