"""The matching process with everything around the engine: from commands in the stream to durable events.

A worker process and a redis-core of their own (appendfsync always). The worker is active and idle, then all commands
arrive at once; what is timed ends when the newest of them is covered by a durable event entry.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.streams.bus.base import EntryId
from apps.streams.bus.errors import BusAway
from apps.streams.bus.redis import RedisBus
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.calibration import beside
from tests.benchmarks.engines import measured
from tests.benchmarks.frames import MARKET, Frames, frames
from tests.benchmarks.fsync import fsync_seconds
from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.benchmarks.workload import ACCOUNTS, FIRST_ACCOUNT, START_TICKS

COUNT = int(os.environ.get("BENCH_STREAM_COMMANDS", "400000"))
ROUND_BYTES = 8 * 2**20
POLL_S = 0.005
TIMEOUT_S = 120.0
STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Case:
    engine: str
    per_entry: int
    count: int
    standby: str = "off"
    at_least: float | None = None


CASES = (
    Case("native", 200, COUNT, at_least=150_000.0),
    Case("native", 200, COUNT, standby="on", at_least=150_000.0),
    Case("native", 1_000, COUNT, at_least=150_000.0),
    Case("native", 1, COUNT // 10),
    Case("plain", 200, COUNT // 4, at_least=40_000.0),
    Case("plain", 200, COUNT // 4, standby="on"),
    Case("plain", 1, COUNT // 20),
)


@benchmark("matching", "matching process: commands in the stream to durable events, redis-core with fsync")
def matching() -> Iterator[Row]:
    for case in CASES:
        if case.engine not in measured():
            continue
        work = frames("mix", case.count)
        pairs = [beside(lambda work=work, case=case: _rate(work, case)) for _ in range(RUNS)]
        yield Row(
            figure=f"mix, {case.count:,} commands, {case.per_entry:,} an entry, standby {case.standby}",
            engine=case.engine,
            unit="commands/s",
            series=Series([rate for rate, _ in pairs]),
            ratio=Series([rate / loops for rate, loops in pairs]),
            ratio_to="calibration",
            at_least=case.at_least,
            note=_fsync_note(),
        )


def _fsync_note() -> str:
    with tempfile.TemporaryDirectory() as directory:
        seconds = fsync_seconds(Path(directory))
    return f"one fsync here: p50 {seconds[len(seconds) // 2] * 1000:.2f} ms"


class Machine:
    """redis-core and, at times, a worker and a standby, in a temporary directory."""

    def __init__(self, data_dir: Path, engine: str) -> None:
        from nebannpet.embedded import redis_core, wait_until_ready
        from nebannpet.paths import Paths

        paths = Paths(data_dir)
        paths.make_private()
        server = redis_core(paths)
        server.prepare()
        self.directory = data_dir / "snapshots"
        self.url = server.url
        self._redis = subprocess.Popen(server.launch.argv, stdout=subprocess.DEVNULL)
        self._engine = engine
        self._worker: subprocess.Popen[bytes] | None = None
        self._standby: subprocess.Popen[bytes] | None = None
        self._log = (data_dir / "worker.log").open("wb")
        wait_until_ready(server)
        self.bus = RedisBus(self.url, "bench")

    def start_worker(self) -> None:
        self._worker = self._started("worker")

    def start_standby(self) -> None:
        """Returns once it follows."""
        self._standby = self._started(STANDBY)
        deadline = time.perf_counter() + TIMEOUT_S
        while not any(reader.endswith(STANDBY) for reader in self.bus.cursors()):
            if time.perf_counter() > deadline or self._standby.poll() is not None:
                raise RuntimeError("the standby does not follow: " + self.log_path.read_text()[-2000:])
            time.sleep(POLL_S)

    def _started(self, name: str) -> "subprocess.Popen[bytes]":
        module = "tests.benchmarks.matching_worker"
        return subprocess.Popen(
            [sys.executable, "-m", module, self._engine, self.url, str(self.directory), name],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def kill_worker(self) -> None:
        self.end_worker(signal.SIGKILL)

    def end_worker(self, how: signal.Signals) -> None:
        """Send the signal and wait until the process has ended."""
        assert self._worker is not None
        self._worker.send_signal(how)
        self._worker.wait()

    @property
    def worker_pid(self) -> int:
        assert self._worker is not None
        return self._worker.pid

    @property
    def log_path(self) -> Path:
        return Path(self._log.name)

    def close(self) -> None:
        for process in (self._standby, self._worker):
            if process is not None:
                writers = psutil.Process(process.pid).children() if process.poll() is None else []
                process.kill()
                process.wait()
                for writer in writers:  # of a snapshot; it would go on writing into the directory
                    writer.kill()
                psutil.wait_procs(writers)
        self.bus.close()
        self._redis.kill()
        self._redis.wait()
        self._log.close()

    def append(self, commands: bytes, per_entry: int) -> EntryId:
        """All entries, many in one transaction, which is one fsync: writing them is not what is measured."""
        import redis

        from apps.streams.bus import scripts
        from apps.streams.names import ShardKeys

        keys, size = ShardKeys("bench"), per_entry * FRAME_SIZE
        last = b"0-0"
        with redis.Redis.from_url(self.url) as client:
            script = client.register_script(scripts.APPEND_COMMANDS)
            for start in range(0, len(commands), ROUND_BYTES // size * size):
                pipeline = client.pipeline(transaction=True)
                for at in range(start, min(len(commands), start + ROUND_BYTES // size * size), size):
                    entry = commands[at : at + size]
                    script(keys=(keys.commands, keys.frames_in), args=scripts.append_arguments(entry), client=pipeline)
                last = pipeline.execute()[-1]
        return EntryId.parse(last)

    def wait_until_done(self, last: EntryId) -> None:
        deadline = time.perf_counter() + TIMEOUT_S
        while not self._done(last):
            if time.perf_counter() > deadline or (self._worker is not None and self._worker.poll() is not None):
                raise RuntimeError("the worker did not finish: " + Path(self._log.name).read_text()[-2000:])
            time.sleep(POLL_S)

    def _done(self, last: EntryId) -> bool:
        """A disk that stalls for seconds makes a slow repeat, not a failed one."""
        try:
            return self.bus.head().cmd >= last
        except BusAway:
            return False


@contextlib.contextmanager
def machine(engine: str) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="nebannpet-bench-") as data_dir:
        made = Machine(Path(data_dir), engine)
        try:
            yield made
        finally:
            made.close()


def _rate(work: Frames, case: Case) -> float:
    with machine(case.engine) as m:
        m.start_worker()
        m.wait_until_done(m.append(work.setup, len(work.setup) // FRAME_SIZE))
        if case.standby == "on":
            m.start_standby()
        started = time.perf_counter()
        m.wait_until_done(m.append(work.commands, case.per_entry))
        return work.count / (time.perf_counter() - started)


def resting_orders(first: int, count: int) -> bytes:
    """Orders that never meet: buys below and sells above the start, spread over 1,000 levels and all accounts."""
    from apps.streams.codec import encode_command
    from apps.streams.commands import PlaceOrder
    from apps.streams.kinds import OrderKind, Side, StpMode, TimeInForce

    runs = []
    for number in range(first, first + count):
        buy = number % 2 == 0
        distance = 1 + number // 2 % 1_000
        runs.append(
            encode_command(
                PlaceOrder(
                    market_id=MARKET,
                    account_id=FIRST_ACCOUNT + number % (2 * ACCOUNTS),
                    settings_version=1,
                    side=Side.BUY if buy else Side.SELL,
                    order_kind=OrderKind.LIMIT,
                    time_in_force=TimeInForce.GTC,
                    stp_mode=StpMode.EXPIRE_TAKER,
                    price_ticks=START_TICKS - distance if buy else START_TICKS + distance,
                    quantity_lots=20,
                    client_id=f"rest-{number}",
                )
            )
        )
    return b"".join(runs)
