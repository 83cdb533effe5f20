"""Stop-loss and take-profit orders: when they trigger, what they hold, and the FIFO of what a print triggers (T5)."""

from typing import Any

import pytest

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine import Engine
from apps.matching.engine.triggered import run_triggered
from apps.matching.engine.triggers import evaluate
from apps.streams.codec import decode_events
from apps.streams.commands import CancelOrder
from apps.streams.events import OrderAccepted, OrderTriggered
from apps.streams.kinds import EventKind, MarketState, OrderKind, OrderStatus, Side, TimeInForce, Waiting
from tests.matching.engine.play import MARKET, Table, lots, play, ticks

# The last price is 50000; both sides have depth.
BOOK = """
    ask a0 dave 50000 0.1
    buy p0 erin market 0.1
    bid d1 dave 49500 1
    bid d2 dave 49000 1
    bid d3 dave 48000 9
    ask d4 dave 50500 1
    ask d5 dave 51000 1
    ask d6 dave 52000 9
"""


@pytest.mark.parametrize(
    ("order", "touch", "hit"),
    [
        ("sell s1 alice market 0.1 stop 49500", "ask e1 erin 49500.01 0.1", "sell q erin market 0.1"),
        ("ask s1 alice 49000 0.1 stop 49500", "ask e1 erin 49500.01 0.1", "sell q erin market 0.1"),
        ("buy s1 alice market 0.1 profit 49500", "ask e1 erin 49500.01 0.1", "sell q erin market 0.1"),
        ("bid s1 alice 49900 0.1 profit 49500", "ask e1 erin 49500.01 0.1", "sell q erin market 0.1"),
        ("buy s1 alice market 0.1 stop 50500", "bid e1 erin 50499.99 0.1", "buy q erin market 0.1"),
        ("bid s1 alice 51000 0.1 stop 50500", "bid e1 erin 50499.99 0.1", "buy q erin market 0.1"),
        ("sell s1 alice market 0.1 profit 50500", "bid e1 erin 50499.99 0.1", "buy q erin market 0.1"),
        ("ask s1 alice 50500 0.1 profit 50500", "bid e1 erin 50499.99 0.1", "buy q erin market 0.1"),
    ],
)
def test_it_triggers_at_its_stop_price_and_not_one_tick_before(order: str, touch: str, hit: str) -> None:
    table = play(BOOK)
    assert table.ask(order) == "waits"
    table.ask(touch)
    meeting = touch.replace("e1 erin", "e2 carol")
    meeting = meeting.replace("ask", "bid", 1) if touch.startswith("ask") else meeting.replace("bid", "ask", 1)
    assert "triggered" not in table.ask(meeting)
    assert table.ask("last") in ("49500.01", "50499.99")
    assert "triggered s1" in table.ask(hit)
    table.engine.validate()


@pytest.mark.parametrize(
    "order",
    [
        "sell s1 alice market 0.1 stop 50000",
        "ask s1 alice 49000 0.1 stop 50001",
        "buy s1 alice market 0.1 profit 50000",
        "bid s1 alice 49000 0.1 profit 50001",
        "buy s1 alice market 0.1 stop 50000",
        "bid s1 alice 51000 0.1 stop 49999",
        "sell s1 alice market 0.1 profit 50000",
        "ask s1 alice 51000 0.1 profit 49999",
    ],
)
def test_one_that_would_trigger_at_once_is_refused_and_changes_nothing(order: str) -> None:
    table = play(BOOK)
    table.account("alice")
    before = table.state_but_seq()
    assert table.ask(order) == "rejected would_trigger"
    assert table.state_but_seq() == before


def test_before_the_first_trade_the_initial_price_stands_for_the_last() -> None:
    play(
        """
        sell s1 alice market 0.1 stop 50000    -> rejected would_trigger
        sell s2 alice market 0.1 stop 49999    -> waits
        """,
        initial_price_ticks=ticks("50000"),
    )


