"""Block orders that are refused, and what a rule that changed means for those that are open (T12)."""

import pytest

from apps.matching.engine import Engine
from apps.streams.codec import encode_block, encode_command
from apps.streams.commands import PlaceBlock
from apps.streams.events import OrderRejected
from apps.streams.kinds import (
    EventKind,
    Reason,
)
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.examples import FAMILY, place_block
from tests.matching.engine.examples import block_limit as limit
from tests.matching.engine.play import MARKET, play


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("block none bid b1 head 50000 0.3", "unknown_allocation"),
        ("block even bid b1 s1 50000 0.3", "unknown_allocation"),  # the rule is head's
        ("block even 0.1,0.1,0.1 bid b1 head 50000 0.3", "allocation_weights"),
        ("block asked bid b1 head 50000 0.3", "allocation_weights"),
        ("block asked 0.1,0.1 bid b1 head 50000 0.3", "allocation_weights"),
        ("block asked 0,0,0 bid b1 head 50000 0.3", "allocation_weights"),
        ("block even bid b1 head 50000 0.3 show 0.1", "malformed"),
        ("block even buy b1 head market 0.3", "malformed"),
        ("block even buy b1 head spend 100", "malformed"),
        ("block even sell b1 head spend 100", "malformed"),
        ("block even bid b1 head 50000 0", "malformed"),
        ("block even bid b1 head 2000000 0.1", "price_filter"),
    ],
)
def test_a_refused_block_order_changes_nothing(line: str, reason: str) -> None:
    table = play(FAMILY + "bid k1 bob 40000 1")
    before = table.state_but_seq()
    assert table.ask(line) == f"rejected {reason}"
    assert table.state_but_seq() == before


def test_a_rule_whose_accounts_have_left_the_family_serves_no_more() -> None:
    table = play(FAMILY + "family s2 s2")
    assert table.ask("block even bid b1 head 50000 0.3") == "rejected allocation_family"
    table.engine.validate()


def test_an_account_with_a_share_stays_in_its_family() -> None:
    play(
        FAMILY
        + """
        block even bid b1 head 50000 0.00002 -> rested, s1 holds for 0.00001, s2 holds for 0.00001
        family s1 s1      -> refused account_has_orders
        family s3 s3      -> applied
        family head bob   -> refused account_has_orders
        sell x bob market 0.00002
        family s1 s1      -> applied
        """
    )


def test_a_share_that_is_complete_still_counts_until_the_order_ends() -> None:
    play(
        FAMILY
        + """
        block even bid b1 head 50000 0.00002
        sell x bob market 0.00001   -> trade b1 50000 0.00001, done, s1 gets 0.00001
        family s1 s1                -> refused account_has_orders
        cancel b1                   -> canceled b1, s2 releases 0.00001
        family s1 s1                -> applied
        """
    )


def test_the_client_id_covers_rule_and_requested_lots() -> None:
    play(
        FAMILY
        + """
        allocation asked2 head pro-rata s1..s3
        block asked 0.1,0.1,0.1 bid b1 head 50000 0.00003 as x -> rested, s1 holds for 0.00001, s2 holds for 0.00001, s3 holds for 0.00001
        block asked 0.1,0.1,0.1 bid b2 head 50000 0.00003 as x -> duplicate of b1
        block asked 0.1,0.1,0.2 bid b2 head 50000 0.00003 as x -> rejected duplicate_client_id
        block asked2 0.1,0.1,0.1 bid b2 head 50000 0.00003 as x -> rejected duplicate_client_id
        bid b2 head 50000 0.00003 as x                         -> rejected duplicate_client_id
        allocation asked head pro-rata                         -> applied
        block asked 0.1,0.1,0.1 bid b2 head 50000 0.00003 as x -> duplicate of b1
        block asked 0.1,0.1,0.1 bid b2 head 50000 0.00003 as y -> rejected unknown_allocation
        cancel b1
        block asked 0.1,0.1,0.1 bid b2 head 50000 0.00003 as x -> duplicate of b1
        """  # noqa: E501
    )


def test_a_changed_rule_serves_new_orders_only() -> None:
    play(
        FAMILY
        + """
        block even bid b1 head 50000 0.00003
        allocation even head equal s3
        block even bid b2 head 49000 0.00003 -> rested, s3 holds for 0.00003
        sell x bob market 0.00003 -> trade b1 50000 0.00003, done, s1 gets 0.00001, s2 gets 0.00001, s3 gets 0.00001
        """
    )


@pytest.mark.parametrize(
    "spoil",
    [
        {"parts": 3}, {"parts": 1}, {"flags": 1}, {"requested_count": 1}, {"requested_count": 65_535},
        {"account_id": 77}, {"market_id": 9},
    ],
)  # fmt: skip
def test_a_head_that_does_not_fit_its_run_is_malformed(spoil: dict[str, int]) -> None:
    table = play(FAMILY)
    before = table.state_but_seq()
    values = {"market_id": MARKET, "account_id": table.account("head"), "rule_id": 1, "parts": 2} | spoil
    frames = encode_command(PlaceBlock(**values)) + encode_command(limit(table))
    run = frames[:FRAME_SIZE] if values["parts"] == 1 else frames.ljust(values["parts"] * FRAME_SIZE, b"\0")
    (event,) = table.run(run)
    assert isinstance(event, OrderRejected)
    assert event.reason == Reason.MALFORMED
    assert table.state_but_seq() == before


@pytest.mark.parametrize("inner", [{"parts": 2}, {"flags": 1}, {"order_kind": 9}, {"side": 2}, {"stp_mode": 0}])
def test_the_order_inside_is_checked_like_any_other(inner: dict[str, int]) -> None:
    table = play(FAMILY)
    (event,) = place_block(table, limit(table, **inner))
    assert (event.KIND, event.reason) == (EventKind.ORDER_REJECTED, Reason.MALFORMED)


def test_something_else_inside_is_malformed() -> None:
    table = play(FAMILY)
    head = encode_command(PlaceBlock(parts=2, market_id=MARKET, account_id=table.account("head"), rule_id=1))
    (event,) = table.run(head + head)
    assert (event.KIND, event.reason) == (EventKind.ORDER_REJECTED, Reason.MALFORMED)


def test_requested_lots_that_overflow_are_refused() -> None:
    table = play(FAMILY)
    head = PlaceBlock(market_id=MARKET, account_id=table.account("head"), rule_id=3)
    (event,) = table.run(encode_block(head, limit(table), [2**62 - 1, 1, 1]))
    assert event.reason == Reason.OVERFLOW
    (event,) = table.run(encode_block(head, limit(table), [2**63 - 1, -(2**63), 1]))
    assert event.reason == Reason.ALLOCATION_WEIGHTS


def test_a_block_order_outside_the_band_is_parked_with_its_shares_held() -> None:
    table = play(FAMILY + "set bid_up_bp 11000 park_outside_band 1")
    table.play(
        """
        block even bid b1 head 60000 0.00003 -> s1 holds for 0.00001, s2 holds for 0.00001, s3 holds for 0.00001, parked
        family s1 s1                         -> refused account_has_orders
        """
    )
    table.engine = Engine.restore(table.engine.snapshot())
    table.engine.validate()
    table.play(
        """
        review b1 release -> released, rests 0.00003
        sell x bob market 0.00001 -> trade b1 60000 0.00001, done, s1 gets 0.00001
        cancel b1 -> canceled b1, s2 releases 0.00001, s3 releases 0.00001
        """
    )
