"""What this machine can do by itself; other figures are read against these."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.calibration import calibrate
from tests.benchmarks.fsync import fsync_series
from tests.benchmarks.registry import RUNS, Row, Series, benchmark


@benchmark("machine", "calibration loop and fsync of this machine")
def machine() -> Iterator[Row]:
    yield Row(figure="calibration loop", unit="loops/s", series=Series([calibrate() for _ in range(RUNS)]))
    directory = Path("build")
    directory.mkdir(exist_ok=True)
    p50, p99 = fsync_series(directory)
    yield Row(figure="append 4 KiB + fdatasync, p50", unit="ms", series=p50)
    yield Row(figure="append 4 KiB + fdatasync, p99", unit="ms", series=p99)