def test_what_it_holds() -> None:
    play(
        """
        ask  a0 dave 50000 0.1
        buy  p0 erin market 0.1
        set  conditional_buffer_bp 500
        ask  s1 alice 48000 0.3 stop 49000     -> waits
        sell s2 alice market 0.2 stop 49000    -> waits
        balance alice BTC                      -> 99.5 available, 0.5 held
        bid  s3 alice 52000 0.1 stop 51000     -> waits
        balance alice USDT                     -> 994800 available, 5200 held
        buy  s4 alice market 0.1 stop 51000    -> waits
        balance alice USDT                     -> 989445 available, 10555 held
        buy  s5 alice market 0.1 profit 40000  -> waits
        balance alice USDT                     -> 985245 available, 14755 held
        cancel s4                              -> canceled s4
        cancel-all alice                       -> canceled s1, canceled s2, canceled s3, canceled s5, 4 canceled
        balance alice USDT                     -> 1000000 available, 0 held
        balance alice BTC                      -> 100 available, 0 held
        """
    )


def test_the_hold_of_a_market_buy_is_rounded_up() -> None:
    table = play(BOOK)
    table.set_market(conditional_buffer_bp=1)
    table.ask("buy s1 alice market 0.00001 stop 50000.01")
    # 0.5000001 USDT x 1.0001 = 0.50005010001 USDT
    assert table.balance("alice", "USDT")[1] == 50_005_011


def test_a_market_buy_prints_only_what_its_hold_affords() -> None:
    """0.2 at 51000 and 10 % hold 11220: 0.1 at 51000 leave 6120, which buy 0.10 at 60000 and then no lot."""
    play(
        """
        ask  a0 dave 50000 0.1
        buy  p0 erin market 0.1
        set  conditional_buffer_bp 1000
        buy  s1 alice market 0.2 stop 51000    -> waits
        balance alice USDT                     -> 988780 available, 11220 held
        ask  a1 dave 51000 0.2
        ask  a2 dave 61200 0.05
        ask  a3 dave 62000 5
        buy  p1 erin market 0.1 -> trade a1 51000 0.1, done, triggered s1, trade a1 51000 0.1 by s1, \
            trade a2 61200 0.05 by s1, trade a3 62000 0.04935 by s1, expired s1 hold_spent
        balance alice USDT                     -> 988780.3 available, 0 held
        balance alice BTC                      -> 100.19935 available, 0 held
        """
    )


def test_a_market_buy_that_fills_gives_the_rest_of_its_hold_back_with_the_last_print() -> None:
    table = play(BOOK)
    table.set_market(conditional_buffer_bp=2_000)
    table.play(
        """
        buy s1 alice market 0.2 stop 50500     -> waits
        buy q  erin market 0.1 -> trade d4 50500 0.1, done, triggered s1, trade d4 50500 0.2 by s1, done s1
        balance alice USDT                     -> 989900 available, 0 held
        """
    )


def test_it_does_so_too_where_the_maker_is_a_block_order() -> None:
    table = Table(conditional_buffer_bp=2_000)
    table.play(
        """
        family s1..s2 head
        allocation even head equal s1..s2
        ask a0 dave 50000 0.1
        buy p0 erin market 0.1
        buy w1 alice market 0.2 stop 50500     -> waits
        ask d4 dave 50500 0.1
        block even ask k1 head 50500 1
        """
    )
    table.ask("buy q erin market 0.1")
    assert table.ask("balance alice USDT") == "989900 available, 0 held"
    table.engine.validate()


