"""The contract of both buses (architecture.md section 3)."""

import threading
import time

import pytest

from apps.common.hashchain import extend
from apps.streams.bus.base import (
    BEFORE_FIRST_EVENT,
    NOTHING_TRIMMED,
    SEQ_MAX,
    START,
    Bus,
    Cursor,
    EntryId,
    FrameCount,
    Head,
    Trimmed,
)
from apps.streams.bus.errors import BadRange, Fenced, Gap
from apps.streams.codec import encode_command, encode_set_market
from apps.streams.commands import CancelAll, Tick
from apps.streams.records import FrameError
from tests.matching.waiting import until
from tests.streams.examples import MARKET

TICK = encode_command(Tick())


def append(bus: Bus, first: int, last: int, prev: str, body: bytes = b"e", epoch: int = 1) -> str:
    chain = extend(prev, first, last, body)
    bus.append_events(
        epoch=epoch,
        first_seq=first,
        last_seq=last,
        prev_chain=prev,
        chain=chain,
        last_cmd=EntryId(first, 1),
        body=body,
        rules_version=1,
    )
    return chain


# -- commands ---------------------------------------------------------------------------------------------------------
def test_commands_are_read_back_in_order_from_any_place(bus: Bus) -> None:
    frames = [encode_command(CancelAll(account_id=n)) for n in range(5)]
    ids = [bus.append_commands(f) for f in frames]
    assert ids == sorted(set(ids))
    read = bus.read_commands(START, count=100)
    assert [(e.id, e.frames) for e in read] == list(zip(ids, frames, strict=True))
    assert [e.id for e in bus.read_commands(ids[1], count=2)] == ids[2:4]
    assert bus.read_commands(ids[-1], count=10) == []
    assert bus.last_command() == ids[-1]


def test_an_empty_stream_has_no_last_command(bus: Bus) -> None:
    assert bus.last_command() == START
    assert bus.read_commands(START, count=1) == []


