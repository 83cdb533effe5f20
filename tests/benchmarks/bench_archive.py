"""The archiver by itself: a minute of trading on a real redis-core, archived second by second and at full speed.

The log is the workload 'mix' at 1,000 commands a second: 200 command entries a second of 5 commands, an event entry for
every 2 of them, 22 random characters as client id of each order. Timed is everything from the read on redis-core to the
fsync and the cursors, in CPU seconds of the archiver; redis-core's own are not in it.
"""

import os
import string
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks.frames import frames
from tests.benchmarks.registry import Row, Series, benchmark

SECONDS: Final = 60
COMMANDS_A_SECOND: Final = 1_000
AN_ENTRY: Final = 5
ENTRIES_A_BATCH: Final = 2
SHARD: Final = "spot"
DAY_S: Final = 86_400


@benchmark(
    "archive",
    "both streams into compressed, fsynced segments: CPU and bytes a day at 1,000 orders/s, catch-up",
    apart=True,
)
def archive() -> Iterator[Row]:
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    os.environ["NEBANNPET_DATA"] = str(data_dir)
    import django

    django.setup()
    with running_servers(data_dir) as servers:
        yield from _rows(servers.core.url, Path(tempfile.mkdtemp(prefix="nebannpet-bench-archive-")))


def _rows(url: str, directory: Path) -> Iterator[Row]:
    from apps.orders.archive.process import READER_EVENTS
    from apps.orders.archive.source import Source
    from apps.orders.archive.verifying import verify_archive
    from apps.orders.archive.writer import Writer
    from apps.streams.bus.redis import RedisBus

    bus = RedisBus(url, SHARD)
    seconds = _LogBySeconds(bus)
    raw, cpu = 0, []
    with Writer(directory, SHARD) as writer:
        source = Source(bus, directory / "none")
        writer.begin(source.begin())
        for _ in range(SECONDS):
            seconds.publish_next()
            started = time.process_time()
            found = source.next_round(writer.ends)
            writer.append(commands=found.commands, events=found.events, skips=found.skips)
            bus.set_cursor(READER_EVENTS, stream="events", position=str(writer.ends.seq), now_ms=1)
            cpu.append(time.process_time() - started)
            raw += sum(len(entry.frames) for entry in found.commands) + sum(len(entry.body) for entry in found.events)
        size = writer.size
    yield Row(
        figure=f"CPU at {COMMANDS_A_SECOND:,} commands/s", unit="% of a core",
        series=Series([100 * sum(cpu) / SECONDS], lower_is_better=True), note=f"{seconds.events:,} events",
    )  # fmt: skip
    yield Row(
        figure="bytes a day at that rate", unit="GB",
        series=Series([size / SECONDS * DAY_S / 1e9], lower_is_better=True),
        note=f"{raw / size:.1f} times smaller than the entries",
    )  # fmt: skip
    started = time.process_time()
    verified = verify_archive(directory)
    assert verified.wrong == "", verified.wrong
    yield Row(
        figure="verify_log, archive only", unit="events/s of CPU",
        series=Series([verified.counts.events / (time.process_time() - started)]),
    )  # fmt: skip
    again = Path(tempfile.mkdtemp(prefix="nebannpet-bench-archive-"))
    started_s, started = time.monotonic(), time.process_time()
    with Writer(again, SHARD) as writer:
        source = Source(bus, directory / "none")
        writer.begin(source.begin())
        behind = True
        while behind:
            found = source.next_round(writer.ends)
            writer.append(commands=found.commands, events=found.events, skips=found.skips)
            behind = found.behind
    cpu_s, wall_s = time.process_time() - started, time.monotonic() - started_s
    yield Row(
        figure="catch-up after an outage", unit="commands/s", series=Series([seconds.commands / wall_s]),
        note=f"{seconds.commands / cpu_s:,.0f} a second of CPU, with their {seconds.events / seconds.commands:.1f}"
        f" events each; {seconds.entries / wall_s:,.0f} stream entries/s",
    )  # fmt: skip
    bus.close()


class _LogBySeconds:
    """Publishes the workload as gateway and worker would."""

    def __init__(self, bus: object) -> None:
        from apps.matching.engine import Engine
        from apps.streams.bus.redis import RedisBus

        assert isinstance(bus, RedisBus)
        work = frames("mix", SECONDS * COMMANDS_A_SECOND)
        self._bus = bus
        self._engine = Engine()
        self._left = _with_client_ids(work.commands)
        self._seq, self._chain = 0, ""
        self.commands = self.events = self.entries = 0
        bus.raise_epoch(1)
        self._publish([work.setup])

    def publish_next(self) -> None:
        from apps.streams.records import FRAME_SIZE

        size = AN_ENTRY * FRAME_SIZE
        second = self._left[: COMMANDS_A_SECOND * FRAME_SIZE]
        self._left = self._left[len(second) :]
        made = [second[at : at + size] for at in range(0, len(second), size)]
        for at in range(0, len(made), ENTRIES_A_BATCH):
            self._publish(made[at : at + ENTRIES_A_BATCH])
        self.commands += COMMANDS_A_SECOND

    def _publish(self, entries: list[bytes]) -> None:
        from apps.common.hashchain import extend
        from apps.streams.codec import stamp
        from apps.streams.records import EVENT_SIZE

        body = b""
        for entry in entries:
            last_cmd = self._bus.append_commands(entry)
            stamped = bytearray(entry)
            stamp(stamped, last_cmd.ms, last_cmd.n)
            body += self._engine.process(bytes(stamped))
        self.entries += len(entries)
        if body:
            last = self._seq + len(body) // EVENT_SIZE
            chain = extend(self._chain, self._seq + 1, last, body)
            self._bus.append_events(
                epoch=1, first_seq=self._seq + 1, last_seq=last, prev_chain=self._chain, chain=chain,
                last_cmd=last_cmd, body=body, rules_version=self._engine.RULES_VERSION,
            )  # fmt: skip
            self._seq, self._chain = last, chain
            self.events, self.entries = last, self.entries + 1


def _with_client_ids(commands: bytes) -> memoryview:
    """Each order gets an id as clients make them, which no compressor makes smaller than its randomness."""
    from apps.streams.kinds import CommandKind
    from apps.streams.records import COMMANDS, FRAME_SIZE

    layout = COMMANDS[CommandKind.PLACE_ORDER]
    assert layout.names[-1] == "client_id"
    width = int(layout.codes[-1][:-1])
    values = layout.struct.unpack(bytes(FRAME_SIZE))
    offset = len(layout.struct.pack(*values[:-1], b"\1" * width).rstrip(b"\0")) - width
    random, alphabet = Random(5), string.ascii_letters + string.digits
    changed = bytearray(commands)
    for at in range(0, len(changed), FRAME_SIZE):
        if changed[at + 1] == CommandKind.PLACE_ORDER:
            client_id = "".join(random.choices(alphabet, k=22)).encode("ascii").ljust(width, b"\0")
            changed[at + offset : at + offset + width] = client_id
    return memoryview(bytes(changed))