def test_a_market_buy_on_an_empty_book_expires_and_a_sell_gives_its_rest_back() -> None:
    play(
        """
        ask  a0 dave 50000 0.1
        buy  p0 erin market 0.1
        buy  s1 alice market 0.2 stop 50500
        ask  a1 dave 50500 0.1
        buy  q erin market 0.1                 -> trade a1 50500 0.1, done, triggered s1, expired s1 no_liquidity
        sell s2 alice market 0.5 stop 50000
        bid  b1 dave 50000 0.3
        sell q2 erin market 0.1 -> trade b1 50000 0.1, done, triggered s2, trade b1 50000 0.2 by s2, \
            expired s2 no_liquidity
        balance alice BTC                      -> 99.8 available, 0 held
        balance alice USDT                     -> 1010000 available, 0 held
        """
    )


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("expire_taker", "triggered s1, prevented c1 0.1, expired_in_match s1 self_trade"),
        (
            "decrement",
            "triggered s1, prevented c1 0.1, expired_in_match c1 self_trade, trade d4 50500 0.1 by s1, done s1",
        ),
        (
            "expire_maker",
            "triggered s1, prevented c1 0.1, expired_in_match c1 self_trade, trade d4 50500 0.2 by s1, done s1",
        ),
    ],
)
def test_self_trade_prevention_of_a_triggered_market_buy(mode: str, answer: str) -> None:
    table = play(
        f"""
        set  conditional_buffer_bp 100
        ask  a0 dave 50000 0.1
        buy  p0 erin market 0.1
        ask  a1 dave 50400 0.1
        ask  c1 alice 50400 0.1
        ask  d4 dave 50500 5
        buy  s1 alice market 0.2 stop 50400 stp {mode}
        """
    )
    assert table.ask("buy q erin market 0.1") == f"trade a1 50400 0.1, done, {answer}"
    table.engine.validate()
    assert table.balance("alice", "USDT")[1] == 0


def test_decrement_of_a_triggered_market_buy_releases_from_its_hold_and_may_end_it() -> None:
    play(
        """
        ask  a0 dave 50000 0.1
        buy  p0 erin market 0.1
        ask  a1 dave 50400 0.1
        ask  c1 alice 50400 0.5
        buy  s1 alice market 0.2 stop 50400 stp decrement
        buy  q erin market 0.1 -> trade a1 50400 0.1, done, triggered s1, prevented c1 0.2, \
            expired_in_match s1 self_trade
        balance alice USDT      -> 1000000 available, 0 held
        balance alice BTC       -> 99.7 available, 0.3 held
        """
    )


def test_a_limit_form_rests_with_its_time_in_force_and_its_display() -> None:
    table = play(BOOK)
    table.play(
        """
        ask  s1 alice 49600 1 stop 49500 show 0.2 gtd 60   -> waits
        ask  s2 alice 49500 2.5 stop 49500 ioc             -> waits
        ask  s3 alice 49500 0.5 stop 49500 fok             -> waits
        sell q carol market 0.5 -> trade d1 49500 0.5, done, triggered s1, triggered s2, triggered s3, \
            rests s1 1, trade d1 49500 0.5 by s2, expired s2 no_liquidity, expired s3 no_liquidity
        book -> bids 49000 x 1 48000 x 9, asks 49600 x 0.2 50500 x 1 51000 x 1 52000 x 9
        wait 60                                            -> expired s1 expired_by_time
        balance alice BTC                                  -> 99.5 available, 0 held
        """
    )


def test_it_is_an_open_order_in_every_way() -> None:
    table = play(BOOK)
    table.play(
        """
        sell s1 alice market 0.1 stop 49000 as x  -> waits
        sell s9 alice market 0.1 stop 49000 as x  -> duplicate of s1
        sell s2 alice market 0.2 stop 49000 as x  -> rejected duplicate_client_id
        ask  s3 alice 49000 0.1 stop 49000 gtd 5  -> waits
        book -> bids 49500 x 1 49000 x 1 48000 x 9, asks 50500 x 1 51000 x 1 52000 x 9
        amend s1 0.05                             -> amend rejected not_amendable
        wait 5                                    -> expired s3 expired_by_time
        cancel-after alice 5
        wait 5                                    -> canceled s1 by timer, timer fired
        sell s4 alice market 0.1 stop 49000       -> waits
        replace s4 ask s5 alice 48000 0.1 stop 48500 -> canceled s4, waits
        state HALTED
        cancel s5                                 -> canceled s5
        state OPEN
        sell s6 alice market 0.1 stop 49000       -> waits
        family alice bob                          -> refused account_has_orders
        state CLOSED
        """
    )
    assert list(table.engine.open_orders()) == []


