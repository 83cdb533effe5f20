"""Both ways of stamping give the same bytes, and neither lets a broken frame pass."""

import random

import pytest

from apps.matching.stamping import LOOP_FRAMES_MAX, asks_for_snapshot, stamp_entry
from apps.streams.bus.base import CommandEntry, EntryId
from apps.streams.codec import encode_command, iter_runs, stamp
from apps.streams.commands import Tick
from apps.streams.kinds import TickFlag
from apps.streams.records import FRAME_SIZE, FrameError
from tests.matching.traffic import opening, order, trading

ID = EntryId(1_700_000_000_123, 7)


def reference(frames: bytes) -> bytes:
    copy = bytearray(frames)
    stamp(copy, ID.ms, ID.n)
    return bytes(copy)


@pytest.mark.parametrize("count", [1, LOOP_FRAMES_MAX, LOOP_FRAMES_MAX + 1, 200])
def test_one_frame_commands(count: int) -> None:
    frames = b"".join(trading(count, seed=count))
    assert stamp_entry(CommandEntry(ID, frames)) == reference(frames)


def test_runs_of_several_frames_among_others() -> None:
    frames = b"".join([*trading(20, seed=1), *opening(), *trading(20, seed=2)])
    stamped = stamp_entry(CommandEntry(ID, frames))
    assert stamped == reference(frames)
    runs = list(iter_runs(stamped))
    assert len(runs) < len(frames) // FRAME_SIZE


def test_what_a_sender_wrote_into_the_stamp_is_overwritten() -> None:
    frames = encode_command(Tick(entry_ms=5, entry_n=6, index=7)) * 30
    assert stamp_entry(CommandEntry(ID, frames)) == reference(encode_command(Tick()) * 30)


def test_random_damage_is_found_by_both_ways_alike() -> None:
    chosen = random.Random(5)
    frames = b"".join(order(n) for n in range(40))
    refused = 0
    for _ in range(500):
        damaged = bytearray(frames)
        damaged[chosen.randrange(40) * FRAME_SIZE + chosen.randrange(4)] = chosen.randrange(256)
        try:
            expected = reference(bytes(damaged))
        except FrameError:
            refused += 1
            with pytest.raises(FrameError):
                stamp_entry(CommandEntry(ID, bytes(damaged)))
        else:
            assert stamp_entry(CommandEntry(ID, bytes(damaged))) == expected
    assert refused > 100


@pytest.mark.parametrize("size", [1, 127, 129, FRAME_SIZE * 40 + 1])
def test_bytes_that_are_not_whole_frames(size: int) -> None:
    with pytest.raises(FrameError):
        stamp_entry(CommandEntry(ID, (order(1) * 41)[:size]))


def test_a_snapshot_is_asked_for_by_a_lone_tick() -> None:
    asking = encode_command(Tick(flags=TickFlag.SNAPSHOT))
    assert asks_for_snapshot(CommandEntry(ID, asking))
    assert not asks_for_snapshot(CommandEntry(ID, encode_command(Tick())))
    assert not asks_for_snapshot(CommandEntry(ID, order(1)))
