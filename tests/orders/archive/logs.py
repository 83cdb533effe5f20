"""A log as a shard's worker makes it, without a worker: commands through the engine, events chained and appended."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apps.common.hashchain import extend
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.skips import Skips
from apps.orders.archive.process import ArchiveProcess
from apps.streams.bus.base import Bus
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from apps.streams.records import EVENT_SIZE, FRAME_SIZE
from tests.matching.traffic import opening, trading
from tests.orders.live import until

SHARD = "spot"
TICK = encode_command(Tick())


@dataclass
class Log:
    """`bus` holds what was published; `engine` stands at its head."""

    snapshots_dir: Path
    bus: Bus = field(default_factory=lambda: MemoryBus(SHARD))
    engine: Engine = field(default_factory=Engine)
    position: Position = field(default_factory=Position)
    epoch: int = 1
    rules_version: int = RULES_VERSION

    def __post_init__(self) -> None:
        self._commands: Iterator[bytes] = trading(10**9, seed=7)
        self.bus.raise_epoch(self.epoch)

    def open(self) -> None:
        """Assets, a market, money."""
        self.publish([b"".join(opening())])

    def trade(self, entries: int, *, per_entry: int = 5, entries_per_batch: int = 3) -> None:
        """Random trading: `entries` command entries, several of them under one event entry."""
        made = [b"".join(next(self._commands) for _ in range(per_entry)) for _ in range(entries)]
        for start in range(0, len(made), entries_per_batch):
            self.publish(made[start : start + entries_per_batch])

    def tick(self, count: int) -> None:
        """Commands without events."""
        for _ in range(count):
            self.publish([TICK])

    def poison(self) -> None:
        """Of an entry with three commands the second is skipped."""
        self.publish([b"".join(next(self._commands) for _ in range(3))], skip=1)

    def publish(self, entries: list[bytes], *, skip: int | None = None) -> None:
        """One batch of the worker; `skip` is the index of a command in the first entry."""
        before = self.position
        for frames in entries:
            self.bus.append_commands(frames)
        taken = self.bus.read_commands(before.last_cmd, count=len(entries))
        if skip is not None:
            self.bus.write_skip(f"{taken[0].id}-{skip}", "INTERNAL", epoch=self.epoch)
        events = apply_entries(self.engine, taken, Skips.parse(self.bus.read_skips()))
        frames = before.frames + sum(len(entry.frames) for entry in taken) // FRAME_SIZE
        count = len(events) // EVENT_SIZE
        seq, chain = before.seq, before.chain
        if count:
            seq, chain = seq + count, extend(chain, seq + 1, seq + count, events)
            self.bus.append_events(
                epoch=self.epoch, first_seq=before.seq + 1, last_seq=seq, prev_chain=before.chain, chain=chain,
                last_cmd=taken[-1].id, body=events, rules_version=self.rules_version, frames_done=frames,
            )  # fmt: skip
        self.position = Position(seq, chain, taken[-1].id, frames)

    def snapshot(self) -> Path:
        return snapshots.write(self.snapshots_dir, self.engine, Engine, self.position)


class Archiving:
    """An ArchiveProcess in a thread; `error` is what run() raised."""

    def __init__(self, bus: Bus, directory: Path, snapshots_dir: Path, **options: object) -> None:
        self.stop = threading.Event()
        self.process = ArchiveProcess(
            shard=SHARD, open_bus=bus.another, directory=directory, snapshots_dir=snapshots_dir, stop=self.stop,
            **options,  # type: ignore[arg-type]
        )  # fmt: skip
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.process.run()
        except BaseException as error:  # noqa: BLE001  given to the test
            self.error = error

    def __enter__(self) -> "Archiving":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        assert self.error is None, self.error


def archived(log: Log, directory: Path, **options: object) -> None:
    """Everything final in the log, by a process that is started and stopped."""
    with Archiving(log.bus, directory, log.snapshots_dir, **options) as running:
        until(lambda: running.process.status != "starting", "it has begun")
    assert running.process.status == "archiving", running.process.explanation