def test_a_client_id_found_by_itself_cancels_it() -> None:
    table = play(BOOK + "\nsell s1 alice market 0.1 stop 49000 as mine")
    (event,) = table.send(CancelOrder(account_id=table.accounts["alice"], client_id="mine"))
    assert (event.KIND, event.status, event.flags) == (EventKind.ORDER_CLOSED, OrderStatus.CANCELED, 0)


def test_tick_and_lot_stay_while_one_waits() -> None:
    table = play("sell s1 alice market 0.1 stop 49000\nstate HALTED")
    assert table.ask("set tick_size 10000000") == "refused market_in_use"


@pytest.mark.parametrize("state", ["POST_ONLY", "HALTED", "CANCEL_ONLY", "CLOSED"])
def test_only_an_open_market_takes_one(state: str) -> None:
    table = play(BOOK)
    table.ask(f"state {state}")
    refusal = {"POST_ONLY": "market_post_only"}.get(state, f"market_{state.lower()}")
    assert table.ask("ask s1 alice 49000 0.1 stop 49500") == f"rejected {refusal}"


# -- The FIFO ---------------------------------------------------------------------------------------------------------
def triggered_order(table: Table, line: str) -> list[str]:
    return [word.split()[1] for word in table.ask(line).split(", ") if word.startswith("triggered")]


def test_on_a_fall_the_highest_stop_goes_first_and_ties_by_creation() -> None:
    table = play(
        BOOK
        + """
        sell s1 alice market 0.1 stop 49100
        sell s2 bob   market 0.1 stop 49300
        buy  s3 carol market 0.1 profit 49200
        sell s4 frank market 0.1 stop 49300
        sell s5 alice market 0.1 stop 49000
        sell s6 alice market 0.1 stop 48900
        """
    )
    table.ask("cancel d1")
    assert triggered_order(table, "sell q erin market 0.1") == ["s2", "s4", "s3", "s1", "s5"]


def test_on_a_rise_the_lowest_stop_goes_first() -> None:
    table = play(
        BOOK
        + """
        buy  s1 alice market 0.1 stop 50900
        buy  s2 bob   market 0.1 stop 50700
        sell s3 carol market 0.1 profit 50800
        buy  s4 frank market 0.1 stop 50700
        """
    )
    table.ask("cancel d4")
    assert triggered_order(table, "buy q erin market 0.1") == ["s2", "s4", "s3", "s1"]


def test_every_print_is_evaluated_and_not_only_the_last_price_of_a_command() -> None:
    """The sweep falls to 49000, where the take-profit buy triggers, before the command is over."""
    table = play(BOOK)
    table.play(
        """
        sell s1 alice market 0.1 stop 49500
        sell s2 bob   market 0.1 stop 49000
        sell q erin market 1.5 -> trade d1 49500 1, triggered s1, trade d2 49000 0.5, done, triggered s2, \
            trade d2 49000 0.1 by s1, done s1, trade d2 49000 0.1 by s2, done s2
        """
    )


def test_what_a_triggered_order_triggers_joins_the_back() -> None:
    table = play(BOOK)
    table.play(
        """
        sell s1 alice market 1.5 stop 49500
        sell s2 bob   market 0.1 stop 49000
        sell s3 carol market 0.1 stop 49500
        sell q erin market 0.1 -> trade d1 49500 0.1, done, triggered s1, triggered s3, \
            trade d1 49500 0.9 by s1, trade d2 49000 0.6 by s1, done s1, triggered s2, trade d2 49000 0.1 by s3, \
            done s3, trade d2 49000 0.1 by s2, done s2
        """
    )


