"""T7: a limit order outside the band is parked for review; staff releases or rejects it, or it ends by time."""

from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.streams.events import OrderParked, OrderReviewed, RelayRefused
from apps.streams.kinds import MarketState, Reason, Review
from tests.matching.engine.play import MARKET, START_MS, Table, in_state, play

PARKS = {"bid_up_bp": 11_000, "ask_down_bp": 9_000, "park_outside_band": True}


def parking(script: str, **settings: Any) -> Table:
    return play(script, **PARKS | settings)


def test_it_holds_its_funds_and_stands_in_no_book_until_it_is_released() -> None:
    table = parking(
        """
        ask  a1 bob   51000 0.1
        bid  b1 alice 60000 0.3       -> parked
        book                          -> asks 51000 x 0.1
        balance alice USDT            -> 982000 available, 18000 held
        buy  p1 carol market 0.04     -> trade a1 51000 0.04, done
        review b1 release             -> released, trade a1 51000 0.06, rests 0.24
        book                          -> bids 60000 x 0.24
        balance alice USDT            -> 982540 available, 14400 held
        sell s1 carol market 0.24     -> trade b1 60000 0.24, done
        """
    )
    assert table.orders == {"a1": 1, "b1": 2, "p1": 3, "s1": 4}


def test_released_it_may_fill_whole_and_its_client_id_goes_into_the_ring() -> None:
    parking(
        """
        ask  a1 bob   51000 0.5
        bid  b1 alice 60000 0.3 as x  -> parked
        bid  b2 alice 60000 0.3 as x  -> duplicate of b1
        bid  b2 alice 60000 0.4 as x  -> rejected duplicate_client_id
        review b1 release             -> released, trade a1 51000 0.3, done
        bid  b2 alice 60000 0.3 as x  -> duplicate of b1
        bid  b2 alice 60000 0.4 as x  -> parked
        """
    )


def test_it_stands_at_the_back_and_keeps_its_order_id() -> None:
    parking(
        """
        ask  a1 alice 45000 0.1       -> parked
        ask  a2 bob   45900 0.1       -> rested
        ask  a3 carol 45000 0.1       -> parked
        review a3 release             -> released, rests 0.1
        review a1 release             -> released, rests 0.1
        buy  p1 dave market 0.25      -> trade a3 45000 0.1, trade a1 45000 0.1, trade a2 45900 0.05, done
        """
    )


def test_an_iceberg_hides_its_reserve_when_it_rests() -> None:
    parking(
        """
        bid  b1 alice 60000 0.5 show 0.1  -> parked
        balance alice USDT                -> 970000 available, 30000 held
        review b1 release                 -> released, rests 0.5
        book                              -> bids 60000 x 0.1
        sell s1 bob market 0.15           -> trade b1 60000 0.1, refill b1 0.1, trade b1 60000 0.05, done
        """
    )


def test_staff_rejects_it_in_every_state() -> None:
    table = parking("bid b1 alice 60000 0.3")
    table.play(
        """
        state CANCEL_ONLY
        review b1 reject              -> rejected b1 by staff
        balance alice USDT            -> 1000000 available, 0 held
        """
    )
    assert list(table.engine.open_orders()) == []


@pytest.mark.parametrize("state", [MarketState.HALTED, MarketState.CANCEL_ONLY, MarketState.PRE_LAUNCH])
def test_a_state_that_takes_no_orders_refuses_the_release_and_it_stays_parked(state: MarketState) -> None:
    table = parking("bid b1 alice 60000 0.3")
    table.engine = in_state(table.engine, state)
    before = table.state_but_seq()
    assert table.ask("review b1 release").startswith("refused market_")
    assert table.state_but_seq() == before
    table.play("state OPEN\nreview b1 release -> released, rests 0.3")


def test_a_post_only_market_takes_what_would_not_match() -> None:
    parking(
        """
        ask  a1 bob   51000 0.1
        bid  b1 alice 60000 0.3       -> parked
        ask  a2 carol 45000 0.1       -> parked
        state POST_ONLY
        review b1 release             -> refused market_post_only
        review a2 release             -> released, rests 0.1
        """
    )


@pytest.mark.parametrize("state", list(MarketState))
def test_it_can_be_cancelled_in_every_state(state: MarketState) -> None:
    table = parking("bid b1 alice 60000 0.3")
    table.engine = in_state(table.engine, state)
    table.play("cancel b1 -> canceled b1\nbalance alice USDT -> 1000000 available, 0 held")


def test_every_other_way_to_cancel_finds_it() -> None:
    parking(
        """
        bid  b1 alice 60000 0.1
        bid  b2 alice 50000 0.1
        cancel-all alice              -> canceled b1, canceled b2, 2 canceled
        bid  b3 alice 60000 0.1
        cancel-after alice 5
        wait 5                        -> canceled b3 by timer, timer fired
        bid  b4 alice 60000 0.1
        replace b4 bid b5 alice 61000 0.1  -> canceled b4, parked
        replace b5 bid b6 alice 50000 0.1  -> canceled b5, rested
        bid  b7 alice 60000 0.1
        state CLOSED                  -> OPEN to CLOSED, canceled b6 by staff, canceled b7 by staff
        balance alice USDT            -> 1000000 available, 0 held
        """
    )


