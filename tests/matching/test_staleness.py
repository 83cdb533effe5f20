"""When waiting orders are too old, and which commands of the log that concerns (architecture.md section 3)."""

import pytest

from apps.matching.skips import Skips, command_key, creates_orders
from apps.matching.staleness import newest_sign_of_life, stale_range, unprocessed_is_stale
from apps.matching.takeover import TAKEOVER_TICK
from apps.streams.bus.base import CommandEntry, EntryId
from apps.streams.codec import encode_command, encode_set_asset
from apps.streams.commands import CancelAll, Credit, Tick
from apps.streams.kinds import ORDER_CREATING, CommandKind, Reason, TickFlag
from apps.streams.messages import AssetSettings
from apps.streams.records import COMMANDS
from tests.matching.traffic import order

TICK = encode_command(Tick())
SNAPSHOT_TICK = encode_command(Tick(flags=int(TickFlag.SNAPSHOT)))
CREDIT = encode_command(Credit(relay_seq=1, source=1, asset_id=1, amount_units=1, account_id=1001))
CANCEL = encode_command(CancelAll(account_id=1001))


def entry(ms: int, frames: bytes, n: int = 0) -> CommandEntry:
    return CommandEntry(EntryId(ms, n), frames)


@pytest.mark.parametrize(
    ("sign_ms", "now_ms", "stale"),
    [
        (10_000, 10_000, False),
        (10_000, 14_999, False),
        (10_000, 15_000, False),  # exactly as long as allowed
        (10_000, 15_001, True),
        (0, 15_001, True),
        (0, 1_800_000_000_000, True),  # commands, but never a worker
        (20_000, 15_000, False),  # the clock went back
    ],
)
def test_stale_is_more_than_the_limit_without_a_sign(sign_ms: int, now_ms: int, stale: bool) -> None:
    assert unprocessed_is_stale(newest_sign_ms=sign_ms, now_ms=now_ms, max_queue_ms=5_000) is stale


@pytest.mark.parametrize(
    ("head_ms", "entries", "sign_ms"),
    [
        (0, [], 0),
        (7_000, [], 7_000),
        (7_000, [entry(8_000, order(1))], 7_000),  # that it waits says nothing about a worker
        (7_000, [entry(8_000, CREDIT), entry(9_000, CANCEL)], 7_000),
        (7_000, [entry(8_000, TICK), entry(9_000, order(1))], 8_000),
        (7_000, [entry(8_000, TICK), entry(9_000, order(1)), entry(9_500, TICK, 3)], 9_500),
        (0, [entry(8_000, TICK)], 8_000),
        (7_000, [entry(8_000, SNAPSHOT_TICK)], 7_000),  # an operator asks for a snapshot, no worker answered
        (7_000, [entry(8_000, TAKEOVER_TICK)], 7_000),  # whoever sent it may have failed at the next step
        (7_000, [entry(8_000, order(1) + TICK)], 7_000),  # not the worker's: it sends its ticks alone
        (7_000, [entry(8_000, TICK[:-1])], 7_000),
    ],
)
def test_signs_of_life_are_durable_events_and_the_workers_own_ticks(
    head_ms: int, entries: list[CommandEntry], sign_ms: int
) -> None:
    assert newest_sign_of_life(head_ms, entries) == sign_ms


# -- which commands ---------------------------------------------------------------------------------------------------
def test_a_range_skips_the_orders_from_its_first_to_its_last_entry() -> None:
    key = stale_range(EntryId(5, 1), EntryId(7, 0))
    assert key == "5-1..7-0"
    skips = Skips.parse({key: Reason.ENGINE_RESTARTED.name})
    inside = [EntryId(5, 1), EntryId(5, 2), EntryId(6, 0), EntryId(7, 0)]
    for entry_id in inside:
        assert skips.touches(entry_id)
        assert skips.reason(entry_id, 3, CommandKind.PLACE_ORDER) is Reason.ENGINE_RESTARTED
    for entry_id in (EntryId(5, 0), EntryId(7, 1), EntryId(4, 9)):
        assert not skips.touches(entry_id)
        assert skips.reason(entry_id, 0, CommandKind.PLACE_ORDER) is None


@pytest.mark.parametrize("kind", list(CommandKind))
def test_cancels_money_and_settings_of_a_range_apply(kind: CommandKind) -> None:
    """Every kind there is; one that will create orders must be named here and in ORDER_CREATING."""
    skips = Skips.parse({"5-0..5-0": "ENGINE_RESTARTED"})
    creating = (
        CommandKind.PLACE_ORDER, CommandKind.REPLACE_ORDER, CommandKind.PLACE_BLOCK, CommandKind.PLACE_LIST,
    )  # fmt: skip
    reason = Reason.ENGINE_RESTARTED if kind in creating else None
    assert skips.reason(EntryId(5, 0), 0, kind) is reason


def test_a_command_skipped_by_itself_keeps_its_reason_within_a_range() -> None:
    skips = Skips.parse({"5-0..9-0": "ENGINE_RESTARTED", command_key(6, 0, 1): "INTERNAL"})
    assert skips.reason(EntryId(6, 0), 1, CommandKind.PLACE_ORDER) is Reason.INTERNAL
    assert skips.reason(EntryId(6, 0), 1, CommandKind.CREDIT) is Reason.INTERNAL
    assert skips.reason(EntryId(6, 0), 2, CommandKind.PLACE_ORDER) is Reason.ENGINE_RESTARTED


def test_a_range_of_one_entry_and_one_that_ends_before_it_begins() -> None:
    assert stale_range(EntryId(5, 0), EntryId(5, 0)) == "5-0..5-0"
    with pytest.raises(ValueError, match="from 5-1 to 5-0 holds nothing"):
        stale_range(EntryId(5, 1), EntryId(5, 0))


def test_what_creates_orders_has_a_time_in_force_or_a_part_that_has() -> None:
    """The second part of REPLACE_ORDER is a PLACE_ORDER frame; its cancel waits with it. So do blocks and lists."""
    single = {kind for kind in COMMANDS if "time_in_force" in COMMANDS[kind].names}
    assert set(ORDER_CREATING) == single | {CommandKind.REPLACE_ORDER, CommandKind.PLACE_BLOCK, CommandKind.PLACE_LIST}


@pytest.mark.parametrize(
    ("frames", "creates"),
    [
        (order(1), True),
        (CANCEL + order(1), True),
        (TICK, False),
        (CANCEL + CREDIT, False),
        (b"", False),
        (order(1)[:-1], False),
        (order(1) + b"\x01\x63\x01" + bytes(125), False),  # broken: nothing of the entry is applied
    ],
)
def test_which_entries_bring_an_order(frames: bytes, creates: bool) -> None:
    assert creates_orders(frames) is creates


def test_the_inside_of_a_long_command_is_no_command() -> None:
    run = encode_set_asset(AssetSettings(asset_id=1, code="BTC"), relay_seq=1, source=1)
    run = bytes([*run[:2], 2, *run[3:128]]) + bytes([1, CommandKind.PLACE_ORDER, 1]) + bytes(125)
    assert not creates_orders(run)