def test_the_incoming_order_rests_before_the_triggered_ones_run() -> None:
    table = play(BOOK)
    table.play(
        """
        buy s1 alice market 0.2 profit 49500
        ask q erin 49500 1.2  -> trade d1 49500 1, triggered s1, rests 0.2, trade q 49500 0.2 by s1, done s1
        """
    )


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_ten_thousand_stops_triggered_by_one_print(side: Side) -> None:
    """A cascade: each stop's print triggers the next one, and then ten thousand at once. Nothing recurses."""
    count = 5_000
    table = Table(initial_price_ticks=1_000_000, conditional_buffer_bp=100)
    sign = 1 if side == Side.BUY else -1
    opposite = Side.SELL if side == Side.BUY else Side.BUY
    table.fund("dave", "1000000", "USDT")
    table.fund("dave", "100", "BTC")
    for step in range(count + 1):
        table.place(
            f"m{step}", "dave", side=opposite, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
            price_ticks=1_000_000 + sign * (step + 1), quantity_lots=2 if step == count else 1,
        )  # fmt: skip
    table.place(
        "end", "dave", side=opposite, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
        price_ticks=1_000_000 + sign * (count + 2), quantity_lots=count - 1,
    )  # fmt: skip
    for step in range(count):
        for who, at in (("alice", step + 1), ("bob", 1)):
            table.place(
                f"{who}{step}", who, side=side, order_kind=OrderKind.STOP_LOSS, quantity_lots=1,
                stop_price_ticks=1_000_000 + sign * at,
            )  # fmt: skip
    events = table.place("q", "erin", side=side, order_kind=OrderKind.MARKET, quantity_lots=1)
    kinds = [event.KIND for event in events]
    assert kinds.count(EventKind.ORDER_TRIGGERED) == 2 * count
    # Bob's and alice's first at once; each of alice's others by the print of the one before.
    assert kinds[2 : 2 + count + 1] == [EventKind.ORDER_TRIGGERED] * (count + 1)
    assert list(table.engine.open_orders()) == []
    table.engine.validate()


def halted_with_a_queue() -> Table:
    """A breaker halts in the middle of a sweep; here the halt is put into the state by hand."""
    table = play(
        BOOK
        + """
        ask  s1 alice 49500 0.1 stop 49800
        sell s2 bob   market 0.1 stop 49900
        ask  s3 carol 49500 0.1 stop 49800 gtd 60
        sell s4 frank market 0.1 stop 49800
        """
    )
    state = table.engine._state
    market = state.markets[MARKET]
    market.state = int(MarketState.HALTED)
    market.last_price_ticks = ticks("49800")
    state.journal.begin()
    evaluate(state, market, ticks("49800"))
    evaluate(state, market, ticks("49800"))
    events = decode_events(b"".join(state.journal.records))
    assert [table._name(event.order_id) for event in events] == ["s2", "s1", "s3", "s4"]
    assert (events[0].stop_price_ticks, events[0].last_price_ticks) == (ticks("49900"), ticks("49800"))
    run_triggered(state, market)
    state.journal.begin()
    table.words(events)  # the table notes which are triggered
    table.engine.validate()
    assert {row.waiting for row in table.engine.open_orders() if row.stop_price_ticks} == {Waiting.TRIGGERED}
    assert market.seats[table.accounts["alice"]].conditional_orders == 0
    table.engine = Engine.restore(table.engine.snapshot())
    return table


def test_in_a_market_that_is_not_open_the_fifo_stands_still_and_empties_when_it_opens() -> None:
    halted_with_a_queue().play(
        """
        cancel s4         -> canceled s4
        state POST_ONLY   -> HALTED to POST_ONLY
        state CANCEL_ONLY -> POST_ONLY to CANCEL_ONLY
        amend s1 0.05     -> amend rejected market_cancel_only
        wait 60           -> expired s3 expired_by_time
        state OPEN        -> CANCEL_ONLY to OPEN, trade d1 49500 0.1 by s2, done s2, trade d1 49500 0.1 by s1, done s1
        """
    )


def test_closing_cancels_the_queue_too() -> None:
    table = halted_with_a_queue()
    answer = table.ask("state CLOSED")
    assert [part.split()[1] for part in answer.split(", ") if part.startswith("canceled s")] == ["s1", "s2", "s3", "s4"]
    assert list(table.engine._state.markets[MARKET].triggered) == []
    table.engine.validate()


