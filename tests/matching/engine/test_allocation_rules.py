"""Allocation rules of block orders: which of them are refused, and how long they may be (T12)."""

from typing import Any

import pytest

from apps.streams.codec import encode_block, encode_set_allocation
from apps.streams.commands import PlaceBlock
from apps.streams.events import RelayRefused
from apps.streams.kinds import (
    AllocationMethod,
    CommandKind,
    EventKind,
    Reason,
)
from apps.streams.messages import MAX_ALLOCATION_ACCOUNTS, AllocationSettings, SettingsError
from apps.streams.records import FRAME_SIZE, MAX_PARTS, FrameError
from tests.matching.engine.examples import block_limit as limit
from tests.matching.engine.play import Table, play


def rule(**changes: Any) -> AllocationSettings:
    values = {"account_id": 1001, "rule_id": 1, "method": AllocationMethod.EQUAL, "accounts": [1001, 1002]}
    return AllocationSettings(**(values | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": 0}, {"account_id": 2**63}, {"rule_id": 0}, {"rule_id": 2**31}, {"method": 0}, {"method": 4},
        {"accounts": [1001, 1001]}, {"accounts": [0]}, {"accounts": [2**63]}, {"accounts": list(range(1, 66))},
        {"weights_bp": [5_000, 5_000]},
        {"method": AllocationMethod.PRO_RATA, "weights_bp": [5_000, 5_000]},
        {"method": AllocationMethod.FIXED},
        {"method": AllocationMethod.FIXED, "weights_bp": [10_000]},
        {"method": AllocationMethod.FIXED, "weights_bp": [5_000, 5_001]},
        {"method": AllocationMethod.FIXED, "weights_bp": [10_000, 0]},
        {"method": AllocationMethod.FIXED, "weights_bp": [10_001, -1]},
        {"method": AllocationMethod.FIXED, "accounts": [], "weights_bp": [10_000]},
    ],
)  # fmt: skip
def test_a_rule_that_divides_nothing_whole_is_refused(changes: dict[str, Any]) -> None:
    settings = rule(**changes)
    with pytest.raises(SettingsError):
        settings.check()
    table = play("family sub head")
    before = table.state_but_seq()
    (event,) = table.run(encode_set_allocation(settings, **table.numbered()))
    assert (event.KIND, event.reason) == (EventKind.RELAY_REFUSED, Reason.INVALID_SETTINGS)
    assert table.state_but_seq() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account_id": 99}, Reason.UNKNOWN_ACCOUNT),
        ({"accounts": [1001, 99]}, Reason.ALLOCATION_FAMILY),
        ({"accounts": [1001, 1003]}, Reason.ALLOCATION_FAMILY),
    ],
)
def test_a_rule_over_foreign_accounts_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    table = play("family sub head\nfund bob 1 USDT")
    before = table.state_but_seq()
    (event,) = table.run(encode_set_allocation(rule(**changes), **table.numbered()))
    assert isinstance(event, RelayRefused)
    assert (event.reason, event.object_id) == (reason, changes.get("account_id", 1001))
    assert table.state_but_seq() == before


def test_the_owner_in_the_header_must_be_that_of_the_body() -> None:
    table = play("family sub head")
    run = bytearray(encode_set_allocation(rule(), **table.numbered()))
    run[8:16] = (1002).to_bytes(8, "little")
    (event,) = table.run(bytes(run))
    assert event.reason == Reason.INVALID_SETTINGS


def test_a_rule_that_was_set_is_answered_with_its_number() -> None:
    table = play("family sub head")
    (event,) = table.run(encode_set_allocation(rule(rule_id=7), **table.numbered()))
    assert (event.KIND, event.op, event.object_id, event.account_id) == (
        EventKind.SETTINGS_APPLIED, CommandKind.SET_ALLOCATION, 7, 1001,
    )  # fmt: skip


def test_the_longest_rule_fits_into_a_run() -> None:
    count = MAX_ALLOCATION_ACCOUNTS
    weights = [10_000 - 128 * (count - 1)] + [128] * (count - 1)
    settings = rule(
        account_id=2**63 - 1, rule_id=2**31 - 1, method=AllocationMethod.FIXED,
        accounts=[2**63 - 1 - number for number in range(count)], weights_bp=weights,
    )  # fmt: skip
    settings.check()
    assert len(encode_set_allocation(settings, relay_seq=1, source=1)) <= MAX_PARTS * FRAME_SIZE


def test_more_requested_lots_than_a_run_holds_are_refused_by_the_encoder() -> None:
    order = limit(Table())
    head = PlaceBlock(rule_id=1)
    assert len(encode_block(head, order, [1] * 96)) == MAX_PARTS * FRAME_SIZE
    with pytest.raises(FrameError, match="needs 9 frames"):
        encode_block(head, order, [1] * 97)
