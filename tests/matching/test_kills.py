"""Real worker processes that are killed, paused and cut off from redis-core under a stream of commands.

Whatever happens: every appended command is answered exactly once, the streams are gapless and joined by the chain, the
epoch never falls, and replaying the log from empty gives the same bytes.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from apps.common.hashchain import extend
from apps.matching import policy, snapshots
from apps.matching.engine import Engine
from apps.matching.stamping import stamp_entry
from apps.streams.bus.base import START, EntryId
from apps.streams.bus.errors import AppendUnknown, BusAway
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import decode_events, encode_command
from apps.streams.commands import Tick
from apps.streams.kinds import EventKind, Side, TickFlag
from nebannpet.embedded import Redis, redis_core, wait_until_ready
from nebannpet.paths import Paths
from tests.matching.traffic import ACCOUNTS, opening, order
from tests.matching.waiting import until

BASE_DIR = Path(__file__).resolve().parents[2]
REPLACED = 3
ANSWERS = (EventKind.ORDER_ACCEPTED, EventKind.ORDER_REJECTED, EventKind.ORDER_DUPLICATE)


@dataclass
class Rig:
    """One shard of its own on real servers, with its worker processes and a client that knows what it sent."""

    url: str
    dsn: str
    shard: str
    directory: Path
    log: Path
    snapshot_every_s: float = 60.0
    lease_s: float = policy.LEASE_TTL_MS / 1000
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sent: dict[EntryId, int] = field(default_factory=dict)
    unknown: int = 0
    sender: threading.Thread | None = None

    def open_exchange(self) -> None:
        """Markets and money; and a reader that needs all commands, so that the whole log can be judged at the end."""
        bus = self.bus()
        bus.set_cursor("archive-commands", stream="commands", position=str(START), now_ms=0)
        bus.append_commands(b"".join(opening()))
        bus.close()

    def start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable, "-m", "tests.matching.worker_process",
            self.url, self.dsn, self.shard, str(self.directory), str(self.snapshot_every_s),
            f"w{len(self.workers) % 2}", str(self.lease_s),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, cwd=BASE_DIR, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
            worker.wait(60)

    def bus(self) -> RedisBus:
        return RedisBus(self.url, self.shard)

    def wait_for_answers(self, more: int = 1) -> None:
        bus = self.bus()
        seen = bus.head().seq
        until(lambda: bus.head().seq >= seen + more, what="new events")
        bus.close()

    def wait_until_enough_is_sent(self) -> None:
        until(lambda: len(self.sent) > 50, what="entries enough to judge")

    def send(self, stop: threading.Event, seed: int) -> None:
        """Orders one to eight an entry, as fast as they are taken, until told to stop."""
        bus, chosen, number = self.bus(), random.Random(seed), 0
        while not stop.is_set():
            runs = []
            for _ in range(chosen.randint(1, 8)):
                number += 1
                side = chosen.choice(list(Side))
                price = 5_000_000 + chosen.randint(-9, 9)
                runs.append(order(number, account_id=chosen.choice(ACCOUNTS), side=side, price_ticks=price, lots=5))
            try:
                if chosen.random() < 0.02:
                    bus.append_commands(encode_command(Tick(flags=TickFlag.SNAPSHOT)))
                self.sent[bus.append_commands(b"".join(runs))] = len(runs)
            except (AppendUnknown, BusAway):
                self.unknown += 1
                time.sleep(0.02)
            time.sleep(0.004)
        bus.close()

    def check(self) -> None:
        """The history as it stands in the log, judged from its bytes alone."""
        bus = self.bus()
        commands = {entry.id: entry for entry in bus.read_commands(START, count=10**6)}
        entries = bus.read_events(0, count=10**6)
        seq, chain, epoch, last_cmd = 0, "", 0, START
        for entry in entries:
            assert (entry.first_seq, entry.prev_chain) == (seq + 1, chain)
            assert entry.chain == extend(chain, entry.first_seq, entry.last_seq, entry.body)
            assert entry.epoch >= epoch
            assert entry.last_cmd > last_cmd
            seq, chain, epoch, last_cmd = entry.last_seq, entry.chain, entry.epoch, entry.last_cmd
        body = b"".join(entry.body for entry in entries)
        events = decode_events(body)
        assert [event.seq for event in events] == list(range(1, seq + 1))

        assert set(self.sent) <= set(commands), "an acknowledged command is missing from the log"
        answers: dict[tuple[int, int], list[int]] = {}
        for event in events:
            if event.KIND in ANSWERS:
                answers.setdefault((event.cmd_ms, event.cmd_n), []).append(event.cmd_index)
        for entry_id, count in self.sent.items():
            assert answers[entry_id] == list(range(count)), f"{entry_id} was not answered exactly once"

        alone = Engine()
        replayed = b"".join(alone.process(stamp_entry(entry)) for entry in commands.values())
        assert replayed == body
        newest = snapshots.newest(self.directory)
        if newest is not None:
            part = Engine()
            for entry in commands.values():
                if entry.id <= newest.last_cmd:
                    part.process(stamp_entry(entry))
            assert part.state_hash() == Engine.restore(newest.body).state_hash()
        bus.close()


@pytest.fixture
def rig(core: redis.Redis, redis_core_url: str, matching_tables: str, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(redis_core_url, matching_tables, f"k{os.getpid()}", tmp_path / "snapshots", tmp_path / "workers.log")
    yield made
    made.end()
    print(made.log.read_text()[-4000:] if made.log.exists() else "")


@pytest.fixture
def sending(rig: Rig) -> Iterator[threading.Event]:
    """A client that sends until the test sets the event."""
    rig.open_exchange()
    stop = threading.Event()
    rig.sender = threading.Thread(target=rig.send, args=(stop, 99))
    rig.sender.start()
    yield stop
    stop.set()
    rig.sender.join(60)


def finish(rig: Rig, sending: threading.Event, worker: subprocess.Popen[bytes]) -> None:
    """Stop the client, let the worker finish all of it, stop the worker cleanly, judge the history."""
    if not sending.is_set():
        rig.wait_until_enough_is_sent()
    sending.set()
    if rig.sender is not None:
        rig.sender.join(60)
        assert not rig.sender.is_alive()
    bus = rig.bus()
    until(lambda: bus.head().cmd >= max(rig.sent), what="the last answer")
    bus.close()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    rig.check()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_kill_9_at_random_points(rig: Rig, sending: threading.Event, seed: int) -> None:
    chosen = random.Random(seed)
    rig.snapshot_every_s = 0.3
    for _ in range(4):
        worker = rig.start()
        rig.wait_for_answers(chosen.randint(1, 600))
        worker.kill()
        worker.wait(60)
    worker = rig.start()
    rig.wait_for_answers()
    finish(rig, sending, worker)
    assert rig.log.read_bytes().count(b"recovered") == 5


def test_a_paused_worker_that_wakes_up_is_refused_and_exits(rig: Rig, sending: threading.Event) -> None:
    old = rig.start()
    rig.wait_for_answers(50)
    os.kill(old.pid, signal.SIGSTOP)
    new = rig.start()
    rig.wait_for_answers(200)
    os.kill(old.pid, signal.SIGCONT)
    assert old.wait(60) == REPLACED
    rig.wait_for_answers(50)
    finish(rig, sending, new)
    bus = rig.bus()
    assert {entry.epoch for entry in bus.read_events(0, count=10**6)} == {1, 2}


def test_hand_over_on_sigterm_to_a_waiting_worker(rig: Rig, sending: threading.Event) -> None:
    # However long a busy machine holds the first one up, it still has the lease that it hands over.
    rig.lease_s = 60.0
    first = rig.start()
    rig.wait_for_answers(50)
    second = rig.start()
    until(lambda: b"following the active worker" in rig.log.read_bytes(), what="the second worker")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    rig.wait_for_answers(50)
    finish(rig, sending, second)


# -- redis-core -------------------------------------------------------------------------------------------------------
@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator["OwnRedis"]:
    server = OwnRedis(redis_core(Paths(tmp_path / "own")))
    server.server.paths.make_private()
    server.start()
    yield server
    server.kill()


@dataclass
class OwnRedis:
    """A redis-core of one test, which may kill it."""

    server: Redis
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.server.prepare()
        self.process = subprocess.Popen(self.server.launch.argv, stdout=subprocess.DEVNULL)
        wait_until_ready(self.server)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)


@pytest.fixture
def cut_rig(own_redis: OwnRedis, matching_tables: str, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(own_redis.server.url, matching_tables, "cut", tmp_path / "snapshots", tmp_path / "workers.log")
    made.open_exchange()
    yield made
    made.end()
    print(made.log.read_text()[-4000:])


def test_kill_9_of_redis_core(cut_rig: Rig, own_redis: OwnRedis) -> None:
    """The worker survives, recovers with a new epoch each time, and nothing acknowledged is lost."""
    worker = cut_rig.start()
    stop = threading.Event()
    sender = threading.Thread(target=cut_rig.send, args=(stop, 7))
    sender.start()
    try:
        for _ in range(3):
            cut_rig.wait_for_answers(100)
            own_redis.kill()
            time.sleep(0.2)
            own_redis.start()
        cut_rig.wait_for_answers(100)
        cut_rig.wait_until_enough_is_sent()
    finally:
        stop.set()
        sender.join(60)
    finish(cut_rig, stop, worker)
    bus = cut_rig.bus()
    assert bus.epoch() >= 4
    bus.close()
    assert cut_rig.unknown > 0, "the kills met no append: the test proves less than it says"


def test_a_short_silence_of_redis_core_costs_no_epoch(cut_rig: Rig, own_redis: OwnRedis) -> None:
    worker = cut_rig.start()
    stop = threading.Event()
    sender = threading.Thread(target=cut_rig.send, args=(stop, 8))
    sender.start()
    try:
        cut_rig.wait_for_answers(100)
        assert own_redis.process is not None
        os.kill(own_redis.process.pid, signal.SIGSTOP)
        # Longer than a lease, and far shorter than an answer is waited for.
        time.sleep(1.7)
        os.kill(own_redis.process.pid, signal.SIGCONT)
        cut_rig.wait_for_answers(200)
        cut_rig.wait_until_enough_is_sent()
    finally:
        stop.set()
        sender.join(60)
    finish(cut_rig, stop, worker)
    bus = cut_rig.bus()
    assert bus.epoch() == 1
    bus.close()