def test_a_breaker_that_trips_in_the_sweep_keeps_what_earlier_prints_triggered_until_the_market_opens() -> None:
    """1 % from 50000: 49500 prints and triggers three stops, 49000 does not. The timer of the halt opens the market."""
    table = play("breakers 1:price:100:60:120" + BOOK)
    table.play(
        """
        ask  s1 alice 49600 0.1 stop 49500
        sell s2 bob   market 0.1 stop 49500
        ask  s3 carol 49400 0.3 stop 49500 ioc
        sell q  erin  market 1.5  -> trade d1 49500 1, triggered s1, triggered s2, triggered s3, expired breaker, \
            OPEN to HALTED by breaker 1 for 120 s
        cancel s3                 -> canceled s3
        bid  e1 dave 49400 0.5    -> rejected market_halted
        wait 119                  -> nothing
        wait 1                    -> HALTED to OPEN, rests s1 0.1, expired s2 breaker, \
            OPEN to HALTED by breaker 1 for 180 s
        balance bob BTC           -> 100 available, 0 held
        """
    )


def test_a_triggered_market_buy_that_trips_a_breaker_ends_and_the_rest_of_the_queue_waits() -> None:
    table = play("breakers 1:price:100:60:120" + BOOK)
    table.play(
        """
        buy  s1 alice market 1.5 stop 50500
        buy  s2 bob   market 0.1 stop 50500
        buy  q  erin  market 0.5  -> trade d4 50500 0.5, done, triggered s1, triggered s2, trade d4 50500 0.5 by s1, \
            expired s1 breaker, OPEN to HALTED by breaker 1 for 120 s
        balance alice USDT        -> 974750 available, 0 held
        balance bob USDT          -> 994950 available, 5050 held
        """
    )
    assert [row.waiting for row in table.engine.open_orders() if row.waiting] == [Waiting.TRIGGERED]


def test_a_queue_at_which_the_engine_fails_can_be_cancelled_order_by_order() -> None:
    """The command that opens the market would run it; skipped three times it stops the market, with its queue."""
    halted_with_a_queue().play(
        """
        skip state OPEN -> skipped internal
        skip state OPEN -> skipped internal
        skip state OPEN -> skipped internal, HALTED to CANCEL_ONLY
        cancel s2       -> canceled s2
        cancel s3       -> canceled s3
        cancel s4       -> canceled s4
        state OPEN      -> CANCEL_ONLY to OPEN, trade d1 49500 0.1 by s1, done s1
        """
    )


def test_a_skipped_command_triggers_nothing_and_its_repeat_does() -> None:
    table = play(BOOK + "sell s1 alice market 0.1 stop 49500\nbuy s2 bob market 0.00001 stop 60000")
    table.account("erin")
    table.play(
        """
        skip sell q erin market 0.1  -> skipped internal
        last                         -> 50000
        sell q erin market 0.1       -> trade d1 49500 0.1, done, triggered s1, trade d1 49500 0.1 by s1, done s1
        """
    )


# -- Checked again ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("order", "change", "reason"),
    [
        ("ask s1 alice 48000 0.1 stop 49500", "set ask_down_bp 9900", "percent_price"),
        ("bid s1 alice 49000 0.1 profit 49500", "set bid_down_bp 9999", "percent_price"),
        ("ask s1 alice 48000 0.1 stop 49500", "set min_lots 20000", "lot_size"),
        ("ask s1 alice 48000 0.1 stop 49500", "set min_price_ticks 4900000", "price_filter"),
        ("ask s1 alice 48000 1 show 0.1 stop 49500", "set min_lots 20000", "lot_size"),
        ("sell s1 alice market 0.1 stop 49500", "set market_max_lots 9999", "market_lot_size"),
        ("buy s1 alice market 0.1 profit 49500", "set min_notional_units 600000000000", "notional"),
    ],
)
def test_a_triggered_order_that_is_refused_ends_expired_with_the_reason(order: str, change: str, reason: str) -> None:
    table = play(BOOK)
    assert table.ask(order) == "waits"
    assert table.ask(change) == "applied"
    answer = table.ask("ask q erin 49500 0.2")
    assert answer.endswith(f"triggered s1, expired s1 {reason}")
    assert table.balance("alice", "USDT")[1] == table.balance("alice", "BTC")[1] == 0
    table.engine.validate()


