"""A shard's log on a bus in memory, with the snapshots taken on the way and the states that are right at the end."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from apps.common.hashchain import extend
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.authority import Settled
from apps.matching.core import Position
from apps.matching.engine import Engine
from apps.matching.recovery import Recovered, recover
from apps.matching.skips import Skips
from apps.streams.bus.base import Bus, CommandEntry
from apps.streams.bus.memory import MemoryBus
from apps.streams.records import EVENT_SIZE, FRAME_SIZE
from tests.matching.traffic import opening, order, trading

NOTHING_SETTLED = Settled(0, "")


@dataclass
class History:
    """`bus` holds everything; `waiting` commands at its end have no events yet."""

    bus: Bus
    directory: Path
    core: Engine = field(default_factory=Engine)
    position: Position = field(default_factory=Position)

    def play(self, runs: list[bytes], *, per_entry: int = 3, per_batch: int = 2) -> None:
        """Append the commands and publish their events, as a worker does."""
        for at in range(0, len(runs), per_entry):
            self.bus.append_commands(b"".join(runs[at : at + per_entry]))
        while entries := self.bus.read_commands(self.position.last_cmd, count=per_batch):
            self._publish(entries)

    def take_snapshot(self) -> Path:
        return snapshots.write(self.directory, self.core, Engine, self.position)

    def _publish(self, entries: list[CommandEntry]) -> None:
        before = self.position
        events = apply_entries(self.core, entries, Skips())
        frames = before.frames + sum(len(entry.frames) for entry in entries) // FRAME_SIZE
        seq, chain = before.seq + len(events) // EVENT_SIZE, before.chain
        if events:
            chain = extend(before.chain, before.seq + 1, seq, events)
            self.bus.append_events(
                epoch=1, first_seq=before.seq + 1, last_seq=seq, prev_chain=before.chain, chain=chain,
                last_cmd=entries[-1].id, body=events, rules_version=Engine.RULES_VERSION, frames_done=frames,
            )  # fmt: skip
        self.position = Position(seq, chain, entries[-1].id, frames)


def traded(bus: Bus, directory: Path, *, seed: int, waiting: int = 2) -> History:
    """Three snapshots with trading before, between and after them; `waiting` commands without events."""
    bus.raise_epoch(1)
    history = History(bus, directory)
    history.play(list(opening()))
    for number in range(4):
        history.play(list(trading(60, seed=seed + number)))
        if number < 3:
            history.take_snapshot()
    for number in range(waiting):
        bus.append_commands(order(900_000 + number))
    return history


def settled_at(history: History, share: float = 0.5) -> Settled:
    """PostgreSQL's watermark at an entry's end, this share of the way along the log."""
    entries = history.bus.read_events(0, count=10**6)
    entry = entries[round(share * (len(entries) - 1))]
    return Settled(entry.last_seq, entry.chain)


def finished(bus: Bus, recovered: Recovered) -> str:
    """State hash after all waiting commands were applied too."""
    rest = bus.read_commands(recovered.position.last_cmd, count=10**6)
    apply_entries(recovered.core, rest, recovered.skips)
    return str(recovered.core.state_hash())


def copied(bus: MemoryBus) -> MemoryBus:
    """A bus with the same content that can be damaged on its own."""
    copy = MemoryBus(bus.shard)
    log = bus._log
    copy._log = replace(
        log, changed=type(log.changed)(), commands=list(log.commands), events=list(log.events), skips=dict(log.skips),
        cursors=dict(log.cursors),
    )  # fmt: skip
    return copy


def recovered_state(history: History, bus: Bus, settled: Settled) -> str:
    """What recovery makes of `bus` and the history's snapshots, all commands applied."""
    return finished(bus, recover(bus, history.directory, Engine, settled))


Check = Callable[[History], None]
