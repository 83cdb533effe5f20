"""Power loss of redis-core (fault-F6): the file is cut where its disk might have stopped, and served again.

A process that is killed loses nothing that it has written, so kills do not test fsync. Here the file itself is cut: at
each place where an answer had been given everything answered before must be there; between two such places the log
holds one whole append more or less, never half of one.
"""

import re
import shutil
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from apps.matching.engine import Engine
from apps.matching.recovery import recover
from apps.streams.bus.base import START
from apps.streams.bus.redis import RedisBus
from apps.streams.records import FRAME_SIZE
from tests.corruption import aof
from tests.corruption.history import NOTHING_SETTLED, History, finished
from tests.matching.traffic import opening, order, trading
from tests.streams.redis_server import RedisServer, running_redis


@dataclass
class Client:
    """Appends commands and events and keeps its own record of every answer: (durable bytes of the file, what for)."""

    bus: RedisBus
    file: Path
    events: list[tuple[int, tuple[int, str]]] = field(default_factory=list)
    commands: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = History(self.bus, Path())
        append_events, append_commands = self.bus.append_events, self.bus.append_commands

        def events(**values: object) -> None:
            append_events(**values)  # type: ignore[arg-type]
            self._must_be_in_the_file(values["body"])  # type: ignore[arg-type]
            self.events.append((self._size(), (values["last_seq"], values["chain"])))  # type: ignore[arg-type]

        def commands(frames: bytes) -> object:
            entry_id = append_commands(frames)
            self._must_be_in_the_file(frames)
            self.commands.append((self._size(), str(entry_id)))
            return entry_id

        self.bus.append_events = events  # type: ignore[method-assign]
        self.bus.append_commands = commands  # type: ignore[method-assign,assignment]

    def _size(self) -> int:
        return self.file.stat().st_size

    def _must_be_in_the_file(self, content: bytes) -> None:
        """Read through a descriptor of our own, at the moment of the answer."""
        with self.file.open("rb") as other:
            other.seek(max(0, self._size() - len(content) - 4096))
            assert content in other.read(), "answered before it was written"


@dataclass(frozen=True)
class Recording:
    content: bytes
    events: list[tuple[int, tuple[int, str]]]
    commands: list[tuple[int, str]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    directory = tmp_path_factory.mktemp("power")
    with running_redis(directory) as server:
        bus = RedisBus(server.url, aof.SHARD)
        bus.raise_epoch(1)
        client = Client(bus, aof.file_in(directory))
        client.history.play(list(opening()))
        client.history.play(list(trading(120, seed=9)))
        bus.append_commands(order(1))
        bus.close()
    return Recording(aof.file_in(directory).read_bytes(), client.events, client.commands)


def cut_and_judge(recording: Recording, directory: Path, at: int) -> None:
    with aof.served(recording.content[:at], directory) as bus:
        assert bus is not None, f"cut at {at}: not loaded"
        seq_and_chain = [what for _, what in recording.events]
        answered = bisect_right([durable for durable, _ in recording.events], at)
        head = bus.head()
        allowed = [(0, ""), *seq_and_chain][answered : answered + 2]
        assert (head.seq, head.chain) in allowed, f"cut at {at}: head {head.seq}, answered {allowed[0]}"
        present = [str(entry.id) for entry in bus.read_commands(START, count=10**6)]
        commands = bisect_right([durable for durable, _ in recording.commands], at)
        sent = [entry_id for _, entry_id in recording.commands]
        assert present in (sent[:commands], sent[: commands + 1]), f"cut at {at}"
        assert (
            bus.frame_count().appended
            == sum(len(entry.frames) for entry in bus.read_commands(START, count=10**6)) // FRAME_SIZE
        )
        if not bus.epoch():
            assert not answered, f"cut at {at}: the epoch is gone"
            return
        recovered = recover(bus, directory / "none", Engine, NOTHING_SETTLED)
        replayed = recover(bus, directory / "none", Engine, NOTHING_SETTLED)
        assert finished(bus, recovered) == finished(bus, replayed)
        trade_on(bus, head.seq)


def trade_on(bus: RedisBus, seq: int) -> None:
    """The waiting commands and new ones are applied and published behind what was recovered."""
    recovered = recover(bus, Path("none"), Engine, NOTHING_SETTLED)
    assert isinstance(recovered.core, Engine)
    history = History(bus, Path("none"), recovered.core, recovered.position)
    history.play([*opening(), order(77_777)])
    assert bus.head().seq > seq
    assert recover(bus, Path("none"), Engine, NOTHING_SETTLED).core.state_hash() == history.core.state_hash()


def cuts(recording: Recording, count: int, seed: int) -> Iterator[int]:
    """Half at an answer's last durable byte or beside it, half anywhere."""
    random = Random(seed)
    answers = [durable for durable, _ in recording.events + recording.commands]
    print(f"seed {seed}, {len(answers)} answers, {len(recording.content)} bytes")
    for number in range(count):
        if number % 2:
            yield random.randrange(len(recording.content) + 1)
        else:
            yield min(len(recording.content), max(0, random.choice(answers) + random.choice((-1, 0, 0, 1))))


def test_power_loss_a_sample(recording: Recording, tmp_path: Path) -> None:
    for at in cuts(recording, 16, seed=61):
        cut_and_judge(recording, tmp_path / "served", at)


@pytest.mark.long
def test_two_hundred_power_losses(recording: Recording, tmp_path: Path) -> None:
    for at in cuts(recording, 200, seed=62):
        cut_and_judge(recording, tmp_path / "served", at)


@pytest.mark.long
def test_a_cut_at_every_byte_of_the_last_entries(recording: Recording, tmp_path: Path) -> None:
    """The last event append and the two command appends around it."""
    for at in range(recording.events[-2][0], len(recording.content) + 1):
        cut_and_judge(recording, tmp_path / "served", at)


# -- the order of write, fdatasync and answer -------------------------------------------------------------------------
CALL = re.compile(r"^(?:\d+ )?(write|fdatasync|fsync|sendto|writev)\((\d+)")


@pytest.mark.long  # a tracer among busy test processes may be too late for the first calls
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_answer_leaves_before_fdatasync(tmp_path: Path) -> None:
    with running_redis(tmp_path / "traced") as server:
        trace = tmp_path / "trace"
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(server.pid), "-o", str(trace),
             "-e", "trace=write,writev,sendto,fdatasync,fsync"],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert tracer.stderr is not None
            line = tracer.stderr.readline().decode()
            if "attached" not in line:
                pytest.skip(f"this user may not trace: {line.strip()}")
            answers = _append_some(server)
        finally:
            tracer.terminate()
            tracer.communicate(timeout=30)
        log_descriptor = _descriptor_of(server.pid, "appendonly.aof")
    dirty, seen = False, 0
    for call in filter(None, map(CALL.match, trace.read_text().splitlines())):
        name, descriptor = call[1], int(call[2])
        if descriptor == log_descriptor:
            dirty = name in ("write", "writev")
        elif name in ("write", "writev", "sendto"):
            assert not dirty, "an answer was written between the file's write and its fdatasync"
            seen += 1
    assert seen >= answers


def _append_some(server: RedisServer) -> int:
    bus = RedisBus(server.url, aof.SHARD)
    bus.raise_epoch(1)
    for number in range(40):
        bus.append_commands(order(number))
    bus.close()
    return 40


def _descriptor_of(pid: int, name: str) -> int:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if link.readlink().name == name:
            return int(link.name)
    raise AssertionError(f"{name} is not open")