def test_the_band_is_not_asked_at_entry() -> None:
    table = play(BOOK)
    table.set_market(ask_down_bp=9_900)
    table.play("ask s0 alice 40000 0.1 -> rejected percent_price\nask s1 alice 40000 0.1 stop 49500 -> waits")


def test_one_whose_time_is_over_expires_at_its_turn_however_many_timers_are_due() -> None:
    """A thousand timers run before a command; this one's is the next."""
    table = play(BOOK)
    end_ms = table.now_ms + 60_000
    for number in range(1_000):
        table.place(
            f"g{number}", "dave", side=0, order_kind=1, time_in_force=4, price_ticks=1, quantity_lots=1,
            expires_ms=end_ms,
        )  # fmt: skip
    table.place(
        "s1", "alice", side=1, order_kind=5, time_in_force=4, price_ticks=ticks("49500"), quantity_lots=lots("0.1"),
        stop_price_ticks=ticks("49500"), expires_ms=end_ms,
    )  # fmt: skip
    table.ask("sell s2 bob market 0.1 stop 49500")
    table.now_ms = end_ms
    answer = table.ask("sell q erin market 0.1").split(", ")
    assert [word for word in answer if "expired g" not in word] == [
        "trade d1 49500 0.1", "done", "triggered s1", "triggered s2", "expired s1 expired_by_time",
        "trade d1 49500 0.1 by s2", "done s2",
    ]  # fmt: skip
    table.engine.validate()


# -- Refusals ---------------------------------------------------------------------------------------------------------
STOP: dict[str, Any] = {"side": 1, "order_kind": 4, "quantity_lots": 1_000, "stop_price_ticks": 4_900_000}
STOP_LIMIT: dict[str, Any] = STOP | {"order_kind": 5, "time_in_force": 1, "price_ticks": 4_900_000}


@pytest.mark.parametrize(
    "fields",
    [
        STOP | {"stop_price_ticks": 0},
        STOP | {"stop_price_ticks": -1},
        STOP | {"stop_price_ticks": -5, "trailing_bips": 100},
        STOP | {"quantity_lots": 0},
        STOP | {"quantity_lots": -1},
        STOP | {"budget_units": 10**9},
        STOP | {"quantity_lots": 0, "budget_units": 10**9},
        STOP | {"price_ticks": 4_900_000},
        STOP | {"time_in_force": 1},
        STOP | {"display_lots": 10},
        STOP | {"expires_ms": 2 * 10**12},
        STOP_LIMIT | {"price_ticks": 0},
        STOP_LIMIT | {"stop_price_ticks": 0},
        STOP_LIMIT | {"time_in_force": 0},
        STOP_LIMIT | {"time_in_force": 4},
        STOP_LIMIT | {"time_in_force": 2, "display_lots": 100},
        STOP_LIMIT | {"display_lots": 1_001},
        STOP_LIMIT | {"expires_ms": 2 * 10**12},
        STOP_LIMIT | {"budget_units": 1},
        STOP_LIMIT | {"order_kind": 1},
        STOP_LIMIT | {"order_kind": 3},
        STOP_LIMIT | {"order_kind": 1, "stop_price_ticks": 0, "trailing_bips": 100},
        STOP | {"order_kind": 2},
        STOP | {"order_kind": 8},
    ],
)
def test_malformed(fields: dict[str, Any]) -> None:
    table = play(BOOK)
    table.account("alice")
    before = table.state_but_seq()
    assert table.words(table.place("s1", "alice", **fields)) == "rejected malformed"
    assert table.state_but_seq() == before


