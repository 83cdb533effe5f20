"""Stop-loss and take-profit orders: when they trigger, what they hold and what becomes of them (T5)."""

import pytest

from apps.streams.commands import CancelOrder
from apps.streams.events import OrderAccepted, OrderTriggered
from apps.streams.kinds import EventKind, OrderStatus
from tests.matching.engine.examples import CONDITIONAL_BOOK as BOOK
from tests.matching.engine.play import Table, lots, play, ticks


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
