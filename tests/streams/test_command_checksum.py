"""A command that waits has one copy and no chain: its entry carries a checksum, which every reader compares."""

import pytest
import redis

from apps.streams.bus.base import START
from apps.streams.bus.errors import LogUnreadable
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command
from apps.streams.commands import CancelAll, Tick
from apps.streams.names import ShardKeys

FRAMES = encode_command(CancelAll(market_id=3, account_id=1001)) + encode_command(Tick())
COMMANDS = ShardKeys("spot").commands


@pytest.fixture
def bus(core: redis.Redis, redis_core_url: str) -> RedisBus:
    assert core.ping()
    return RedisBus(redis_core_url, "spot")


@pytest.mark.parametrize("also_when_full", [False, True])
def test_every_single_damaged_byte_is_noticed(core: redis.Redis, bus: RedisBus, also_when_full: bool) -> None:
    bus.append_commands(FRAMES, also_when_full=also_when_full)
    assert bus.read_commands(START, count=10)[0].frames == FRAMES
    ((entry_id, fields),) = core.xrange(COMMANDS)
    for at in range(len(FRAMES)):
        damaged = bytearray(FRAMES)
        damaged[at] ^= 1 << (at % 8)
        core.delete(COMMANDS)
        core.xadd(COMMANDS, {**fields, b"d": bytes(damaged)}, id=entry_id)
        with pytest.raises(LogUnreadable, match=entry_id.decode()):
            bus.read_commands(START, count=10)
    bus.close()


@pytest.mark.parametrize("checksum", ["x", "", "-1", "12345678901234567890"])
def test_a_damaged_checksum_is_noticed(core: redis.Redis, bus: RedisBus, checksum: str) -> None:
    core.xadd(COMMANDS, {"d": FRAMES, "k": checksum})
    with pytest.raises(LogUnreadable):
        bus.read_commands(START, count=10)
    bus.close()


def test_an_entry_without_commands_is_named(core: redis.Redis, bus: RedisBus) -> None:
    entry_id = core.xadd(COMMANDS, {"foo": "bar"})
    with pytest.raises(LogUnreadable, match=f"{entry_id.decode()} holds no commands"):
        bus.read_commands(START, count=10)
    bus.close()


def test_entries_of_a_release_without_checksums_are_read(core: redis.Redis, bus: RedisBus) -> None:
    core.xadd(COMMANDS, {"d": FRAMES})
    assert bus.read_commands(START, count=10)[0].frames == FRAMES
    bus.close()