def test_it_ends_when_nobody_has_reviewed_it_in_time() -> None:
    parking(
        """
        bid  b1 alice 60000 0.3       -> parked
        wait 59
        wait 1                        -> expired b1 park_expired
        balance alice USDT            -> 1000000 available, 0 held
        """,
        park_expiry_s=60,
    )


def test_its_own_end_counts_while_it_is_parked_and_afterwards() -> None:
    parking(
        """
        bid  b1 alice 60000 0.3 gtd 30     -> parked
        bid  b2 alice 60000 0.3 gtd 90     -> parked
        bid  b3 alice 60000 0.3 gtd 50     -> parked
        review b3 release                  -> released, rests 0.3
        wait 30                            -> expired b1 expired_by_time
        wait 20                            -> expired b3 expired_by_time
        wait 9
        wait 1                             -> expired b2 park_expired
        """,
        park_expiry_s=60,
    )


def test_the_time_it_was_given_stays_when_the_setting_changes() -> None:
    parking(
        """
        bid  b1 alice 60000 0.3
        set  park_expiry_s 5 park_outside_band 0
        wait 59
        wait 1                        -> expired b1 park_expired
        """,
        park_expiry_s=60,
    )


def test_released_it_passes_every_other_check_again_or_ends_with_the_reason() -> None:
    parking(
        """
        bid  b1 alice 60000 0.3
        bid  b2 alice 60000 0.1
        bid  b3 alice 60000 0.1 show 0.01
        bid  b4 alice 60000 0.1 show 0.02
        set  min_lots 20000
        review b2 release             -> released, expired b2 lot_size
        set  min_lots 1001
        review b3 release             -> released, expired b3 lot_size
        set  max_open_orders 1
        bid  b5 alice 50000 0.1       -> rejected max_num_orders
        review b1 release             -> released, expired b1 max_num_orders
        review b4 release             -> released, rests 0.1
        balance alice USDT            -> 994000 available, 6000 held
        """
    )


@pytest.mark.parametrize(
    "order",
    [
        "bid b1 alice 60000 0.1 ioc",
        "bid b1 alice 60000 0.1 fok",
        "bid b1 alice 60000 0.1 maker",
        "ask b1 alice 45000 0.1 maker gtd 5",
    ],
)
def test_everything_else_outside_the_band_is_refused(order: str) -> None:
    table = Table(**PARKS)
    table.account("alice")
    before = table.state_but_seq()
    assert table.ask(order) == "rejected percent_price"
    assert table.state_but_seq() == before


@pytest.mark.parametrize(
    ("settings", "order", "reason"),
    [
        ({"min_lots": 20_000}, "bid b1 alice 60000 0.1", "lot_size"),
        ({"max_price_ticks": 5_900_000}, "bid b1 alice 60000 0.1", "price_filter"),
        ({}, "bid b1 alice 60000 17", "insufficient_balance"),
        ({"max_open_orders": 1}, "bid b1 alice 60000 0.1", "max_num_orders"),
        ({"max_iceberg_orders": 1}, "bid b1 alice 60000 0.1 show 0.1", "max_num_iceberg_orders"),
        ({}, "bid b1 alice 60000 0.1 show 0.0001", "iceberg_parts"),
        ({}, "bid b1 alice 60000 0.1 gtd 0", "expiry_passed"),
    ],
)
def test_it_is_parked_only_after_every_other_check(settings: dict[str, Any], order: str, reason: str) -> None:
    table = Table(**PARKS | settings)
    table.play("bid b0 alice 50000 0.5 show 0.25 -> rested")
    before = table.state_but_seq()
    words = order.split()
    if words[-2:] == ["gtd", "0"]:
        table.now_ms -= 1  # the next command comes exactly at the order's end
        fields = table._options("alice", ("gtd", "0")) | {"expires_ms": table.now_ms + 1}
        event = table.place("b1", "alice", side=0, order_kind=1, price_ticks=6_000_000, quantity_lots=10_000, **fields)
        assert table.words(event) == f"rejected {reason}"
    else:
        assert table.answer(words) == f"rejected {reason}"
    assert table.state_but_seq() == before


def test_a_parked_order_counts_as_an_open_one_and_as_an_iceberg() -> None:
    parking(
        """
        bid  b1 alice 60000 0.1
        bid  b2 alice 60000 0.1 show 0.05
        bid  b3 alice 50000 0.1       -> rejected max_num_orders
        bid  b3 bob   50000 0.1 show 0.1  -> rested
        bid  b4 bob   50000 0.1 show 0.1  -> rejected max_num_iceberg_orders
        bid  b5 bob   50000 0.1       -> rested
        cancel b2
        bid  b6 alice 50000 0.1 show 0.1  -> rested
        """,
        max_open_orders=2,
        max_iceberg_orders=1,
    )


