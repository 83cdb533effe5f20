"""T4: cancel-replace, one command; what fails first decides how much happens."""

from typing import Any

import pytest

from apps.streams.codec import encode_command, encode_replace
from apps.streams.commands import PlaceOrder, ReplaceOrder, Tick
from apps.streams.events import CancelRejected, OrderClosed, OrderRejected
from apps.streams.kinds import MarketState, OrderKind, Reason, ReplaceMode, Side, TimeInForce
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.play import MARKET, Table, play


def test_what_was_freed_pays_for_the_new_order() -> None:
    play(
        """
        fund    alice 5000 USDT
        bid     b1 alice 50000 0.1
        ask     a1 bob 50010 0.05
        replace b1 bid b2 alice 50010 0.09     -> canceled b1, trade a1 50010 0.05, rests 0.04
        balance alice USDT                     -> 499.1 available, 2000.4 held
        replace b2 sell s1 alice market 0.05   -> canceled b2, expired no_liquidity
        balance alice USDT                     -> 2499.5 available, 0 held
        """
    )


def test_the_new_order_stands_at_the_back() -> None:
    play(
        """
        bid     b1 alice 50000 0.1
        bid     b2 bob   50000 0.1
        replace b1 bid b3 alice 50000 0.1      -> canceled b1, rested
        sell    s1 carol market 0.1            -> trade b2 50000 0.1, done
        """
    )


def test_its_own_cancelled_order_is_no_self_trade() -> None:
    play("ask a1 alice 50000 0.1\nreplace a1 bid b1 alice 50000 0.1 -> canceled a1, rested")


def test_the_limit_of_open_orders_is_asked_after_the_cancel() -> None:
    play(
        """
        bid     b1 alice 50000 0.1
        replace b1 bid b2 alice 50000 0.2      -> canceled b1, rested
        replace-anyway b1 bid b3 alice 50000 0.1 -> cancel rejected unknown_order, rejected max_num_orders
        """,
        max_open_orders=1,
    )


def test_a_repeat_cancels_nothing() -> None:
    play(
        """
        bid     b1 alice 50000 0.1
        bid     b2 alice 49000 0.1 as x
        replace b1 bid b3 alice 49000 0.1 as x -> duplicate of b2
        replace b1 bid b4 alice 49000 0.2 as x -> rejected duplicate_client_id
        cancel  b1                             -> canceled b1
        """
    )


def test_a_limit_maker_that_would_match_is_found_out_after_the_cancel() -> None:
    play(
        """
        bid     b1 alice 50000 0.1
        ask     a1 bob 50010 0.1
        replace b1 bid b2 alice 50010 0.1 maker -> canceled b1, rejected would_match
        """
    )


@pytest.mark.parametrize("mode", list(ReplaceMode))
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"order_kind": 77}, Reason.MALFORMED),
        ({"quantity_lots": 0}, Reason.MALFORMED),
        ({"settings_version": 0}, Reason.STALE_SETTINGS),
        ({"price_ticks": 100_000_001}, Reason.PRICE_FILTER),
        ({"quantity_lots": 2 * 10**9}, Reason.LOT_SIZE),
        ({"price_ticks": 20_000_000}, Reason.PERCENT_PRICE),
    ],
)
def test_where_the_new_orders_own_checks_fail_nothing_happens(
    mode: ReplaceMode, change: dict[str, Any], reason: Reason
) -> None:
    table = Table(bid_up_bp=15_000)
    table.play("bid b1 alice 50000 0.1")
    before = table.state_but_seq()
    (event,) = table.run(command(table, mode=mode, order=change))
    assert isinstance(event, OrderRejected)
    assert Reason(event.reason) is reason
    assert table.state_but_seq() == before


@pytest.mark.parametrize("state", [MarketState.HALTED, MarketState.CANCEL_ONLY])
def test_a_market_that_takes_no_orders_keeps_the_old_one(state: MarketState) -> None:
    table = play("bid b1 alice 50000 0.1")
    table.answer(["state", state.name])
    (event,) = table.run(command(table))
    assert isinstance(event, OrderRejected)
    assert table.answer(["book"]) == "bids 50000 x 0.1"


