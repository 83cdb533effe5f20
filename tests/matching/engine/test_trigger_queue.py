"""The FIFO of what prints trigger (T5): its order, markets that are not open, the checks at an order's turn."""

import pytest

from apps.matching.engine import Engine
from apps.matching.engine.triggered import run_triggered
from apps.matching.engine.triggers import evaluate
from apps.streams.codec import decode_events
from apps.streams.kinds import EventKind, MarketState, OrderKind, Side, TimeInForce, Waiting
from tests.matching.engine.examples import CONDITIONAL_BOOK as BOOK
from tests.matching.engine.play import MARKET, Table, lots, play, ticks


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