def test_every_frame_is_counted(bus: Bus) -> None:
    settings = encode_set_market(MARKET, relay_seq=1, source=1)
    bus.append_commands(TICK * 3)
    bus.append_commands(settings)
    assert bus.frame_count() == FrameCount(3 + len(settings) // 128, 0)


@pytest.mark.parametrize(
    "broken", [TICK[:-1], TICK + b"x", b"\1\x63" + TICK[2:], b"\2" + TICK[1:], b"\1\1\2" + TICK[3:]]
)
def test_broken_frames_are_refused_before_they_are_in_the_log(bus: Bus, broken: bytes) -> None:
    with pytest.raises(FrameError):
        bus.append_commands(broken)
    assert bus.last_command() == START
    assert bus.frame_count() == FrameCount(0, 0)


def test_a_blocking_read_ends_with_the_first_entry_or_the_time(bus: Bus) -> None:
    started = time.monotonic()
    assert bus.read_commands(START, count=1, block_ms=60) == []
    assert time.monotonic() - started >= 0.05
    writer = bus.another()
    timer = threading.Timer(0.1, writer.append_commands, [TICK])
    timer.start()
    started = time.monotonic()
    assert len(bus.read_commands(START, count=1, block_ms=60_000)) == 1
    assert time.monotonic() - started < 50
    timer.join()
    writer.close()


# -- the fenced append ------------------------------------------------------------------------------------------------
def test_events_are_read_back_entry_by_entry(bus: Bus) -> None:
    bus.raise_epoch(1)
    one = append(bus, 1, 3, "", b"first")
    two = append(bus, 4, 4, one, b"second")
    first, second = bus.read_events(0, count=10)
    assert (first.first_seq, first.last_seq, first.epoch, first.prev_chain, first.chain) == (1, 3, 1, "", one)
    assert (first.last_cmd, first.body, first.rules_version) == (EntryId(1, 1), b"first", 1)
    assert (second.first_seq, second.prev_chain, second.chain, second.body) == (4, one, two, b"second")
    assert bus.read_events(3, count=10) == [second]
    assert bus.read_events(4, count=10) == []
    assert bus.head() == Head(4, two, EntryId(4, 1))


def test_head_before_the_first_event(bus: Bus) -> None:
    assert bus.head() == BEFORE_FIRST_EVENT
    assert bus.chain_at(0) == ""
    assert bus.chain_at(1) is None


def test_an_old_epoch_is_refused(bus: Bus) -> None:
    with pytest.raises(Fenced):
        append(bus, 1, 1, "")
    bus.raise_epoch(1)
    chain = append(bus, 1, 1, "")
    bus.raise_epoch(2)
    with pytest.raises(Fenced) as refused:
        append(bus, 2, 2, chain)
    assert refused.value.current_epoch == 2
    assert bus.head().seq == 1
    append(bus, 2, 2, chain, epoch=2)


@pytest.mark.parametrize(("first", "prev"), [(1, ""), (3, "right"), (5, "right"), (4, "wrong"), (4, "")])
def test_what_does_not_follow_the_head_is_refused(bus: Bus, first: int, prev: str) -> None:
    bus.raise_epoch(1)
    right = append(bus, 1, 3, "")
    with pytest.raises(Gap) as refused:
        append(bus, first, 9, right if prev == "right" else prev)
    assert (refused.value.seq, refused.value.chain) == (3, right)
    assert bus.head() == Head(3, right, EntryId(1, 1))
    assert len(bus.read_events(0, count=10)) == 1


def test_repeating_the_newest_append_is_a_success_without_effect(bus: Bus) -> None:
    bus.raise_epoch(1)
    chain = append(bus, 1, 2, "", b"same")
    assert append(bus, 1, 2, "", b"same") == chain
    assert len(bus.read_events(0, count=10)) == 1
    with pytest.raises(Gap):
        append(bus, 1, 2, "", b"other")
    bus.raise_epoch(2)
    with pytest.raises(Fenced):
        append(bus, 1, 2, "", b"same")


@pytest.mark.parametrize("last", [0, SEQ_MAX + 2])
def test_a_bad_range_is_refused(bus: Bus, last: int) -> None:
    bus.raise_epoch(1)
    with pytest.raises(BadRange):
        append(bus, 1, last, "")
    assert bus.head() == BEFORE_FIRST_EVENT


def test_sequence_numbers_are_exact_to_the_limit(bus: Bus) -> None:
    bus.raise_epoch(1)
    chain = append(bus, 1, SEQ_MAX - 1, "")
    append(bus, SEQ_MAX, SEQ_MAX, chain)
    assert bus.head().seq == SEQ_MAX
    assert bus.read_events(SEQ_MAX - 1, count=1)[0].first_seq == SEQ_MAX


def test_frames_done_travels_with_an_append_and_only_if_it_is_accepted(bus: Bus) -> None:
    bus.raise_epoch(3)
    common = {
        "first_seq": 1, "last_seq": 1, "prev_chain": "", "chain": "c", "last_cmd": START, "body": b"",
        "rules_version": 1,
    }  # fmt: skip
    with pytest.raises(Fenced):
        bus.append_events(epoch=2, frames_done=7, **common)
    assert bus.frame_count().done == 0
    bus.append_events(epoch=3, frames_done=7, **common)
    assert bus.frame_count().done == 7


def test_the_chain_is_known_at_the_ends_of_entries(bus: Bus) -> None:
    bus.raise_epoch(1)
    one = append(bus, 1, 3, "")
    two = append(bus, 4, 5, one)
    assert [bus.chain_at(seq) for seq in (0, 1, 3, 4, 5, 6)] == ["", None, one, None, two, None]


# -- epoch and lease --------------------------------------------------------------------------------------------------
def test_the_epoch_only_rises(bus: Bus) -> None:
    assert bus.epoch() == 0
    assert [bus.raise_epoch(e) for e in (5, 5, 4, 10)] == [True, False, False, True]
    assert bus.epoch() == 10


def test_one_holder_has_the_lease_until_it_ends(bus: Bus) -> None:
    assert bus.lease_holder() is None
    assert bus.take_lease("a", ttl_ms=60_000)
    assert not bus.take_lease("b", ttl_ms=60_000)
    # Once more for a machine that was busy for so long.
    until(lambda: bus.take_lease("a", ttl_ms=800) and bus.lease_holder() == "a")
    until(lambda: bus.lease_holder() is None)
    assert bus.take_lease("b", ttl_ms=60_000)
    bus.release_lease("a")
    assert bus.lease_holder() == "b"
    bus.release_lease("b")
    assert bus.lease_holder() is None


# -- bookkeeping ------------------------------------------------------------------------------------------------------
def test_frames_done_is_fenced(bus: Bus) -> None:
    bus.raise_epoch(2)
    bus.set_frames_done(10, epoch=2)
    with pytest.raises(Fenced):
        bus.set_frames_done(11, epoch=1)
    assert bus.frame_count() == FrameCount(0, 10)


def test_frames_are_counted_again_at_takeover(bus: Bus) -> None:
    bus.raise_epoch(1)
    bus.append_commands(TICK * 2)
    middle = bus.append_commands(TICK)
    for _ in range(1500):  # more than one page of the script
        bus.append_commands(TICK * 2)
    assert bus.recount_frames(100, after=middle, epoch=1) == FrameCount(3100, 100)
    assert bus.frame_count() == FrameCount(3100, 100)
    bus.append_commands(TICK)
    assert bus.frame_count() == FrameCount(3101, 100)
    with pytest.raises(Fenced):
        bus.recount_frames(0, after=START, epoch=0)


def test_skips_are_kept_and_fenced(bus: Bus) -> None:
    bus.raise_epoch(1)
    assert bus.read_skips() == {}
    bus.write_skip("17-0-3", "INTERNAL", epoch=1)
    with pytest.raises(Fenced):
        bus.write_skip("18-0-0", "INTERNAL", epoch=0)
    assert bus.read_skips() == {"17-0-3": "INTERNAL"}


def test_trimming_says_what_is_gone_and_never_goes_back(bus: Bus) -> None:
    bus.raise_epoch(1)
    ids = [bus.append_commands(TICK) for _ in range(6)]
    chain = append(bus, 1, 3, "")
    chain = append(bus, 4, 6, chain)
    append(bus, 7, 9, chain)
    assert bus.trimmed() == NOTHING_TRIMMED
    assert bus.trim(epoch=1, commands_to=ids[2], events_to=5) == Trimmed(ids[2], 5)
    assert [e.id for e in bus.read_commands(START, count=10)] == ids[3:]
    assert [e.last_seq for e in bus.read_events(0, count=10)] == [6, 9]
    assert bus.chain_at(6) == chain
    assert bus.trim(epoch=1, commands_to=ids[0], events_to=6) == Trimmed(ids[2], 6)
    assert bus.trim(epoch=1, commands_to=ids[4], events_to=1) == Trimmed(ids[4], 6)
    assert bus.trimmed() == Trimmed(ids[4], 6)
    assert [e.last_seq for e in bus.read_events(0, count=10)] == [9]
    with pytest.raises(Fenced):
        bus.trim(epoch=0, commands_to=ids[5], events_to=9)
    assert [e.id for e in bus.read_commands(START, count=10)] == ids[5:]


def test_numbers_go_on_after_everything_was_trimmed(bus: Bus) -> None:
    bus.raise_epoch(1)
    last = bus.append_commands(TICK)
    chain = append(bus, 1, 3, "")
    bus.trim(epoch=1, commands_to=last, events_to=3)
    assert bus.read_events(0, count=10) == []
    assert bus.last_command() == last
    assert bus.chain_at(3) == chain
    append(bus, 4, 4, chain)
    assert bus.append_commands(TICK) > last
    assert bus.head().seq == 4


def test_cursors(bus: Bus) -> None:
    assert bus.cursors() == {}
    bus.set_cursor("settlement", stream="events", position="12", now_ms=1_000)
    bus.set_cursor("standby", stream="commands", position="5-1", now_ms=2_000)
    bus.set_cursor("settlement", stream="events", position="15", now_ms=3_000)
    assert bus.cursors() == {"settlement": Cursor("events", "15", 3_000), "standby": Cursor("commands", "5-1", 2_000)}
    bus.drop_cursor("standby")
    assert set(bus.cursors()) == {"settlement"}


def test_settled_is_announced(bus: Bus) -> None:
    assert bus.settled() == 0
    bus.announce_settled(44)
    assert bus.settled() == 44


def test_the_free_disk_is_reported_and_forgotten(bus: Bus) -> None:
    assert bus.disk_free() is None
    bus.report_disk(5 * 10**12, ttl_ms=60_000)
    assert bus.disk_free() == 5 * 10**12

    def reported() -> bool:
        bus.report_disk(0, ttl_ms=800)
        return bus.disk_free() == 0

    # Once more for a machine that was busy for so long.
    until(reported)
    until(lambda: bus.disk_free() is None)
