"""The compiled engine driven without an interpreter: one command a call through its C entry (one_call.c)."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from apps.matching.native import build
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.bench_engine import COUNT, COUNT_LATENCY
from tests.benchmarks.calibration import beside
from tests.benchmarks.engines import measured
from tests.benchmarks.frames import Frames, frames
from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.benchmarks.workload import SHAPES

SOURCE: Final = Path(__file__).with_name("one_call.c")
P99_TARGET_US: Final = 2.0


@benchmark("engine-calls", "compiled engine alone: one command a call from C (nbp_submit)")
def engine_calls() -> Iterator[Row]:
    if "native" not in measured():
        return
    program = build.program(SOURCE, options=build.FAST)
    for name in SHAPES:
        work = frames(name, COUNT if name == "deep" else 2 * COUNT_LATENCY)
        filled = min(SHAPES[name].prefill, int(work.count * SHAPES[name].prefill_share))
        found: list[list[int]] = []

        def measure(work: Frames = work, filled: int = filled, found: list[list[int]] = found) -> float:
            found.append(_nanoseconds(program, work, filled))
            return 0.0

        loops = [beside(measure)[1] for _ in range(RUNS)]
        for position, quantile in enumerate(("p50", "p99", "p99.9")):
            took_us = [each[position] / 1000 for each in found]
            yield Row(
                figure=f"{name}, {quantile} of a call",
                engine="native",
                unit="µs",
                series=Series(took_us, lower_is_better=True),
                ratio=Series([us * 1e-6 * each for us, each in zip(took_us, loops, strict=True)], lower_is_better=True),
                ratio_to="calibration",
                below=P99_TARGET_US if (name, quantile) == ("mix", "p99") else None,
                note=f"the clock's {found[-1][3] / 1000:.2f} µs included",
            )


def _nanoseconds(program: Path, work: Frames, filled: int) -> list[int]:
    """p50, p99, p99.9, the clock's own."""
    with tempfile.NamedTemporaryFile(dir=program.parent) as file:
        file.write(work.setup + work.run(0, filled + COUNT_LATENCY))
        file.flush()
        numbers = (len(work.setup) // FRAME_SIZE, filled, COUNT_LATENCY)
        words = [str(program), file.name, *map(str, numbers)]
        return [int(word) for word in subprocess.check_output(words, text=True).split()]
