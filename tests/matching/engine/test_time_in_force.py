"""T4: IOC, FOK and GTD; T3: LIMIT_MAKER."""

from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.matching.engine.timers import RUN_MAX
from apps.streams.codec import encode_command, stamp
from apps.streams.commands import PlaceOrder, Tick
from apps.streams.events import OrderClosed
from apps.streams.kinds import OrderKind, OrderStatus, Reason, Side, StpMode, TimeInForce
from tests.matching.engine.play import MARKET, Table, play

# -- IOC and FOK ------------------------------------------------------------------------------------------------------


def test_ioc_prints_what_it_can_and_never_rests() -> None:
    play(
        """
        ask  a1 alice 50000 0.1
        ask  a2 alice 50010 0.1
        bid  p1 carol 50000 0.3 ioc   -> trade a1 50000 0.1, expired no_liquidity
        book                          -> asks 50010 x 0.1
        balance carol USDT            -> 995000 available, 0 held
        bid  p2 carol 50000 0.3 ioc   -> expired no_liquidity
        ask  p3 carol 50020 0.3 ioc   -> expired no_liquidity
        bid  p4 carol 50010 0.1 ioc   -> trade a2 50010 0.1, done
        bid  p5 carol 50010 0.1 ioc   -> expired no_liquidity
        balance carol BTC             -> 100.2 available, 0 held
        """
    )


def test_fok_prints_whole_or_not_at_all() -> None:
    play(
        """
        ask  a1 alice 50000 0.1
        ask  a2 alice 50010 0.1
        bid  p1 carol 50009 0.11 fok  -> expired no_liquidity
        bid  p2 carol 50010 0.21 fok  -> expired no_liquidity
        book                          -> asks 50000 x 0.1 50010 x 0.1
        balance carol USDT            -> 1000000 available, 0 held
        bid  p3 carol 50010 0.2 fok   -> trade a1 50000 0.1, trade a2 50010 0.1, done
        bid  p4 carol 50010 0.2 fok   -> expired no_liquidity
        """
    )


def test_fok_counts_what_an_iceberg_hides() -> None:
    play(
        """
        ask  a1 alice 50000 0.3 show 0.1
        ask  a2 bob   50000 0.1
        bid  p1 carol 50000 0.41 fok  -> expired no_liquidity
        bid  p2 carol 50000 0.4 fok   -> trade a1 50000 0.1, refill a1 0.1, trade a2 50000 0.1, trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, done
        book                          -> empty
        """  # noqa: E501
    )


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        # 0.1 of a stranger, 0.1 of the family, 0.2 of a stranger
        ("expire_taker", "expired no_liquidity"),
        ("expire_both", "expired no_liquidity"),
        ("decrement", "expired no_liquidity"),
        (
            "expire_maker",
            "trade a1 50000 0.1, prevented a2 0.1, expired_in_match a2 self_trade, trade a3 50000 0.2, done",
        ),
    ],
)
def test_fok_counts_only_what_would_print(mode: str, answer: str) -> None:
    table = play("ask a1 alice 50000 0.1\nask a2 carol 50000 0.1\nask a3 bob 50000 0.2")
    before = table.answer(["book"])
    assert table.answer(["bid", "p1", "carol", "50000", "0.3", "fok", "stp", mode]) == answer
    if answer.startswith("expired no"):
        assert table.answer(["book"]) == before
        assert table.answer(["balance", "carol", "BTC"]) == "99.9 available, 0.1 held"
    table.engine.validate()


def test_a_fok_that_ends_before_its_own_order_prints_in_every_mode() -> None:
    for mode in StpMode:
        table = play("ask a1 alice 50000 0.1\nask a2 carol 50000 0.1")
        answer = table.answer(["bid", "p1", "carol", "50000", "0.1", "fok", "stp", mode.name.lower()])
        assert answer == "trade a1 50000 0.1, done"


def test_immediate_orders_do_not_count_against_open_orders() -> None:
    play(
        """
        bid  b1 alice 50000 0.1       -> rested
        bid  b2 alice 50000 0.1       -> rejected max_num_orders
        bid  b3 alice 50000 0.1 maker -> rejected max_num_orders
        bid  b4 alice 50000 0.1 ioc   -> expired no_liquidity
        bid  b5 alice 50000 0.1 fok   -> expired no_liquidity
        """,
        max_open_orders=1,
    )


def test_a_repeat_is_answered_with_the_order_that_has_expired() -> None:
    play(
        """
        bid  b1 alice 50000 0.1 ioc as x  -> expired no_liquidity
        bid  b2 alice 50000 0.1 ioc as x  -> duplicate of b1
        bid  b3 alice 50000 0.1 fok as x  -> expired no_liquidity
        bid  b4 alice 50000 0.1 as x      -> rested
        """
    )


