"""The relay as a process: killed with -9 while rows come in, and waiting for servers that are away."""

import threading
import time
from pathlib import Path
from random import Random

import pytest
import redis

from apps.ledger.services import credit
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.models import Watermark
from apps.outbox.models import OutboxRow
from apps.outbox.policy import SETTLED_POLL_S
from apps.outbox.process import RelayProcess
from apps.streams.bus.base import START, CommandEntry
from apps.streams.bus.errors import AppendUnknown, BusAway
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import decode_command, decode_events, iter_runs, stamp
from apps.streams.events import MoneyMoved
from tests.orders.live import SHARD, enqueue_set_up, until
from tests.orders.processes import apply_roles, running

pytestmark = pytest.mark.django_db(transaction=True)

KILLS, KILLS_MAX = 5, 30
FEES = [(800, 1_000)]


def commands(entries: list[CommandEntry]) -> list[int]:
    """relay_seq of each command, in stream order."""
    return [
        decode_command(entry.frames, offset).relay_seq for entry in entries for offset, _ in iter_runs(entry.frames)
    ]


def credited(entries: list[CommandEntry]) -> dict[str, int]:
    """What an engine that reads the stream credits, by key: its own view of repetitions and gaps."""
    engine, done = Engine(), {}
    for entry in entries:
        frames = bytearray(entry.frames)
        stamp(frames, entry.id.ms, entry.id.n)
        for event in decode_events(engine.process(bytes(frames))):
            if isinstance(event, MoneyMoved):
                assert event.key not in done, f"{event.key} was credited twice"
                done[event.key] = event.amount_units
    return done


def test_killed_again_and_again_every_row_arrives_once(core: redis.Redis, redis_core_url: str, tmp_path: Path) -> None:
    """Rows come in all the time; some appends are repeated, none is lost, none applies twice, no number is skipped."""
    apply_roles()
    enqueue_set_up(FEES)
    bus, random, log = RedisBus(redis_core_url, SHARD), Random(3), tmp_path / "relay.log"
    expected: dict[str, int] = {}

    def come_in(rows: int) -> None:
        for _ in range(rows):
            number = len(expected) + 1
            credit(account_id=1001, asset_id=1, amount_units=number, key=f"late:{number}")
            expected[f"late:{number}"] = number

    kills = 0
    # A kill between an append and its commit shows when the next relay appends again: some kills come too late for it.
    while kills < KILLS or (kills < KILLS_MAX and not repeated(bus)):
        kills += 1
        with running(["-m", "tests.outbox.slow_relay"], "outbox", redis_core_url, log):
            before = bus.last_command()
            # The relay before may have left nothing to send.
            come_in(1)
            until(lambda before=before: bus.last_command() > before, "relay sends")  # type: ignore[misc]
            come_in(60)
            time.sleep(random.random() * 0.05)
    numbered = OutboxRow.objects.filter(relay_seq__isnull=False).count()
    total = OutboxRow.objects.count()
    print(f"after {kills} kills {numbered} of {total} rows are numbered, {len(commands(all_of(bus)))} commands sent")
    with running(["manage.py", "run_outbox"], "outbox", redis_core_url, log):
        until(lambda: total in commands(all_of(bus)), "everything sent")
    assert repeated(bus), "no append was ever repeated: the kills came too late"
    numbers = OutboxRow.objects.order_by("relay_seq").values_list("relay_seq", flat=True)
    assert list(numbers) == list(range(1, total + 1))
    found = credited(all_of(bus))
    assert {key: amount for key, amount in found.items() if key.startswith("late:")} == expected
    bus.close()


def test_an_unusable_key_of_the_audit_log_is_no_reason_to_stand_still(
    core: redis.Redis, redis_core_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_KEY_FILE", str(tmp_path / "missing.key"))
    apply_roles()
    enqueue_set_up(FEES)
    credit(account_id=1001, asset_id=1, amount_units=5, key="without a key")
    log = tmp_path / "outbox.log"
    bus = RedisBus(redis_core_url, SHARD)
    with running(["manage.py", "run_outbox"], "outbox", redis_core_url, log):
        until(lambda: OutboxRow.objects.count() in commands(all_of(bus)), "everything sent")
        until(lambda: "key unusable" in log.read_text(), "and the log says what is wrong")
    bus.close()


def repeated(bus: RedisBus) -> bool:
    sent = commands(all_of(bus))
    return len(sent) > len(set(sent))


def all_of(bus: RedisBus) -> list[CommandEntry]:
    return bus.read_commands(START, count=100_000)


def test_it_waits_for_redis_core_and_wakes_for_new_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.outbox.process.BACK_OFF_FIRST_S", 0.001)
    monkeypatch.setattr("apps.outbox.process.POLL_S", 60.0)
    bus = MemoryBus(SHARD)
    append, failures = bus.append_commands, [BusAway("away"), AppendUnknown("unknown"), BusAway("away")]

    def failing(frames: bytes) -> object:
        if failures:
            raise failures.pop()
        return append(frames)

    monkeypatch.setattr(bus, "append_commands", failing)
    credit(account_id=1001, asset_id=1, amount_units=1, key="first")
    stop = threading.Event()
    process = RelayProcess(shard=SHARD, open_bus=lambda: bus, stop=stop)
    assert not process.check().ok
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: process.sent_seq == 1, "first row sent")
        assert process.check().ok
        # It sleeps for a minute now, unless the notification wakes it.
        credit(account_id=1001, asset_id=1, amount_units=1, key="second")
        until(lambda: process.sent_seq == 2, "second row sent")
        assert not failures
    finally:
        stop.set()
        credit(account_id=1001, asset_id=1, amount_units=1, key="wake up and stop")
        thread.join(timeout=60)
    assert not thread.is_alive()


def test_a_database_that_knows_less_than_the_log_numbers_nothing() -> None:
    """As after a restore from a backup: the numbers given out since are unknown and must not be given out again."""
    bus = MemoryBus(SHARD)
    bus.raise_epoch(1)
    bus.append_events(
        epoch=1, first_seq=1, last_seq=7, prev_chain="", chain="ab", last_cmd=bus.last_command(), body=b"",
        rules_version=RULES_VERSION,
    )  # fmt: skip
    watermark = Watermark.objects.create(shard=SHARD, reader="settlement", seq=6, chain="aa", epoch=1)
    credit(account_id=1001, asset_id=1, amount_units=1, key="new")
    stop = threading.Event()
    process = RelayProcess(shard=SHARD, open_bus=lambda: bus, stop=stop)
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: process.status == "waiting for settlement", "the relay waits")
        time.sleep(3 * SETTLED_POLL_S)
        assert not process.check().ok
        assert OutboxRow.objects.get(key="new").relay_seq is None
        assert bus.read_commands(START, count=10) == []
        Watermark.objects.filter(pk=watermark.pk).update(seq=7)
        until(lambda: process.sent_seq == 1, "the row is sent once settlement has caught up")
    finally:
        stop.set()
        credit(account_id=1001, asset_id=1, amount_units=1, key="wake up and stop")
        thread.join(timeout=60)
    assert not thread.is_alive()
