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
from pathlib import Path

from apps.streams.bus.base import EntryId
from apps.streams.bus.redis import RedisBus
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.calibration import beside
from tests.benchmarks.frames import MARKET, Frames, frames, setup_frames
from tests.benchmarks.fsync import fsync_seconds
from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.benchmarks.workload import ACCOUNTS, FIRST_ACCOUNT, START_TICKS

COUNTS = {200: int(os.environ.get("BENCH_STREAM_COMMANDS", "200000")), 1: 40_000}
TARGET = 40_000.0
RESTING = 200_000
TAIL = 20_000
RESTART_TARGET_S = 10.0
ROUND_BYTES = 4 * 2**20
POLL_S = 0.005
TIMEOUT_S = 120.0


@benchmark("matching", "matching process: commands in the stream to durable events, redis-core with fsync")
def matching() -> Iterator[Row]:
    for per_entry, count in COUNTS.items():
        work = frames("mix", count)
        pairs = [beside(lambda work=work, per_entry=per_entry: _rate(work, per_entry)) for _ in range(RUNS)]
        yield Row(
            figure=f"mix, {count:,} commands, {per_entry} an entry",
            unit="commands/s",
            series=Series([rate for rate, _ in pairs]),
            ratio=Series([rate / loops for rate, loops in pairs]),
            ratio_to="calibration",
            at_least=TARGET if per_entry == 200 else None,
            note=_fsync_note(),
        )


@benchmark("matching-restart", "restart of the matching process after kill -9")
def restart() -> Iterator[Row]:
    values = [_restart_seconds() for _ in range(RUNS)]
    yield Row(
        figure=f"{RESTING:,} resting orders, {TAIL:,} commands after the snapshot",
        unit="s",
        series=Series(values, lower_is_better=True),
        below=RESTART_TARGET_S,
        note="from exec to the first new event; interpreter start included",
    )


def _fsync_note() -> str:
    with tempfile.TemporaryDirectory() as directory:
        seconds = fsync_seconds(Path(directory))
    return f"one fsync here: p50 {seconds[len(seconds) // 2] * 1000:.2f} ms"


class Machine:
    """redis-core and, at times, a worker, in a temporary directory."""

    def __init__(self, data_dir: Path) -> None:
        from nebannpet.embedded import redis_core, wait_until_ready
        from nebannpet.paths import Paths

        paths = Paths(data_dir)
        paths.make_private()
        server = redis_core(paths)
        server.prepare()
        self.directory = data_dir / "snapshots"
        self.url = server.url
        self._redis = subprocess.Popen(server.launch.argv, stdout=subprocess.DEVNULL)
        self._worker: subprocess.Popen[bytes] | None = None
        self._log = (data_dir / "worker.log").open("wb")
        wait_until_ready(server)
        self.bus = RedisBus(self.url, "bench")

    def start_worker(self) -> None:
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.matching_worker", self.url, str(self.directory)],
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
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
        self.bus.close()
        self._redis.kill()
        self._redis.wait()
        self._log.close()

    def append(self, commands: bytes, per_entry: int) -> EntryId:
        """All entries, many in one round trip, so that writing them is not what is measured."""
        import redis

        from apps.streams.bus import scripts
        from apps.streams.names import ShardKeys

        keys, size = ShardKeys("bench"), per_entry * FRAME_SIZE
        last = b"0-0"
        with redis.Redis.from_url(self.url) as client:
            script = client.register_script(scripts.APPEND_COMMANDS)
            for start in range(0, len(commands), ROUND_BYTES // size * size):
                pipeline = client.pipeline(transaction=False)
                for at in range(start, min(len(commands), start + ROUND_BYTES // size * size), size):
                    entry = commands[at : at + size]
                    script(keys=(keys.commands, keys.frames_in), args=scripts.append_arguments(entry), client=pipeline)
                last = pipeline.execute()[-1]
        return EntryId.parse(last)

    def wait_until_done(self, last: EntryId) -> None:
        deadline = time.perf_counter() + TIMEOUT_S
        while self.bus.head().cmd < last:
            if time.perf_counter() > deadline or (self._worker is not None and self._worker.poll() is not None):
                raise RuntimeError("the worker did not finish: " + Path(self._log.name).read_text()[-2000:])
            time.sleep(POLL_S)


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="nebannpet-bench-") as data_dir:
        made = Machine(Path(data_dir))
        try:
            yield made
        finally:
            made.close()


def _rate(work: Frames, per_entry: int) -> float:
    with machine() as m:
        m.start_worker()
        m.wait_until_done(m.append(work.setup, len(work.setup) // FRAME_SIZE))
        started = time.perf_counter()
        m.wait_until_done(m.append(work.commands, per_entry))
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


def _restart_seconds() -> float:
    """Seconds from the start of the process to the answer to a command that waited for it."""
    from apps.streams.codec import encode_command
    from apps.streams.commands import Tick
    from apps.streams.kinds import TickFlag

    with machine() as m:
        m.start_worker()
        work_setup = setup_frames()
        m.append(work_setup, len(work_setup) // FRAME_SIZE)
        m.wait_until_done(m.append(resting_orders(0, RESTING), 500))
        m.append(encode_command(Tick(flags=TickFlag.SNAPSHOT)), 1)
        deadline = time.perf_counter() + TIMEOUT_S
        while not list(m.directory.glob("*.snapshot")):
            if time.perf_counter() > deadline:
                raise RuntimeError("no snapshot")
            time.sleep(POLL_S)
        m.wait_until_done(m.append(resting_orders(RESTING, TAIL), 500))
        m.kill_worker()
        waiting = m.append(resting_orders(RESTING + TAIL, 1), 1)
        started = time.perf_counter()
        m.start_worker()
        m.wait_until_done(waiting)
        return time.perf_counter() - started
