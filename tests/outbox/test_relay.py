"""The relay on real PostgreSQL and Redis: dense numbers in order, repetition without loss, one relay at a time."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from django.db import transaction

from apps.ledger.services import credit
from apps.outbox import session
from apps.outbox.models import OutboxRow, RelayCounter
from apps.outbox.policy import ROWS_PER_APPEND
from apps.outbox.relay import Relay
from apps.outbox.services import Outcome, enqueue_settings, settle_rows
from apps.streams.bus.base import START
from apps.streams.bus.errors import AppendUnknown, BusAway
from apps.streams.bus.memory import MemoryBus
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import decode_command, decode_settings, iter_runs
from apps.streams.kinds import CommandKind, Reason, Source
from tests.orders.tape import market_settings

pytestmark = pytest.mark.django_db(transaction=True)

SHARD = "spot"
CREDIT = CommandKind.CREDIT


@pytest.fixture
def bus(core: redis.Redis, redis_core_url: str) -> Iterator[RedisBus]:
    opened = RedisBus(redis_core_url, SHARD)
    yield opened
    opened.close()


@pytest.fixture
def connection() -> Iterator[psycopg.Connection[Any]]:
    with session.connect() as opened:
        yield opened


def sent(bus: Any) -> list[int]:
    """relay_seq of every command in the stream, in stream order."""
    return [
        decode_command(entry.frames, offset).relay_seq
        for entry in bus.read_commands(START, count=10_000)
        for offset, _ in iter_runs(entry.frames)
    ]


def fund(count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        credit(account_id=1001, asset_id=1, amount_units=number + 1, key=f"fund:{number}")


def drain(relay: Relay) -> None:
    relay.number()
    while relay.send():
        pass


def test_rows_are_numbered_and_sent_in_order(bus: RedisBus, connection: psycopg.Connection[Any]) -> None:
    fund(3)
    with transaction.atomic():
        enqueue_settings(key="market:1", settings=market_settings())
    relay = Relay(connection, bus, SHARD)
    assert (relay.number(), relay.send(), relay.send()) == (4, 4, 0)
    (entry,) = bus.read_commands(START, count=10)
    runs = [entry.frames[offset : offset + length] for offset, length in iter_runs(entry.frames)]
    commands = [decode_command(run) for run in runs]
    assert [(command.relay_seq, command.source) for command in commands] == [(n, Source.OUTBOX) for n in (1, 2, 3, 4)]
    assert [command.amount_units for command in commands[:3]] == [1, 2, 3]
    assert decode_settings(runs[3]) == market_settings()
    assert RelayCounter.objects.get().last_relay_seq == 4


def test_many_rows_go_in_few_appends(connection: psycopg.Connection[Any]) -> None:
    bus = MemoryBus(SHARD)
    fund(ROWS_PER_APPEND + 5)
    drain(Relay(connection, bus, SHARD))
    assert len(bus.read_commands(START, count=10)) == 2
    assert sent(bus) == list(range(1, ROWS_PER_APPEND + 6))


def test_a_new_relay_sends_again_what_is_not_settled(bus: RedisBus, connection: psycopg.Connection[Any]) -> None:
    fund(3)
    drain(Relay(connection, bus, SHARD))
    with connection.transaction(), connection.cursor() as cursor:
        assert settle_rows(cursor=cursor, shard=SHARD, outcomes=[Outcome(1, 1, CREDIT, 9, Reason.NONE)]) == 1
    fund(1, first=3)
    drain(Relay(connection, bus, SHARD))
    assert sent(bus) == [1, 2, 3, 2, 3, 4]


def test_outcomes_mark_their_own_rows(connection: psycopg.Connection[Any]) -> None:
    """Also with numbers missing in between, a repeated settlement, and numbers this database never gave."""
    fund(5)
    Relay(connection, MemoryBus(SHARD), SHARD).number()
    outcomes = [
        Outcome(1, 5, CREDIT, 30, Reason.UNKNOWN_ACCOUNT),
        Outcome(1, 1, CREDIT, 10, 0),
        Outcome(1, 2, CREDIT, 11, 0),
    ]
    with connection.transaction(), connection.cursor() as cursor:
        assert settle_rows(cursor=cursor, shard=SHARD, outcomes=outcomes) == 3
        assert settle_rows(cursor=cursor, shard=SHARD, outcomes=[*outcomes, Outcome(1, 6, CREDIT, 31, 0)]) == 0
        assert settle_rows(cursor=cursor, shard=SHARD, outcomes=[Outcome(2, 3, CREDIT, 31, 0)]) == 0
        assert settle_rows(cursor=cursor, shard="other", outcomes=[Outcome(1, 3, CREDIT, 31, 0)]) == 0
        assert settle_rows(cursor=cursor, shard=SHARD, outcomes=[]) == 0
        other_command = Outcome(1, 3, CommandKind.DEBIT, 31, 0)
        assert settle_rows(cursor=cursor, shard=SHARD, outcomes=[other_command]) == 0
    rows = OutboxRow.objects.order_by("id").values_list("relay_seq", "state", "event_seq", "reason")
    assert list(rows) == [
        (1, "done", 10, 0), (2, "done", 11, 0), (3, "waiting", None, 0), (4, "waiting", None, 0),
        (5, "refused", 30, Reason.UNKNOWN_ACCOUNT),
    ]  # fmt: skip


class Flaky:
    """Appends, then says that it is not known; or fails before anything happened."""

    def __init__(self, log: MemoryBus) -> None:
        self.log = log
        self.failures: list[str] = []

    def append_commands(self, frames: bytes) -> object:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise BusAway("gone")
        entry = self.log.append_commands(frames)
        if failure == "after":
            raise AppendUnknown("no answer")
        return entry

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("failure", "expected"), [("before", [1, 2, 3, 4]), ("after", [1, 2, 3, 4, 1, 2, 3, 4])])
def test_an_append_of_unknown_outcome_is_repeated(
    connection: psycopg.Connection[Any], failure: str, expected: list[int]
) -> None:
    log = MemoryBus(SHARD)
    flaky = Flaky(log)
    relay = Relay(connection, flaky, SHARD)
    fund(2)
    drain(relay)
    fund(2, first=2)
    relay.number()
    flaky.failures = [failure]
    with pytest.raises((BusAway, AppendUnknown)):
        relay.send()
    relay.forget()
    drain(relay)
    after_first = sent(log)[2:]
    assert after_first == (expected if failure == "before" else [3, 4, 1, 2, 3, 4])
    assert first_occurrences(sent(log)) == [1, 2, 3, 4]


def first_occurrences(numbers: list[int]) -> list[int]:
    """What the engine applies: each number that is newer than all before it; a gap would stop it."""
    applied: list[int] = []
    for number in numbers:
        if number > len(applied):
            assert number == len(applied) + 1, f"gap before {number}"
            applied.append(number)
    return applied


def test_only_one_relay_at_a_time(connection: psycopg.Connection[Any]) -> None:
    log = MemoryBus(SHARD)
    first = Relay(connection, log, SHARD)
    assert first.acquire()
    with session.connect() as other:
        assert not Relay(other, log, SHARD).acquire()
        assert Relay(other, log, "another-shard").acquire()
    connection.close()
    with session.connect() as other:
        assert Relay(other, log, SHARD).acquire()


def test_numbers_are_committed_before_anything_is_sent(connection: psycopg.Connection[Any]) -> None:
    seen: list[list[int | None]] = []

    class Watching(Flaky):
        def append_commands(self, frames: bytes) -> object:
            with session.connect() as other:
                rows = other.execute("SELECT relay_seq FROM outbox_outboxrow ORDER BY id").fetchall()
            seen.append([row[0] for row in rows])
            return super().append_commands(frames)

    fund(2)
    drain(Relay(connection, Watching(MemoryBus(SHARD)), SHARD))
    assert seen == [[1, 2]]


def test_a_row_that_commits_late_gets_a_later_number(connection: psycopg.Connection[Any]) -> None:
    """Its id is the lowest, but others were numbered while nobody could see it: no number is skipped or given twice."""
    relay = Relay(connection, MemoryBus(SHARD), SHARD)
    with session.connect(autocommit=False) as slow:
        slow.execute(
            "INSERT INTO outbox_outboxrow (shard, key, source, kind, frames, state, reason)"
            " VALUES ('spot', 'slow', 1, 10, '', 'waiting', 0)"
        )
        fund(2)
        assert relay.number() == 2
        slow.commit()
    assert relay.number() == 1
    rows = OutboxRow.objects.order_by("id").values_list("key", "relay_seq")
    assert list(rows) == [("slow", 3), ("fund:0", 1), ("fund:1", 2)]
