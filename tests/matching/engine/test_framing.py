"""Bad bytes: a FrameError before anything is applied, or a refusal; never a wrong state."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.matching.engine import Engine, FrameError, InvariantBroken, RelayGap, SnapshotError
from apps.streams.codec import decode_events, encode_command, stamp
from apps.streams.commands import Credit, PlaceOrder, Tick
from apps.streams.kinds import CommandKind, EventKind, OrderKind, Reason, Source, TimeInForce
from apps.streams.records import COMMANDS, FRAME_SIZE
from tests.matching.engine.play import ASSETS, MARKET, Table
from tests.matching.engine.random_commands import START_MS, Commands


def credit(relay_seq: int) -> bytes:
    return encode_command(
        Credit(
            account_id=7, asset_id=ASSETS["BTC"], amount_units=1, counter=1, relay_seq=relay_seq, source=Source.OUTBOX
        )
    )


@pytest.mark.parametrize(
    "bad",
    [
        b"\0",
        b"\x01" * 127,
        bytes(128),
        b"\x02\x01\x01".ljust(128, b"\0"),  # version
        b"\x01\x00\x01".ljust(128, b"\0"),  # kind
        b"\x01\x63\x01".ljust(128, b"\0"),
        b"\x01\x01\x00".ljust(128, b"\0"),  # parts
        b"\x01\x01\x09".ljust(128 * 9, b"\0"),
        b"\x01\x01\x02".ljust(128, b"\0"),
    ],
)
def test_nothing_of_a_buffer_with_bad_framing_is_applied(bad: bytes) -> None:
    table = Table()
    good = bytearray(credit(table.relay_seq + 1))
    stamp(good, table.now_ms + 1, 0)
    before = table.engine.snapshot()
    for buffer in (bytes(good) + bad, bad, bytes(good) * 3 + bad):
        with pytest.raises(FrameError):
            table.engine.process(buffer)
        assert table.engine.snapshot() == before
    assert len(table.engine.process(bytes(good))) > 0


def test_an_empty_buffer_does_nothing() -> None:
    engine = Engine()
    assert engine.process(b"") == b""


def test_a_tick_moves_only_the_time() -> None:
    table = Table()
    before, seq = table.state_but_seq(), table.engine.seq
    assert table.send(Tick(flags=1)) == []
    assert (table.state_but_seq(), table.engine.seq) == (before, seq)
    assert table.engine.counters().now_ms == table.now_ms


def test_time_never_goes_back() -> None:
    table = Table()
    table.now_ms -= 5
    with pytest.raises(InvariantBroken, match="time went back"):
        table.send(Tick())


@pytest.mark.parametrize("ms", [2**62, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("expires_ms", [0, 2**62 - 1, 2**63 - 1])
def test_a_time_that_no_timer_could_follow_is_refused(ms: int, expires_ms: int) -> None:
    """Without a timer, and with one that ends before and after it."""
    table = Table()
    order = PlaceOrder(
        market_id=MARKET, account_id=table.account("alice"), settings_version=1, side=0, order_kind=OrderKind.LIMIT,
        time_in_force=TimeInForce.GTD if expires_ms else TimeInForce.GTC, expires_ms=expires_ms, price_ticks=5_000_000,
        quantity_lots=100,
    )  # fmt: skip
    assert table.send(order)[0].KIND == EventKind.ORDER_ACCEPTED
    body = table.engine.snapshot()
    late = bytearray(encode_command(Tick()))
    for apply in (lambda: table.engine.process(bytes(late)), lambda: table.engine.skip(bytes(late), Reason.INTERNAL)):
        stamp(late, ms, 0)
        with pytest.raises(InvariantBroken, match=f"a time of {ms} ms"):
            apply()
        table.engine = Engine.restore(body)
        stamp(late, 2**62 - 1, 0)
        apply()
        table.engine.validate()
        last = table.engine.snapshot()
        assert Engine.restore(last).snapshot() == last
        with pytest.raises(SnapshotError):
            Engine.restore(last.replace((2**62 - 1).to_bytes(8, "little"), ms.to_bytes(8, "little"), 1))
        table.engine = Engine.restore(body)


def test_a_skip_of_nothing_is_refused() -> None:
    table = Table()
    before = table.engine.snapshot()
    with pytest.raises(FrameError, match="there is no command to skip"):
        table.engine.skip(b"", Reason.INTERNAL)
    assert table.engine.snapshot() == before


def fuzzed(seed: int, count: int) -> tuple[Engine, int]:
    """Whole frames of known kinds with random bytes in random places; (engine, frames that were refused)."""
    random, commands, engine = Random(seed), Commands(seed), Engine(50)
    events = 0
    for number in range(count):
        frame = bytearray(commands.next())
        if number > 40:
            for _ in range(random.choice((1, 1, 2, 5, 40))):
                # The command id (bytes 16-32) is the worker's; relay numbers (32-42) are tested by themselves.
                place = random.randrange(3, len(frame))
                if not 16 <= place < 42 or frame[1] in (2, 3, 4):
                    frame[place] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))
            if random.random() < 0.1 and frame[1] < CommandKind.CREDIT:
                frame[1] = random.choice(tuple(COMMANDS))
                if frame[1] >= CommandKind.CREDIT:
                    frame[32:42] = (0).to_bytes(8, "little") + (0).to_bytes(2, "little")
            stamp(frame, commands.now_ms, 0)
        try:
            events += len(decode_events(engine.process(bytes(frame))))
        except RelayGap:
            pytest.fail("the fuzzer does not make gaps")
        if number % 5 == 0:
            engine.validate()
    engine.validate()
    return engine, events


@pytest.mark.parametrize("seed", range(8))
def test_fuzzed_frames_are_refused_or_applied_and_the_state_stays_sound(seed: int) -> None:
    print(f"seed {seed}")
    engine, events = fuzzed(seed, 1_000)
    assert events > 500
    assert Engine.restore(engine.snapshot()).state_hash() == engine.state_hash()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=4 * FRAME_SIZE))
def test_any_bytes_are_a_frame_error_or_leave_a_sound_state(data: bytes) -> None:
    engine = Engine()
    try:
        decode_events(engine.process(data))
    except (FrameError, RelayGap, InvariantBroken):
        pass
    else:
        engine.validate()


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(sorted(COMMANDS)),
    body=st.binary(min_size=96, max_size=96),
    head=st.binary(min_size=13, max_size=13),
)
def test_any_body_of_any_kind_is_answered(kind: int, body: bytes, head: bytes) -> None:
    table = Table()
    table.account("alice")
    frame = bytearray(bytes((1, kind, 1)) + head + bytes(16) + body)
    stamp(frame, START_MS + 10_000, 0)
    try:
        decode_events(table.engine.process(bytes(frame)))
    except RelayGap:
        return
    table.engine.validate()