# -- LIMIT_MAKER ------------------------------------------------------------------------------------------------------
def test_limit_maker_rests_or_is_refused() -> None:
    play(
        """
        ask  a1 alice 50000 0.1 maker -> rested
        bid  b1 carol 50000 0.1 maker -> rejected would_match
        bid  b2 alice 50000 0.1 maker -> rejected would_match
        balance carol USDT            -> 1000000 available, 0 held
        bid  b3 carol 49999.99 0.1 maker -> rested
        bid  b4 carol 49000 99 maker  -> rejected insufficient_balance
        bid  b5 carol 60000 99 maker  -> rejected insufficient_balance
        state POST_ONLY
        bid  b6 carol 50000 0.1 maker -> rejected would_match
        bid  b7 carol 50000 0.1       -> rejected market_post_only
        bid  b8 carol 49999 0.1 maker -> rested
        """
    )


def test_a_refused_limit_maker_changes_nothing() -> None:
    table = play("ask a1 alice 50000 0.1\nfund carol 10000 USDT")
    before = table.state_but_seq()
    assert table.ask("bid b1 carol 50000 0.1 maker gtd 5 show 0.1") == "rejected would_match"
    assert table.state_but_seq() == before


# -- GTD --------------------------------------------------------------------------------------------------------------
def test_gtd_ends_before_the_first_command_of_its_time() -> None:
    play(
        """
        ask  a1 alice 50000 0.1 gtd 5 -> rested
        ask  a2 bob   50000 0.1       -> rested
        wait 4                        -> nothing
        bid  p1 carol 50000 0.05      -> trade a1 50000 0.05, done
        wait 1                        -> expired a1 expired_by_time
        book                          -> asks 50000 x 0.1
        balance alice BTC             -> 99.95 available, 0 held
        bid  p2 carol 50000 0.1       -> trade a2 50000 0.1, done
        """
    )


def test_it_still_trades_one_millisecond_before() -> None:
    for early, answer in ((1, "trade a1 50000 0.1, done"), (0, "expired a1 expired_by_time, expired no_liquidity")):
        table = play("fund carol 9999 USDT\nask a1 alice 50000 0.1 gtd 5")
        due_ms = next(table.engine.open_orders()).expires_ms
        table.now_ms = due_ms - 1 - early
        assert table.answer(["bid", "p1", "carol", "50000", "0.1", "ioc"]) == answer
        table.engine.validate()


def test_orders_due_at_the_same_time_end_in_the_order_of_their_acceptance() -> None:
    table = Table()
    table.play("fund alice 9000000 USDT\nfund alice 100 BTC\nask x alice 51000 1\nbid y alice 100 0.1")
    start = table.now_ms
    for name, after_ms in (("late", 900), ("first", 500), ("second", 500), ("early", 400)):
        table.place(
            name, "alice", side=Side.BUY, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTD,
            price_ticks=5_000_000, quantity_lots=1_000, expires_ms=start + after_ms,
        )  # fmt: skip
    table.now_ms = start + 900
    assert table.answer(["cancel", "y"]) == (
        "expired early expired_by_time, expired first expired_by_time, expired second expired_by_time, "
        "expired late expired_by_time, canceled y"
    )


def test_what_rests_of_a_crossing_gtd_expires_and_a_filled_one_has_no_timer() -> None:
    table = play(
        """
        ask  a1 alice 50000 0.1
        bid  p1 carol 50000 0.3 gtd 5 -> trade a1 50000 0.1, rests 0.2
        ask  s1 bob   50000 0.1       -> trade p1 50000 0.1, done
        wait 6                        -> expired p1 expired_by_time
        ask  a2 alice 50000 0.1
        bid  p2 carol 50000 0.1 gtd 5 -> trade a2 50000 0.1, done
        bid  p3 carol 50000 0.1 gtd 5
        cancel p3                     -> canceled p3
        wait 6                        -> nothing
        """
    )
    assert table.engine._state.timers.heap == []


def test_timers_run_in_every_market_state() -> None:
    for state in ("POST_ONLY", "HALTED", "CANCEL_ONLY"):
        play(f"ask a1 alice 50000 0.1 gtd 5\nstate {state}\nwait 6 -> expired a1 expired_by_time")


