"""Events of a bus with a second site: only what the replica has, and only while it is one (docs/decisions/0008)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from apps.common.hashchain import extend
from apps.streams.bus.base import Cursor, EntryId, Head, Trimmed
from apps.streams.bus.errors import BusAway
from apps.streams.bus.redis import RedisBus
from apps.streams.bus.replicated import NotAReplica, ReplicatedBus, check_follows, event_bus
from tests.matching.waiting import until
from tests.streams.redis_server import Line, RedisServer, running_redis


@pytest.fixture
def line(core: redis.Redis, redis_core_url: str) -> Iterator[Line]:
    core.ping()
    made = Line(redis_core_url)
    yield made
    made.close()


@pytest.fixture
def replica(line: Line, tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "replica", replicaof=f"127.0.0.1 {line.port}") as server:
        yield server


@pytest.fixture
def bus(redis_core_url: str, replica: RedisServer) -> Iterator[ReplicatedBus]:
    made = ReplicatedBus(redis_core_url, replica.url, "spot")
    until(lambda: in_step(made), timeout_s=30)
    yield made
    made.close()


def in_step(bus: ReplicatedBus) -> bool:
    try:
        bus.head()
    except BusAway:
        return False
    return True


def append(bus: RedisBus, seq: int, prev: str) -> str:
    chain = extend(prev, seq, seq, b"e")
    bus.append_events(
        epoch=1,
        first_seq=seq,
        last_seq=seq,
        prev_chain=prev,
        chain=chain,
        last_cmd=EntryId(seq, 0),
        body=b"e",
        rules_version=1,
    )
    return chain


def test_events_come_from_the_replica_and_the_rest_goes_to_redis_core(
    bus: ReplicatedBus, redis_core_url: str, line: Line
) -> None:
    core = RedisBus(redis_core_url, "spot")
    core.raise_epoch(1)
    first = append(core, 1, "")
    until(lambda: bus.head().seq == 1)
    assert [entry.last_seq for entry in bus.read_events(0, count=9)] == [1]
    assert bus.chain_at(1) == first
    bus.set_cursor("settlement", stream="events", position="1", now_ms=5)
    bus.announce_settled(1)
    assert core.cursors() == {"settlement": Cursor("events", "1", 5)}
    assert core.settled() == 1

    line.cut()
    append(core, 2, first)
    until(lambda: not in_step(bus), timeout_s=30)
    assert core.head().seq == 2
    with pytest.raises(NotAReplica, match="does not follow"):
        bus.read_events(1, count=9)
    line.mend()
    until(lambda: in_step(bus), timeout_s=30)
    until(lambda: bus.head().seq == 2)
    assert bus.trimmed() == Trimmed(EntryId(0, 0), 0)
    core.close()


def test_a_promoted_replica_is_not_read_even_by_a_reader_that_waits_in_it(
    bus: ReplicatedBus, replica: RedisServer
) -> None:
    """Its next events are another site's; a reader that waited through the promotion must not take them for ours."""
    found: list[object] = []

    def read() -> None:
        try:
            found.append(bus.read_events(0, count=9, block_ms=20_000))
        except BusAway as error:
            found.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    with replica.client() as client:
        until(lambda: int(client.info("clients")["blocked_clients"]) == 1, timeout_s=30)
        client.execute_command("REPLICAOF", "NO", "ONE")
        promoted = RedisBus(replica.url, "spot")
        promoted.raise_epoch(2)
        promoted_chain = extend("", 1, 1, b"other")
        promoted.append_events(
            epoch=2,
            first_seq=1,
            last_seq=1,
            prev_chain="",
            chain=promoted_chain,
            last_cmd=EntryId(1, 0),
            body=b"other",
            rules_version=1,
        )
        promoted.close()
    reader.join(timeout=30)
    assert len(found) == 1
    assert isinstance(found[0], NotAReplica)
    assert "promoted" in str(found[0])


def test_without_a_second_address_it_is_the_plain_bus(redis_core_url: str, core: redis.Redis) -> None:
    core.ping()
    bus = event_bus(redis_core_url, redis_core_url, "spot")
    assert type(bus) is RedisBus
    assert bus.head() == Head(0, "", EntryId(0, 0))
    bus.close()
    other = event_bus(redis_core_url, "unix:///nowhere", "spot")
    assert type(other) is ReplicatedBus
    assert type(other.another()) is ReplicatedBus


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ([b"master", 7, []], "promoted"),
        ([b"slave", b"127.0.0.1", 1, b"connect", -1], r"does not follow its primary \(connect\)"),
        ([b"slave", b"127.0.0.1", 1, b"sync", -1], r"\(sync\)"),
        ([b"sentinel", []], r"\(sentinel\)"),
        (b"nonsense", r"\(nonsense\)"),
    ],
)
def test_only_a_replica_in_step_counts(role: object, reason: str) -> None:
    check_follows([b"slave", b"127.0.0.1", 1, b"connected", 99])
    with pytest.raises(NotAReplica, match=reason):
        check_follows(role)