@pytest.mark.parametrize(
    ("change", "order", "reason"),
    [
        ("max_price_ticks 6000000", "buy s1 alice market 0.1 stop 60000.01", "price_filter"),
        ("min_price_ticks 4900000", "sell s1 alice market 0.1 stop 48999.99", "price_filter"),
        ("min_price_ticks 4900000", "ask s1 alice 48000 0.1 stop 49100", "price_filter"),
        ("min_lots 2000", "sell s1 alice market 0.01 stop 49000", "lot_size"),
        ("market_max_lots 2000", "sell s1 alice market 0.1 stop 49000", "market_lot_size"),
        ("min_notional_units 490000000001", "sell s1 alice market 0.1 stop 49000", "notional"),
        ("max_notional_units 520000000000", "buy s1 alice market 0.1 stop 52000.01", "notional"),
        ("min_lots 2000", "ask s1 alice 48000 0.1 show 0.01 stop 49000", "lot_size"),
        ("max_open_orders 6", "ask s1 alice 48000 200 stop 49000", "insufficient_balance"),
        ("max_open_orders 6", "buy s1 alice market 20 stop 52000", "insufficient_balance"),
        ("max_open_orders 6", "sell s1 alice market 100.00001 stop 50000", "insufficient_balance"),
        ("max_open_orders 6", "sell s1 alice market 100 stop 50000", "would_trigger"),
    ],
)
def test_the_later_steps_come_in_their_order(change: str, order: str, reason: str) -> None:
    table = play(BOOK)
    table.account("alice")
    assert table.ask(f"set {change}") == "applied"
    before = table.state_but_seq()
    assert table.ask(order) == f"rejected {reason}"
    assert table.state_but_seq() == before


def test_a_hold_that_is_no_amount_is_refused() -> None:
    table = Table(max_price_ticks=AMOUNT_MAX, max_lots=10**9, market_max_lots=10**9, conditional_buffer_bp=10_000)
    table.account("alice")
    stop = AMOUNT_MAX // 10 // 1_000  # its notional is an amount, twice that is not
    events = table.place("s1", "alice", side=0, order_kind=4, quantity_lots=1_000, stop_price_ticks=stop)
    assert table.words(events) == "rejected overflow"


def test_the_number_of_conditional_orders_is_limited_by_account_and_market() -> None:
    table = play(BOOK)
    table.play(
        """
        set  max_conditional_orders 2
        sell s1 alice market 0.1 stop 49500     -> waits
        sell s2 alice market 0.1 stop 49000     -> waits
        sell s3 alice market 0.1 stop 49000     -> rejected max_num_algo_orders
        sell s4 bob   market 0.1 stop 49000     -> waits
        sell q  erin  market 0.1 -> trade d1 49500 0.1, done, triggered s1, trade d1 49500 0.1 by s1, done s1
        sell s5 alice market 0.1 stop 49000     -> waits
        cancel s5                               -> canceled s5
        sell s6 alice market 0.1 stop 49000     -> waits
        set  max_conditional_orders 0 max_open_orders 3
        sell s7 alice market 0.1 stop 49000     -> waits
        sell s8 alice market 0.1 stop 49000     -> rejected max_num_orders
        """
    )


def test_the_events_of_one() -> None:
    table = play(BOOK)
    (accepted,) = table.place(
        "s1", "alice", side=1, order_kind=5, time_in_force=1, price_ticks=ticks("49400"),
        quantity_lots=lots("0.1"), stop_price_ticks=ticks("49500"), client_id="mine",
    )  # fmt: skip
    assert isinstance(accepted, OrderAccepted)
    assert (accepted.flags, accepted.level_lots, accepted.stop_price_ticks) == (2, 0, ticks("49500"))
    assert (accepted.available_units, accepted.held_units) == table.balance("alice", "BTC")
    events = table.place("q", "erin", side=1, order_kind=2, quantity_lots=lots("1"))
    triggered = next(event for event in events if isinstance(event, OrderTriggered))
    assert triggered.account_id == table.accounts["alice"]
    assert (triggered.order_id, triggered.price_ticks, triggered.side, triggered.order_kind, triggered.client_id) == (
        accepted.order_id, ticks("49400"), 1, 5, "mine",
    )  # fmt: skip
    assert (triggered.stop_price_ticks, triggered.last_price_ticks) == (ticks("49500"), ticks("49500"))
