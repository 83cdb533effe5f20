"""redis-core's append-only file: recorded once with a history in it, then served again from damaged copies."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.matching.authority import Settled
from apps.matching.engine import Engine
from apps.matching.recovery import recover
from apps.streams.bus.base import START
from apps.streams.bus.redis import RedisBus
from tests.corruption.history import NOTHING_SETTLED, finished, traded
from tests.streams.redis_server import running_redis

SHARD = "spot"
# What the server says when it will not load a file; it exits before it answers anything.
REFUSALS = (
    "Bad file format reading the append only file",
    "Unknown command",
    "Unexpected end of file reading the append only file",
    "Unrecoverable error reading the append only file",
    "append only file",
)


def file_in(directory: Path) -> Path:
    return directory / "redis-core" / "appendonly.aof"


@dataclass(frozen=True)
class Recording:
    """A file, its snapshots, and what is right: `bodies` by first seq, `heads` in order, the final state."""

    content: bytes
    snapshots: Path
    settled: Settled
    heads: list[tuple[int, str]]
    bodies: dict[int, bytes]
    commands: dict[str, bytes]
    state: str


def record(directory: Path, *, seed: int) -> Recording:
    """Trade on a real server, with three snapshots; PostgreSQL is settled up to nine tenths of it."""
    with running_redis(directory) as server:
        bus = RedisBus(server.url, SHARD)
        history = traded(bus, directory / "snapshots", seed=seed)
        entries = bus.read_events(0, count=10**6)
        recovered = recover(bus, history.directory, Engine, NOTHING_SETTLED)
        at = entries[len(entries) * 9 // 10]
        recording = Recording(
            file_in(directory).read_bytes(),
            history.directory,
            Settled(at.last_seq, at.chain),
            [(entry.last_seq, entry.chain) for entry in entries],
            {entry.first_seq: entry.body for entry in entries},
            {str(entry.id): entry.frames for entry in bus.read_commands(START, count=10**6)},
            finished(bus, recovered),
        )
        bus.close()
    return recording


@contextlib.contextmanager
def served(content: bytes, directory: Path) -> Iterator[RedisBus | None]:
    """A bus on a server that loaded `content`; None where the server refused it. The directory is used up."""
    shutil.rmtree(directory, ignore_errors=True)
    file_in(directory).parent.mkdir(parents=True, mode=0o700)
    file_in(directory).write_bytes(content)
    stack = contextlib.ExitStack()
    try:
        server = stack.enter_context(running_redis(directory))
    except AssertionError as refused:
        if not any(refusal in str(refused) for refusal in REFUSALS):
            raise
        yield None
        return
    with stack:
        bus = RedisBus(server.url, SHARD)
        try:
            yield bus
        finally:
            bus.close()
