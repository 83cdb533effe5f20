"""What one durable append costs on this machine: the yardstick of every durable figure."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.registry import RUNS, Series

APPENDS = 100
APPEND_BYTES = 4096
EVERY_S = 0.05


def fsync_seconds(directory: Path) -> list[float]:
    """Sorted seconds of each of APPENDS appends of 4 KiB with fdatasync to a file in `directory`."""
    seconds = []
    descriptor, name = tempfile.mkstemp(dir=directory)
    try:
        block = os.urandom(APPEND_BYTES)
        for _ in range(APPENDS):
            started = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            seconds.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        Path(name).unlink()
    return sorted(seconds)


def fsync_series(directory: Path) -> tuple[Series, Series]:
    """(p50, p99) of RUNS rounds, in milliseconds."""
    rounds = [fsync_seconds(directory) for _ in range(RUNS)]
    return (
        Series([each[APPENDS // 2] * 1000 for each in rounds], lower_is_better=True),
        Series([each[APPENDS * 99 // 100] * 1000 for each in rounds], lower_is_better=True),
    )


@contextlib.contextmanager
def fsyncs_beside(directory: Path) -> Iterator[list[float]]:
    """Seconds of appends with fdatasync to a file in `directory`, one each EVERY_S while the block runs."""
    seconds: list[float] = []
    done = threading.Event()
    block = os.urandom(APPEND_BYTES)

    def append() -> None:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            while not done.wait(EVERY_S):
                started = time.perf_counter()
                file.write(block)
                os.fdatasync(file.fileno())
                seconds.append(time.perf_counter() - started)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        yield seconds
    finally:
        done.set()
        thread.join()