@pytest.mark.parametrize(
    ("head", "order"),
    [
        ({"mode": 0}, {}),
        ({"mode": 3}, {}),
        ({"flags": 3}, {}),
        ({"order_id": 0}, {}),
        ({}, {"market_id": 2}),
        ({}, {"account_id": 1002}),
        ({"account_id": 1002}, {}),
    ],
)
def test_malformed(head: dict[str, Any], order: dict[str, Any]) -> None:
    table = play("bid b1 alice 50000 0.1\nbid b2 bob 50000 0.1")
    before = table.state_but_seq()
    (event,) = table.run(command(table, head=head, order=order))
    assert isinstance(event, CancelRejected)
    assert Reason(event.reason) is Reason.MALFORMED
    assert table.state_but_seq() == before


def test_frames_that_are_no_head_and_order() -> None:
    table = play("bid b1 alice 50000 0.1")
    before = table.state_but_seq()
    whole = command(table)
    tick = encode_command(Tick(market_id=MARKET, account_id=table.account("alice")))
    alone = bytearray(whole[:FRAME_SIZE])
    alone[2] = 1
    three = bytearray(whole + tick)
    three[2] = 3
    newer = bytearray(whole)
    newer[FRAME_SIZE] = 9
    for frames in (whole[:FRAME_SIZE] + tick, bytes(alone) + tick, bytes(three), bytes(newer)):
        event, *_ = table.run(bytes(frames))
        assert isinstance(event, CancelRejected)
        assert Reason(event.reason) is Reason.MALFORMED
    assert table.state_but_seq() == before


def test_the_cancels_own_id_is_told() -> None:
    table = play("bid b1 alice 50000 0.1")
    closed, *_ = table.run(command(table, head={"order_id": 0, "client_id": "b1", "cancel_client_id": "mine"}))
    assert isinstance(closed, OrderClosed)
    assert (closed.order_id, closed.cancel_client_id) == (table.orders["b1"], "mine")


def command(
    table: Table,
    *,
    mode: ReplaceMode = ReplaceMode.STOP_ON_FAILURE,
    head: dict[str, Any] | None = None,
    order: dict[str, Any] | None = None,
) -> bytes:
    """Replace b1 of alice by a bid at 49,000; with other fields in the head or the order."""
    alice = {"market_id": MARKET, "account_id": table.account("alice")}
    heads: dict[str, Any] = alice | {"order_id": table.orders["b1"], "mode": mode}
    orders: dict[str, Any] = alice | {
        "settings_version": table.settings.settings_version, "side": Side.BUY, "order_kind": OrderKind.LIMIT,
        "time_in_force": TimeInForce.GTC, "price_ticks": 4_900_000, "quantity_lots": 10_000,
    }  # fmt: skip
    return encode_replace(ReplaceOrder(**(heads | (head or {}))), PlaceOrder(**(orders | (order or {}))))


def test_a_restricted_cancel_replaces_an_order_of_that_status_only() -> None:
    play(
        """
        bid     b1 alice 50000 0.3
        replace b1 only partially_filled bid b2 alice 49000 0.1        -> cancel rejected cancel_restricted
        replace b1 only new bid b2 alice 50000 0.3                     -> canceled b1, rested
        sell    s1 carol market 0.1                                    -> trade b2 50000 0.1, done
        replace b2 only new bid b3 alice 49000 0.1                     -> cancel rejected cancel_restricted
        replace-anyway b2 only new bid b3 alice 49000 0.1              -> cancel rejected cancel_restricted, rested
        replace b2 only partially_filled bid b4 alice 48000 0.1        -> canceled b2, rested
        """
    )


def test_a_block_order_cannot_be_replaced_whatever_its_status() -> None:
    play(
        """
        allocation all alice equal alice
        block all bid b1 alice 50000 0.3
        replace b1 only partially_filled bid b2 alice 49000 0.1        -> cancel rejected block_unchangeable
        """
    )