def test_the_count_of_icebergs_follows_fills_ends_and_restarts() -> None:
    table = Table(max_iceberg_orders=1)
    table.play(
        """
        ask  a1 alice 50000 0.2 show 0.1  -> rested
        ask  a2 alice 50000 0.2 show 0.1  -> rejected max_num_iceberg_orders
        buy  p1 bob market 0.2            -> trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, done
        ask  a2 alice 50000 0.2 show 0.1  -> rested
        cancel a2
        bid  b1 bob 50000 0.05
        ask  a3 alice 50000 0.2 show 0.1  -> trade b1 50000 0.05, rests 0.15
        """
    )
    table.engine = Engine.restore(table.engine.snapshot())
    table.play("ask a4 alice 50000 0.2 show 0.1 -> rejected max_num_iceberg_orders")


def test_an_amendment_is_refused_while_it_waits() -> None:
    table = parking("bid b1 alice 60000 0.3")
    before = table.state_but_seq()
    assert table.ask("amend b1 0.2") == "amend rejected not_amendable"
    assert table.state_but_seq() == before
    table.play("review b1 release\namend b1 0.2 -> amended b1 0.2")


def test_its_family_cannot_change_and_units_stay() -> None:
    parking(
        """
        bid  b1 alice 60000 0.3
        family alice bob              -> refused account_has_orders
        """
    )
    table = parking("bid b1 alice 60000 0.3")
    table.engine._state.markets[MARKET].state = MarketState.CLOSED
    assert table.ask("set tick_size 100000000") == "refused market_in_use"


def test_self_trade_prevention_meets_it_only_when_it_is_released() -> None:
    parking(
        """
        bid  b1 alice 60000 0.3
        ask  a1 alice 51000 0.1       -> rested
        review b1 release             -> released, prevented a1 0.1, expired_in_match b1 self_trade
        balance alice USDT            -> 1000000 available, 0 held
        """
    )


def test_the_events_say_until_when_and_against_what() -> None:
    table = Table(**PARKS, park_expiry_s=60)
    accepted, parked = table.place(
        "b1", "alice", side=0, order_kind=1, time_in_force=1, price_ticks=6_000_000, quantity_lots=10_000
    )
    assert (accepted.flags, accepted.level_lots, accepted.held_units) == (0, 0, 6_000 * 10**8)
    assert isinstance(parked, OrderParked)
    assert (parked.order_id, parked.account_id, parked.side) == (accepted.order_id, accepted.account_id, 0)
    assert (parked.price_ticks, parked.reference_price_ticks) == (6_000_000, 5_100_000)
    assert parked.until_ms == table.now_ms + 60_000
    assert table.now_ms > START_MS
    (row,) = table.engine.open_orders()
    assert (row.waiting, row.priority, row.shown_lots) == (3, 0, 10_000)
    reviewed, closed = table.send(table.review("b1", Review.REJECT))
    assert isinstance(reviewed, OrderReviewed)
    assert (reviewed.order_id, reviewed.decision, reviewed.relay_seq, reviewed.source) == (1, 2, table.relay_seq, 1)
    assert (closed.flags, closed.level_lots, closed.held_units) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"decision": 0}, Reason.MALFORMED),
        ({"decision": 3}, Reason.MALFORMED),
        ({"flags": 1}, Reason.MALFORMED),
        ({"parts": 2}, Reason.MALFORMED),
        ({"market_id": 9}, Reason.UNKNOWN_MARKET),
        ({"order_id": 99}, Reason.UNKNOWN_ORDER),
        ({"account_id": 1002}, Reason.UNKNOWN_ORDER),
        ({"account_id": 999}, Reason.UNKNOWN_ORDER),
        ({"order_id": 2}, Reason.NOT_PARKED),
    ],
)
@pytest.mark.parametrize("decision", list(Review))
def test_refused_reviews_change_nothing(decision: Review, changes: dict[str, int], reason: Reason) -> None:
    table = parking("bid b1 alice 60000 0.3\nbid b2 alice 50000 0.3\nbid b3 bob 50000 0.3")
    before = table.state_but_seq()
    command = table.review("b1", **{"decision": int(decision)} | changes)
    (event,) = table.send(command)
    assert isinstance(event, RelayRefused)
    assert (Reason(event.reason), event.object_id, event.relay_seq) == (reason, command.order_id, table.relay_seq)
    assert table.state_but_seq() == before


def test_a_review_that_comes_twice_is_done_once() -> None:
    table = parking("bid b1 alice 60000 0.3")
    command = table.review("b1", Review.RELEASE)
    assert table.words(table.send(command)) == "released, rests 0.3"
    assert table.send(command) == []


def test_a_restored_engine_goes_on_with_its_park() -> None:
    table = parking("bid b1 alice 60000 0.3\nbid b2 alice 60000 0.3 gtd 30\nask a1 bob 70000 1", park_expiry_s=60)
    table.engine = Engine.restore(table.engine.snapshot())
    table.engine.validate()
    table.play(
        """
        wait 30                       -> expired b2 expired_by_time
        review b1 release             -> released, rests 0.3
        bid  b4 alice 70000 0.1       -> parked
        wait 60                       -> expired b4 park_expired
        """
    )