def test_a_gtd_order_must_end_after_now_but_its_repeat_is_answered() -> None:
    table = Table()
    table.account("alice")
    order: dict[str, Any] = {
        "side": Side.BUY, "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTD, "price_ticks": 5_000_000,
        "quantity_lots": 1_000, "client_id": "x",
    }  # fmt: skip
    before = table.state_but_seq()
    (refused,) = table.place("n", "alice", **order, expires_ms=table.now_ms + 1)
    assert Reason(refused.reason) is Reason.EXPIRY_PASSED
    assert table.state_but_seq() == before
    expires_ms = table.now_ms + 2
    table.place("n", "alice", **order, expires_ms=expires_ms)
    closed, duplicate = table.place("n", "alice", **order, expires_ms=expires_ms)
    assert (closed.status, closed.reason) == (OrderStatus.EXPIRED, Reason.EXPIRED_BY_TIME)
    assert duplicate.order_id == table.orders["n"]


# -- more timers than run before one command --------------------------------------------------------------------------
def crowded(count: int, **settings: Any) -> Table:
    """`count` asks of alice at 50,000 that all end at the same time, and one of bob behind them that does not."""
    table = Table(**settings)
    table.play("fund carol 1000000 USDT")
    alice, _ = table.account("alice"), table.account("bob")
    expires_ms = table.now_ms + 50
    frames = bytearray()
    for number in range(count):
        frames += encode_command(
            PlaceOrder(
                market_id=MARKET, account_id=alice, settings_version=1, side=Side.SELL, order_kind=OrderKind.LIMIT,
                time_in_force=TimeInForce.GTD, price_ticks=5_000_000, quantity_lots=1, expires_ms=expires_ms,
                client_id=f"t{number}",
            )
        )  # fmt: skip
    table.run(bytes(frames))
    table.play("ask b1 bob 50000 0.1")
    table.now_ms = expires_ms - 1  # the next command has that very millisecond
    return table


def test_at_most_a_thousand_timers_run_before_one_command() -> None:
    table = crowded(RUN_MAX + 5)
    events = table.send(Tick())
    assert len(events) == RUN_MAX
    assert all(isinstance(event, OrderClosed) for event in events)
    table.engine.validate()
    assert len(table.send(Tick())) == 5
    assert table.send(Tick()) == []


def test_a_taker_that_meets_an_expired_order_goes_past_it() -> None:
    table = crowded(RUN_MAX + 2)
    events = table.place(
        "p1", "carol", side=Side.BUY, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.FOK,
        price_ticks=5_000_000, quantity_lots=10_000,
    )  # fmt: skip
    ours = events[RUN_MAX:]
    assert table.words(ours) == (
        "expired #1001 expired_by_time, expired #1002 expired_by_time, trade b1 50000 0.1, done"
    )
    table.engine.validate()
    assert table.send(Tick()) == []


def test_an_expired_order_of_the_family_is_not_met_in_a_call() -> None:
    table = crowded(RUN_MAX + 2, call_s=60)
    table.now_ms -= 1
    table.answer(["state", "AUCTION"])
    events = table.place(
        "p1", "alice", side=Side.BUY, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
        price_ticks=5_000_000, quantity_lots=10_000,
    )  # fmt: skip
    assert table.words(events[RUN_MAX:]).startswith("rests 0.1")


def test_expired_orders_do_not_count_for_limit_maker_or_post_only() -> None:
    for state in ("OPEN", "POST_ONLY"):
        table = crowded(2 * RUN_MAX + 2)
        table.play("cancel b1")
        table.answer(["state", state])
        events = table.place(
            "p1", "carol", side=Side.BUY, order_kind=OrderKind.LIMIT_MAKER, time_in_force=TimeInForce.GTC,
            price_ticks=5_000_000, quantity_lots=10_000,
        )  # fmt: skip
        assert "rests 0.1" in table.words(events) or "rested" in table.words(events)
        table.engine.validate()


def test_placing_and_cancelling_without_end_keeps_no_timers() -> None:
    table = Table()
    for number in range(500):
        table.answer(["bid", f"b{number}", "alice", "50000", "0.1", "gtd", "100000"])
        table.answer(["cancel", f"b{number}"])
        table.engine.validate()
    assert len(table.engine._state.timers.heap) <= 70
    assert Engine.restore(table.engine.snapshot()).state_hash() == table.engine.state_hash()


def test_a_skipped_command_lets_timers_wait_for_the_next_one() -> None:
    table = play("ask a1 alice 50000 0.1 gtd 5")
    table.now_ms += 10_000
    frames = bytearray(encode_command(Tick()))
    stamp(frames, table.now_ms, 0)
    assert len(table.engine.skip(bytes(frames), Reason.INTERNAL)) == 192
    assert table.answer(["tick"]) == "expired a1 expired_by_time"
