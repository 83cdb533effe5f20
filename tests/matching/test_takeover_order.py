"""The order of a takeover: epoch first, only then the head (architecture.md section 3, Epoch and takeover).

Between a new worker's first look and its epoch the old one may still append; from its epoch on it cannot. A worker that
is replaced while it recovers may meet anything in the log, which is no halt: the other one trades on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apps.common.hashchain import extend
from apps.matching import snapshots
from apps.matching.engine import Engine
from apps.matching.errors import ReplayDiffers, TakeoverLost
from apps.matching.stamping import stamp_entry
from apps.matching.status import Phase
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId
from apps.streams.bus.memory import MemoryBus
from apps.streams.records import EVENT_SIZE
from tests.matching.conftest import FakeAuthority, RunningWorker
from tests.matching.log import all_events, append_all, until_done
from tests.matching.traffic import opening, trading

Start = Callable[..., RunningWorker]


@dataclass
class LastWordAuthority(FakeAuthority):
    """While the new worker asks for its epoch, the old one gets its last append through."""

    bus: Bus | None = None

    def raise_epoch(self, *, above: int, holder: str) -> int:
        if self.bus is not None:
            bus, self.bus = self.bus, None
            self._last_append(bus)
        return super().raise_epoch(above=above, holder=holder)

    @staticmethod
    def _last_append(bus: Bus) -> None:
        head, commands = bus.head(), bus.read_commands(START, count=100_000)
        engine = Engine()
        events = b"".join(engine.process(stamp_entry(entry)) for entry in commands)[head.seq * EVENT_SIZE :]
        last_seq = head.seq + len(events) // EVENT_SIZE
        assert last_seq > head.seq, "the old worker had nothing left to say"
        bus.append_events(
            epoch=bus.epoch(), first_seq=head.seq + 1, last_seq=last_seq, prev_chain=head.chain,
            chain=extend(head.chain, head.seq + 1, last_seq, events), last_cmd=commands[-1].id, body=events,
            rules_version=Engine.RULES_VERSION,
        )  # fmt: skip


def test_what_the_old_worker_appends_until_the_epoch_is_raised_is_kept(bus: Bus, start: Start) -> None:
    authority = LastWordAuthority()
    first = start(authority=authority)
    first.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening()])
    until_done(bus)
    first.stop()
    append_all(bus, [*trading(20, seed=5)])
    authority.bus = bus.another()
    second = start(authority=authority)
    second.wait_for(Phase.ACTIVE)
    append_all(bus, [*trading(20, seed=6)])
    until_done(bus)
    assert second.worker.status.phase is Phase.ACTIVE
    engine = Engine()
    replayed = b"".join(engine.process(stamp_entry(entry)) for entry in bus.read_commands(START, count=100_000))
    assert replayed == all_events(bus)
    assert [entry.epoch for entry in bus.read_events(0, count=10_000)][-1] == 2


class Replaced(MemoryBus):
    """Its worker stands still before it reads the first command again; another one replaces it, trades and trims."""

    replacing = False

    def read_commands(self, after: EntryId, *, count: int, block_ms: int = 0) -> list[CommandEntry]:
        if self.replacing:
            self.replacing = False
            assert self.raise_epoch(self.epoch() + 1)
            self.trim(epoch=self.epoch(), commands_to=self.last_command(), events_to=self.head().seq)
        return super().read_commands(after, count=count, block_ms=block_ms)


def test_a_worker_that_is_replaced_while_it_recovers_does_not_halt(start_on: Start, directory: Path) -> None:
    bus = Replaced("spot")
    first = start_on(bus=bus)
    first.wait_for(Phase.ACTIVE)
    append_all(bus, [*opening(), *trading(20, seed=7)])
    until_done(bus)
    first.stop()
    for path in snapshots.kept(directory):
        path.unlink()
    bus.replacing = True
    second = start_on(bus=bus)
    second.thread.join(60)
    assert isinstance(second.failure, TakeoverLost), second.worker.status.details()
    assert isinstance(second.failure.__cause__, ReplayDiffers)
