"""`python -m tests.benchmarks [name ...]`: the figures of docs/performance, as one table and as JSON lines.

A benchmark is a function that yields rows, registered by name in a module `bench_<topic>.py` of this package:

    @benchmark("engine", "plain engine, frames in, events out")
    def engine() -> Iterator[Row]:
        yield Row("mix", "commands/s", Series([...]), at_least=150_000, ratio=Series([...]), ratio_to="calibration")

Every CPU figure carries its ratio to the calibration loop (calibration.py), every durable one to this machine's own
fsync (fsync.py), both measured in the same run.
"""
