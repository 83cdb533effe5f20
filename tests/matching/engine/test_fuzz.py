"""Damaged and random bytes into process(): an error or a refusal, never a wrong state. A failing run prints its seed.

FrameError: nothing of the buffer was applied. RelayGap: a damaged number of a relayed command; the state is discarded.
Whatever is applied leaves a state that validates and that the events alone rebuild. No other exception comes out.
"""

from random import Random
from typing import Any

import pytest

from apps.matching.engine import FrameError, RelayGap
from apps.streams.codec import decode_events, stamp
from apps.streams.kinds import CommandKind, EventKind
from apps.streams.records import COMMAND_HEADER, COMMAND_VERSION, FRAME_SIZE, MAX_PARTS
from tests.matching.engine.projection import Projection
from tests.matching.engine.random_orders import Commands
from tests.sampling import sampled

MARKET_ASSETS = {1: (1, 2), 2: (3, 1)}
EDGES = (0, 1, 2, 3, 0x7F, 0x80, 0xFE, 0xFF)


class Fuzzed:
    """An engine that gets good and damaged commands in turn, and what its events say."""

    def __init__(self, engine_class: Any, seed: int) -> None:
        print(f"seed {seed}")
        self.engine_class = engine_class
        self.engine = engine_class(50)
        self.projection = Projection(MARKET_ASSETS)
        self.commands = Commands(seed)
        self.random = Random(seed)
        self.seen = {"error": 0, "gap": 0, "refused": 0, "done": 0}

    def good(self) -> bytes:
        frames = self.commands.next()
        self.apply(frames)
        return frames

    def apply(self, frames: bytes) -> None:
        """Apply what may be anything; check what came of it."""
        before = self.engine.snapshot()
        try:
            answer = self.engine.process(frames)
        except FrameError:
            assert self.engine.snapshot() == before
            self.seen["error"] += 1
            return
        except RelayGap:
            self.engine = self.engine_class.restore(before)
            self.seen["gap"] += 1
            return
        events = decode_events(answer)
        for event in events:
            self.projection.apply(event)
        self.engine.validate()
        balances = {
            (row.account_id, row.asset_id): (row.available_units, row.held_units) for row in self.engine.balances()
        }
        assert self.projection.money() == balances
        refused = events and all(EventKind(event.KIND).name.endswith(("_REJECTED", "_REFUSED")) for event in events)
        self.seen["refused" if refused else "done"] += 1

    def stamped(self, frames: bytearray) -> bytes:
        """The worker stamps whatever it appends: time and place of a command are never what a client sent."""
        now_ms = self.commands.now_ms
        try:
            stamp(frames, now_ms, 7)
        except FrameError:
            head = list(COMMAND_HEADER.unpack_from(frames))
            COMMAND_HEADER.pack_into(frames, 0, *head[:6], now_ms, 7, 0)
        return bytes(frames)


@pytest.mark.parametrize("seed", sampled(range(3), 1))
def test_damaged_commands_do_no_damage(engine_class: Any, seed: int) -> None:
    fuzzed = Fuzzed(engine_class, seed)
    random = fuzzed.random
    for _ in range(700):
        frames = bytearray(fuzzed.good())
        for _ in range(random.choice((1, 1, 2, 5))):
            position = random.randrange(len(frames))
            frames[position] = random.choice(
                (*EDGES, frames[position] ^ 1 << random.randrange(8), random.randrange(256))
            )
        fuzzed.apply(fuzzed.stamped(frames))
    assert min(fuzzed.seen.values()) > 5, fuzzed.seen


@pytest.mark.parametrize("seed", sampled(range(3), 1))
def test_frames_of_every_kind_with_random_contents_do_no_damage(engine_class: Any, seed: int) -> None:
    """Random contents with a right head, so that handlers and not only the framing see them."""
    fuzzed = Fuzzed(engine_class, seed)
    random, kinds = fuzzed.random, list(CommandKind)
    for _ in range(300):
        fuzzed.good()
    for number in range(900):
        parts = random.choice((1, 1, 1, 2, 3, MAX_PARTS))
        frames = bytearray(
            random.choice(EDGES) if random.random() < 0.5 else random.randrange(256) for _ in range(parts * FRAME_SIZE)
        )
        head = (
            COMMAND_VERSION,
            kinds[number % len(kinds)],
            parts,
            0,
            random.choice((0, 1, 2, 9)),
            random.randrange(10),
        )
        COMMAND_HEADER.pack_into(frames, 0, *head, 0, 0, 0)
        fuzzed.apply(fuzzed.stamped(frames))
    assert fuzzed.seen["refused"] > 100, fuzzed.seen


@pytest.mark.parametrize("seed", range(3))
def test_bytes_of_any_length_are_errors(engine_class: Any, seed: int) -> None:
    fuzzed = Fuzzed(engine_class, seed)
    random = fuzzed.random
    for _ in range(60):
        fuzzed.good()
    errors = fuzzed.seen["error"]
    for _ in range(300):
        fuzzed.apply(random.randbytes(random.choice((1, 5, 127, 128, 129, 256, 1_000, 1_024))))
    assert fuzzed.seen["error"] == errors + 300


@pytest.mark.parametrize("seed", range(2))
def test_an_error_anywhere_in_a_buffer_applies_nothing_of_it(engine_class: Any, seed: int) -> None:
    fuzzed = Fuzzed(engine_class, seed)
    for _ in range(40):
        fuzzed.good()
    good = b"".join(fuzzed.commands.next() for _ in range(5))
    before = fuzzed.engine.snapshot()
    for bad in (b"x", bytes(FRAME_SIZE), bytes([9]) + good[1:FRAME_SIZE], good[:FRAME_SIZE] + good[: FRAME_SIZE - 1]):
        for whole in (good + bad, bad + good):
            with pytest.raises(FrameError):
                fuzzed.engine.process(whole)
            assert fuzzed.engine.snapshot() == before
    fuzzed.apply(good)


@pytest.mark.long
def test_damage_for_long(engine_class: Any) -> None:
    for seed in range(100, 140):
        test_damaged_commands_do_no_damage(engine_class, seed)
        test_frames_of_every_kind_with_random_contents_do_no_damage(engine_class, seed)
