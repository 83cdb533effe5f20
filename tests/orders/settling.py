"""A log with traffic in it, a settlement process in a thread, and the judgement of the record it leaves."""

import threading
from pathlib import Path

from apps.matching.core import Position as LogPosition
from apps.matching.engine import Engine
from apps.matching.models import Watermark
from apps.orders.reconciliation import record
from apps.orders.reconciliation.replica import Replica
from apps.orders.reconciliation.states import differences
from apps.orders.settlement.process import SettlementProcess
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.base import Bus
from tests.orders.live import SHARD, LiveShard, Traffic, enqueue_set_up, until

FEES = [(800, 1_000), (-200, 1_000)]


def recorded_log(bus: Bus, directory: Path, commands: int) -> None:
    """Set-up and random traffic, applied by a worker; nothing settled."""
    enqueue_set_up(FEES)
    rows = OutboxRow.objects.count()
    with LiveShard(bus, directory, settles=False) as live:
        until(lambda: live.relay.sent_seq == rows, "set-up sent")
        live.until_applied()
        traffic = Traffic(seed=11)
        for _ in range(commands // 20):
            live.bus.append_commands(traffic.frames(20))
            # However slow the worker, no entry of the log has the events of more commands than these.
            live.until_applied()


def settled_seq() -> int:
    return Watermark.objects.filter(reader="settlement").values_list("seq", flat=True).first() or 0


def assert_record_equals_replay(bus: Bus) -> None:
    """The record is what a replay of the whole log gives, agrees with itself, and every set-up row is done."""
    replica = Replica(Engine(), LogPosition())
    replica.advance(bus, bus.head())
    with record.connect() as connection:
        position, facts, _, own = record.read(connection, SHARD)
    assert (position.seq, position.chain) == (bus.head().seq, bus.head().chain)
    assert own == []
    assert list(differences(replica.facts(), facts)) == []
    assert not OutboxRow.objects.exclude(state=OutboxState.DONE).exists()


class Running:
    """A SettlementProcess in a thread."""

    def __init__(self, bus: Bus) -> None:
        self.stop = threading.Event()
        self.process = SettlementProcess(shard=SHARD, open_bus=lambda: bus, stop=self.stop)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.process.run()
        except BaseException as error:  # noqa: BLE001  given to the test
            self.error = error

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop.set()
        self._thread.join(timeout=60)
