"""The id of the command being applied stands in a buffer of the caller's, as in the command's own frame."""

import mmap
from collections.abc import Iterator

import pytest

from apps.matching.engine import Engine, FrameError
from apps.matching.engine.state import State
from apps.streams.codec import encode_command, stamp
from apps.streams.commands import Tick
from apps.streams.kinds import CommandKind, Reason
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.random_commands import Commands

ID = slice(16, 32)


@pytest.fixture
def mapped() -> Iterator[memoryview]:
    with mmap.mmap(-1, 64) as pages, memoryview(pages) as whole, whole[:16] as view:
        yield view


def ticks(count: int, ms: int = 1_800_000_000_000, n: int = 3) -> bytes:
    frames = bytearray(encode_command(Tick()) * count)
    stamp(frames, ms, n)
    return bytes(frames)


def test_every_command_is_marked_before_it_is_applied(mapped: memoryview) -> None:
    seen: list[bytes] = []

    def look(state: State, frames: bytes, offset: int) -> None:
        seen.append(bytes(mapped))

    class Looking(Engine):
        HANDLERS = {**Engine.HANDLERS, int(CommandKind.TICK): look}

    engine = Looking()
    engine.mark_in(mapped)
    frames = ticks(3) + ticks(2, n=4)
    engine.process(frames)
    assert seen == [frames[at:][ID] for at in range(0, len(frames), FRAME_SIZE)]
    assert bytes(mapped) == frames[-FRAME_SIZE:][ID]  # the worker clears it
    assert engine.applying == (1_800_000_000_000, 4, 1)


def test_a_command_of_several_frames_is_marked_by_its_first_one(mapped: memoryview) -> None:
    engine, run = Engine(), bytearray(ticks(1) + bytes(FRAME_SIZE))
    run[2] = 2
    engine.mark_in(mapped)
    engine.process(bytes(run))
    assert bytes(mapped) == bytes(run[ID])


def test_a_skipped_command_is_marked_too(mapped: memoryview) -> None:
    engine = Engine()
    engine.mark_in(mapped)
    engine.skip(ticks(1), Reason.INTERNAL)
    assert bytes(mapped) == ticks(1)[ID]


def test_frames_that_are_refused_mark_nothing(mapped: memoryview) -> None:
    engine = Engine()
    engine.mark_in(mapped)
    with pytest.raises(FrameError):
        engine.process(ticks(2)[:-1])
    assert bytes(mapped) == bytes(16)


def test_a_command_whose_time_went_back_is_the_one_that_is_named(mapped: memoryview) -> None:
    engine = Engine()
    engine.mark_in(mapped)
    engine.process(ticks(1))
    with pytest.raises(AssertionError, match="time went back"):
        engine.process(ticks(1, ms=1_799_999_999_999, n=9))
    assert bytes(mapped) == ticks(1, ms=1_799_999_999_999, n=9)[ID]


def test_the_buffer_belongs_to_the_process_and_not_to_the_state(mapped: memoryview) -> None:
    commands, marked, plain = Commands(6), Engine(50), Engine(50)
    marked.mark_in(mapped)
    for _ in range(400):
        frames = commands.next()
        assert marked.process(frames) == plain.process(frames)
    assert marked.snapshot() == plain.snapshot()
    before = bytes(mapped)
    Engine.restore(marked.snapshot()).process(commands.next())  # another engine marks elsewhere
    assert bytes(mapped) == before


@pytest.mark.parametrize("buffer", [bytearray(15), bytearray(17), memoryview(bytes(16)), memoryview(bytearray(64))])
def test_a_buffer_that_does_not_fit_is_refused(buffer: memoryview | bytearray, mapped: memoryview) -> None:
    engine = Engine()
    engine.mark_in(mapped)
    with pytest.raises(ValueError, match="16 writable bytes"):
        engine.mark_in(buffer)
    engine.process(ticks(1))
    assert bytes(mapped) == ticks(1)[ID]
