"""Order lists (T4): OCO, OTO, OTOCO: one hold, the first thing that happens ends the other, the pending part's turn."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.matching.engine import Engine, InvariantBroken
from apps.matching.engine.order_list import OrderList, Stage
from apps.streams.codec import encode_command, encode_list
from apps.streams.commands import PlaceList, PlaceOrder, Strategy
from apps.streams.events import ListChanged, OrderClosed
from apps.streams.kinds import EventKind, ListKind, ListStatus, OrderKind, OrderStatus, Reason, Side, TimeInForce
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.play import MARKET, Table, play

MARKET_AT_50000 = """
    bid  k1 bob 49900 1
    ask  k2 bob 50100 1
    ask  k3 bob 50000 0.01
    buy  k4 carol market 0.01
"""
SELL_OCO = "oco l1 / ask a1 alice 52000 0.1 maker / sell s1 alice market 0.1 stop 49000"
BUY_OCO = "oco l1 / buy b1 alice market 0.1 stop 55000 / bid b2 alice 49000 0.1 maker"
OTO = "oto l1 / bid w1 alice 49000 0.1 / ask p1 alice 53000 0.1"
OTOCO = "otoco l1 / bid w1 alice 49000 0.1 / ask p1 alice 53000 0.1 maker / sell p2 alice market 0.1 stop 48000"


def table(script: str = "") -> Table:
    return play(MARKET_AT_50000 + script)


# -- OCO: the hold ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("oco", "asset", "held"),
    [
        (SELL_OCO, "BTC", "0.1"),
        (BUY_OCO, "USDT", "5500"),  # the stop above needs more
        ("oco - / bid b1 alice 50500 0.1 stop 50300 / bid b2 alice 49000 0.1 maker", "USDT", "5050"),
        ("oco - / bid b1 alice 100 0.1 stop 50300 / bid b2 alice 49000 0.1 maker", "USDT", "4900"),  # the one below
    ],
)
def test_funds_are_held_once(oco: str, asset: str, held: str) -> None:
    found = table(oco)
    assert found.ask(f"balance alice {asset}").endswith(f", {held} held")
    found.engine.validate()


def test_the_hold_falls_to_what_the_survivor_needs() -> None:
    found = table(BUY_OCO)
    found.play(
        """
        balance alice USDT -> 994500 available, 5500 held
        sell x1 carol market 1
        sell x2 carol market 0.04 -> trade b2 49000 0.04, done, expired b1 list_ended
        balance alice USDT -> 995100 available, 2940 held
        cancel b2          -> canceled b2, list done
        balance alice USDT -> 998040 available, 0 held
        """
    )


def test_a_market_leg_that_triggers_keeps_its_own_hold() -> None:
    found = table("oco l1 / buy b1 alice market 0.1 stop 50100 / bid b2 alice 49000 0.1 maker")
    found.play(
        """
        balance alice USDT        -> 994990 available, 5010 held
        buy x1 carol market 0.01  -> trade k2 50100 0.01, done, triggered b1, expired b2 list_ended, trade k2 50100 0.1 by b1, done b1, list done
        balance alice USDT        -> 994990 available, 0 held
        balance alice BTC         -> 100.1 available, 0 held
        """  # noqa: E501
    )


def test_both_legs_are_refused_where_the_larger_one_is_short() -> None:
    found = play("fund alice 5499.99 USDT" + MARKET_AT_50000)
    before = found.state_but_seq()
    assert found.ask(BUY_OCO) == "list rejected insufficient_balance"
    assert found.state_but_seq() == before
    found.ask("fund alice 0.01 USDT")
    assert found.ask(BUY_OCO) == "waits b1, rests b2 0.1"


# -- OCO: the race ----------------------------------------------------------------------------------------------------
RACES = [
    ("a part of the limit leg", "buy x dave market 1.04", "trade a1 52000 0.04, done, expired s1 list_ended"),
    ("all of the limit leg", "buy x dave market 1.1", "trade a1 52000 0.1, done, expired s1 list_ended, list done"),
    ("the trigger", "bid y dave 48900 5\nsell x carol market 1.05",
     "trade y 48900 0.05, done, triggered s1, expired a1 list_ended, trade y 48900 0.1 by s1, done s1, list done"),
    ("a cancel of the first", "cancel a1", "canceled a1, canceled s1, list done"),
    ("a cancel of the other", "cancel s1", "canceled s1, canceled a1, list done"),
    ("cancel-all", "cancel-all alice", "canceled a1, canceled s1, list done, 2 canceled"),
    ("the account's timer", "cancel-after alice 2\nwait 3",
     "canceled a1 by timer, canceled s1 by timer, list done, timer fired"),
    ("the market closes", "state CLOSED", "canceled a1 by staff, canceled s1 by staff, list done"),
    ("self-trade prevention", "bid x alice 52000 2 stp expire_maker",
     "prevented a1 0.1, expired_in_match a1 self_trade, expired s1 list_ended, list done"),
    ("a prevented match of a part", "buy z dave market 1\nbid x alice 52000 0.04 stp decrement",
     "prevented a1 0.04, expired s1 list_ended, expired_in_match self_trade"),
    ("a prevented match of all", "buy z dave market 1\nbid x alice 52000 0.1 stp decrement",
     "prevented a1 0.1, expired s1 list_ended, expired_in_match a1 self_trade, list done"),
    ("cancel-replace", "replace a1 ask n1 alice 60000 0.1", "canceled a1, canceled s1, list done, rested"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "answer"), [race[1:] for race in RACES], ids=[race[0] for race in RACES])
def test_whatever_happens_first_ends_the_other_in_the_same_step(lines: str, answer: str) -> None:
    found = table(SELL_OCO)
    *before, last = lines.splitlines()
    for line in before:
        found.ask(line)
        found.engine.validate()
    assert answer in found.ask(last)
    found.engine.validate()
    seat = found.engine._state.accounts[found.account("alice")].seats[0]
    legs = {found.orders["a1"], found.orders["s1"]}
    assert len(legs & seat.open_orders.keys()) <= 1


def test_a_prevented_match_that_leaves_the_maker_alone_ends_nothing() -> None:
    table(SELL_OCO).play(
        """
        buy z dave market 1
        bid x alice 52000 0.04 stp expire_taker -> prevented a1 0.04, expired_in_match self_trade
        cancel s1                               -> canceled s1, canceled a1, list done
        """
    )


def test_a_leg_that_is_good_till_its_time_ends_the_list() -> None:
    table("oco l1 / ask a1 alice 52000 0.1 maker gtd 5 / sell s1 alice market 0.1 stop 49000").play(
        "wait 6 -> expired a1 expired_by_time, expired s1 list_ended, list done"
    )


def test_one_print_that_would_trigger_both_legs_triggers_one() -> None:
    """Both trail: the fall is deep enough for both, and the higher stop is first."""
    found = table("oco l1 / sell a1 alice market 0.1 profit 0 trail 100 / sell s1 alice market 0.1 stop 0 trail 200")
    found.ask("bid y dave 40000 5")
    answer = found.ask("sell x carol market 1.01")
    assert answer.count("triggered") == 1
    assert "triggered a1, expired s1 list_ended" in answer
    found.engine.validate()


def test_a_triggered_leg_that_is_refused_ends_the_list() -> None:
    found = table("oco l1 / ask a1 alice 52000 0.1 maker / ask s1 alice 40000 0.1 stop 49000")
    found.play(
        """
        set ask_down_bp 9000
        bid y dave 48900 5
        sell x carol market 1.01 -> trade k1 49900 1, trade y 48900 0.01, done, triggered s1, expired a1 list_ended, expired s1 percent_price, list done
        balance alice BTC        -> 100 available, 0 held
        """  # noqa: E501
    )


# -- OTO --------------------------------------------------------------------------------------------------------------
def test_the_pending_order_holds_nothing_until_the_working_one_has_filled_whole() -> None:
    found = table(OTO)
    found.play(
        """
        balance alice BTC        -> 100 available, 0 held
        balance alice USDT       -> 995100 available, 4900 held
        sell x1 carol market 1.04 -> trade k1 49900 1, trade w1 49000 0.04, done
        balance alice BTC        -> 100.04 available, 0 held
        sell x2 carol market 0.06 -> trade w1 49000 0.06, done, enters p1, rests p1 0.1
        balance alice BTC        -> 100 available, 0.1 held
        buy x3 dave market 1.1   -> trade k2 50100 1, trade p1 53000 0.1, done, list done
        """
    )


@pytest.mark.parametrize(
    ("working", "then", "answer"),
    [
        ("bid w1 alice 49000 0.1", "cancel w1", "canceled w1, canceled p1, list done"),
        ("bid w1 alice 49000 0.1", "cancel p1", "canceled p1, canceled w1, list done"),
        ("bid w1 alice 49000 0.1", "cancel-all alice", "canceled w1, canceled p1, list done, 2 canceled"),
        ("bid w1 alice 49000 0.1 gtd 5", "wait 6", "expired w1 expired_by_time, expired p1 list_ended, list done"),
        ("bid w1 alice 49000 0.1", "state CLOSED",
         "OPEN to CLOSED, canceled k1 by staff, canceled k2 by staff, canceled w1 by staff, canceled p1 by staff, "
         "list done"),
    ],
)  # fmt: skip
def test_any_other_end_of_one_ends_both(working: str, then: str, answer: str) -> None:
    found = table(f"oto l1 / {working} / ask p1 alice 53000 0.1")
    assert found.ask(then) == answer
    found.engine.validate()
    assert found.balance("alice", "USDT") == (10**14, 0)


def test_a_pending_order_whose_time_comes_first_ends_the_list() -> None:
    table("oto l1 / bid w1 alice 49000 0.1 / ask p1 alice 53000 0.1 gtd 5").play(
        "wait 6 -> expired p1 expired_by_time, expired w1 list_ended, list done"
    )


@pytest.mark.parametrize(
    ("working", "answer"),
    [
        ("bid w1 alice 50100 0.1", "pending p1, trade k2 50100 0.1 by w1, done w1, enters p1, rests p1 0.1"),
        ("bid w1 alice 50100 0.1 ioc", "pending p1, trade k2 50100 0.1 by w1, done w1, enters p1, rests p1 0.1"),
        ("bid w1 alice 50100 2 ioc",
         "pending p1, trade k2 50100 1 by w1, expired w1 no_liquidity, expired p1 list_ended, list done"),
        ("bid w1 alice 50100 2 fok", "pending p1, expired w1 no_liquidity, expired p1 list_ended, list done"),
        ("bid w1 alice 50100 2", "pending p1, trade k2 50100 1 by w1, rests w1 1"),
        ("bid w1 alice 50000 2 maker", "pending p1, rests w1 2"),
    ],
)  # fmt: skip
def test_a_working_order_that_trades_at_entry(working: str, answer: str) -> None:
    found = table()
    assert found.ask(f"oto l1 / {working} / ask p1 alice 53000 0.1") == answer
    found.engine.validate()


@pytest.mark.parametrize(
    ("pending", "answer"),
    [
        ("ask p1 alice 53000 0.1", "enters p1, rests p1 0.1"),
        ("ask p1 alice 48000 0.1", "enters p1, trade y 48900 0.1 by p1, done p1, list done"),
        ("ask p1 alice 48000 9 ioc", "enters p1, trade y 48900 5 by p1, expired p1 no_liquidity, list done"),
        ("ask p1 alice 53000 0.1 maker", "enters p1, rests p1 0.1"),
        ("ask p1 alice 48000 0.1 maker", "expired p1 would_match, list done"),
        ("ask p1 alice 53000 0.3 show 0.1", "enters p1, rests p1 0.3"),
        ("sell p1 alice market 0.1", "enters p1, trade y 48900 0.1 by p1, done p1, list done"),
        ("sell p1 alice market 6", "enters p1, trade y 48900 5 by p1, expired p1 no_liquidity, list done"),
        ("buy p1 alice market 0.1", "enters p1, trade k2 50100 0.1 by p1, done p1, list done"),
        ("sell p1 alice market 0.1 stop 48000", "enters p1"),
        ("sell p1 alice market 0.1 stop 49500", "expired p1 would_trigger, list done"),
        ("sell p1 alice market 0.1 stop 0 trail 100", "enters p1"),
        ("buy p1 alice market 0.1 stop 52000", "enters p1"),
        ("ask p1 alice 53000 101", "expired p1 insufficient_balance, list done"),
        ("sell p1 alice market 101", "expired p1 insufficient_balance, list done"),
        ("bid p1 alice 60000 20", "expired p1 insufficient_balance, list done"),
    ],
)
def test_what_a_pending_order_may_be_and_do(pending: str, answer: str) -> None:
    """The last price is 49,000 when its turn comes."""
    found = table(f"bid y dave 48900 5\noto l1 / bid w1 alice 49000 0.1 / {pending}")
    said = found.ask("sell x carol market 1.1")
    assert said == f"trade k1 49900 1, trade w1 49000 0.1, done, {answer}"
    found.engine.validate()


def test_a_market_buy_must_afford_what_would_print_when_its_turn_comes() -> None:
    found = play("fund alice 5000 USDT" + MARKET_AT_50000 + "oto l1 / bid w1 alice 49000 0.1 / buy p1 alice market 0.1")
    assert found.ask("sell x carol market 1.1").endswith("done, expired p1 insufficient_balance, list done")
    found.engine.validate()


def test_the_band_is_asked_of_a_pending_order_when_its_turn_comes() -> None:
    found = table("set ask_up_bp 10500")
    assert found.ask("oto l1 / bid w1 alice 49000 0.1 / ask p1 alice 53000 0.1") == "pending p1, rests w1 0.1"
    assert found.ask("sell x carol market 1.1").endswith("expired p1 percent_price, list done")
    found.engine.validate()


def test_the_pending_order_takes_its_turn_behind_what_was_triggered_before() -> None:
    """The print at 49,900 triggers carol's stop, the one at 49,000 fills the working order."""
    found = table(OTO + "\nbid y dave 48000 5\nsell s1 carol market 0.2 stop 49900")
    found.play(
        """
        sell x dave market 1.1 -> trade k1 49900 1, triggered s1, trade w1 49000 0.1, done, trade y 48000 0.2 by s1, done s1, enters p1, rests p1 0.1
        """  # noqa: E501
    )


def test_a_queued_pending_order_waits_for_the_market_to_open_and_holds_nothing() -> None:
    """A breaker halts the market right behind the print that fills the working order."""
    found = table(OTO + "\nbid y dave 40000 5\nbreakers 1:price:500:60:120")
    answer = found.ask("sell x carol market 1.2")
    assert "trade w1 49000 0.1" in answer
    assert "enters" not in answer
    assert "OPEN to HALTED" in answer
    assert found.balance("alice", "BTC")[1] == 0
    found.engine = Engine.restore(found.engine.snapshot())
    found.engine.validate()
    found.play("state OPEN -> HALTED to OPEN, enters p1, rests p1 0.1")


# -- OTOCO ------------------------------------------------------------------------------------------------------------
def test_the_pending_pair_holds_once_and_the_first_ends_the_other() -> None:
    found = table("bid y dave 48500 5\n" + OTOCO)
    found.play(
        """
        sell x1 carol market 1.1  -> trade k1 49900 1, trade w1 49000 0.1, done, enters p1, enters p2, rests p1 0.1
        balance alice BTC         -> 100 available, 0.1 held
        buy x2 dave market 1.03   -> trade k2 50100 1, trade p1 53000 0.03, done, expired p2 list_ended
        cancel p1                 -> canceled p1, list done
        balance alice BTC         -> 100.07 available, 0 held
        """
    )


def test_a_pending_pair_of_which_one_is_refused_ends_whole() -> None:
    other = table(
        "otoco l1 / bid w1 alice 49000 0.1 / ask p1 alice 53000 0.1 maker / sell p2 alice market 0.1 stop 49500"
    )
    assert other.ask("sell x carol market 1.1").endswith(
        "expired p1 would_trigger, expired p2 would_trigger, list done"
    )
    other.engine.validate()
    assert other.balance("alice", "BTC")[1] == 0


def test_cancelling_a_pending_leg_cancels_all_three() -> None:
    table(OTOCO).play("cancel p2 -> canceled p2, canceled w1, canceled p1, list done")


def test_the_end_of_the_working_order_ends_both_pending_ones() -> None:
    table(
        "otoco l1 / bid w1 alice 49000 0.1 gtd 3 / ask p1 alice 53000 0.1 maker / sell p2 alice market 0.1 stop 48000"
    ).play("wait 4 -> expired w1 expired_by_time, expired p1 list_ended, expired p2 list_ended, list done")


# -- client ids -------------------------------------------------------------------------------------------------------
def test_a_list_is_idempotent_by_its_client_id() -> None:
    found = table(SELL_OCO)
    found.play(
        f"""
        {SELL_OCO} -> duplicate of list a1
        oco l1 / ask a9 alice 52000 0.1 maker / sell s9 alice market 0.1 stop 49000 -> duplicate of list a1
        oco l1 / ask a9 alice 52000.01 0.1 maker / sell s9 alice market 0.1 stop 49000 -> list rejected duplicate_client_id
        oco l1 / ask a9 dave 52000 0.1 maker / sell s9 dave market 0.1 stop 49000 -> waits s9, rests a9 0.1
        bid l1 alice 40000 0.1 -> rested
        state HALTED
        {SELL_OCO} -> duplicate of list a1
        state OPEN
        cancel a1  -> canceled a1, canceled s1, list done
        {SELL_OCO} -> duplicate of list a1
        oco l1 / ask a7 alice 52000.01 0.1 maker / sell s7 alice market 0.1 stop 49000 -> waits s7, rests a7 0.1
        """  # noqa: E501
    )


@pytest.mark.parametrize(
    ("line", "leg"),
    [
        ("oco - / ask o1 alice 52000 0.1 maker / sell s1 alice market 0.1 stop 49000", " 1"),
        ("oco - / ask a1 alice 52000 0.1 maker / sell o1 alice market 0.1 stop 49000", " 2"),
        ("oco - / ask a1 alice 52000 0.1 maker / sell a1 alice market 0.1 stop 49000", ""),
    ],
)
def test_client_ids_of_the_orders_must_be_free(line: str, leg: str) -> None:
    found = table("bid o1 alice 40000 0.1")
    before = found.state_but_seq()
    assert found.ask(line) == f"list rejected{leg} duplicate_client_id"
    assert found.state_but_seq() == before


def test_orders_of_a_list_own_their_client_ids() -> None:
    table(OTO).play(
        """
        bid p1 alice 40000 0.1      -> rejected duplicate_client_id
        ask p1 alice 53000 0.1      -> duplicate of p1
        """
    )


# -- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("oco - / ask a1 alice 52000 0.1 / sell s1 alice market 0.1 stop 49000", "list_legs"),
        ("oco - / ask a1 alice 52000 0.1 maker / sell s1 alice market 0.2 stop 49000", "list_legs"),
        ("oco - / ask a1 alice 52000 0.1 maker / buy s1 alice market 0.1 stop 51000", "list_legs"),
        ("oco - / sell s1 alice market 0.1 stop 49000 / ask a1 alice 52000 0.1 maker", "list_legs"),
        ("oco - / bid b1 alice 49000 0.1 maker / buy b2 alice market 0.1 stop 55000", "list_legs"),
        ("oco - / ask a1 alice 52000 0.1 maker / sell s1 alice market 0.1 stop 52000", "list_legs"),
        ("oco - / sell a1 alice market 0.1 profit 52000 / sell s1 alice market 0.1 profit 53000", "list_legs"),
        ("oto - / sell w1 alice market 0.1 / ask p1 alice 53000 0.1", "list_legs"),
        ("oto - / sell w1 alice market 0.1 stop 49000 / ask p1 alice 53000 0.1", "list_legs"),
        ("oto - / bid w1 alice 49000 0.1 / buy p1 alice spend 100", "list_legs"),
        ("otoco - / bid w1 alice 49000 1 / ask p1 alice 53000 1 / sell p2 alice market 1 stop 48000", "list_legs"),
        ("oco - / ask a1 alice 49900 0.1 maker / sell s1 alice market 0.1 stop 49000", "1 would_match"),
        ("oco - / ask a1 alice 52000 0.1 maker / sell s1 alice market 0.1 stop 50000", "2 would_trigger"),
        ("oco - / ask a1 alice 52000 200 maker / sell s1 alice market 200 stop 49000", "insufficient_balance"),
        ("oto - / bid w1 alice 49000 100 / ask p1 alice 53000 0.1", "1 insufficient_balance"),
        ("oto - / bid w1 alice 50100 1 maker / ask p1 alice 53000 0.1", "1 would_match"),
        ("oto - / bid w1 alice 49000 0.1 / ask p1 alice 2000000 0.1", "2 price_filter"),
        ("oto - / bid w1 alice 49000 0.1 / ask p1 alice 53000 0.1 gtd 0", "2 expiry_passed"),
        ("oto - / bid w1 alice 49000 0 / ask p1 alice 53000 0.1", "1 malformed"),
        ("oto - / bid w1 alice 49000 0.1 / ask p1 bob 53000 0.1", "2 malformed"),
        ("otoco - / bid w1 alice 49000 1 / ask p1 alice 53000 1 maker / ask p2 alice 0 1 stop 48000", "3 malformed"),
    ],
)  # fmt: skip
def test_a_refused_list_changes_nothing(line: str, answer: str) -> None:
    found = table()
    found.account("alice")
    before = found.state_but_seq()
    assert found.ask(line) == f"list rejected {answer}"
    assert found.state_but_seq() == before


@pytest.mark.parametrize(
    ("setting", "lists", "reason"),
    [
        ("max_order_lists 1", 1, "max_num_order_lists"),
        ("max_open_orders 3", 1, "max_num_orders"),
        ("max_conditional_orders 1", 1, "max_num_algo_orders"),
    ],
)
def test_limits_per_account_and_market(setting: str, lists: int, reason: str) -> None:
    found = table(f"set {setting}\n" + SELL_OCO)
    second = "oco l2 / ask a2 alice 53000 0.1 maker / sell s2 alice market 0.1 stop 48000"
    before = found.state_but_seq()
    assert found.ask(second) == f"list rejected {reason}"
    assert found.state_but_seq() == before
    found.ask("cancel a1")
    assert found.ask(second) == "waits s2, rests a2 0.1"


def test_a_pending_pair_counts_twice_where_both_begin_to_wait() -> None:
    found = table("set max_conditional_orders 2")
    pair = "sell p1 alice market 0.1 profit 53000 / sell p2 alice market 0.1 stop 48000"
    found.ask(f"otoco - / bid w1 alice 49000 0.1 / {pair}")
    assert found.ask("sell s1 alice market 0.1 stop 40000") == "waits"
    answer = found.ask("sell x1 carol market 1.1")
    assert answer.endswith("expired p1 max_num_algo_orders, expired p2 max_num_algo_orders, list done")


def test_icebergs_of_a_list_count_too() -> None:
    found = table("set max_iceberg_orders 1")
    line = "otoco - / bid w1 alice 49000 1 show 0.5 / "
    line += "ask p1 alice 53000 1 maker show 0.5 / sell p2 alice market 1 stop 48000"
    assert found.ask(line) == "list rejected max_num_iceberg_orders"


@pytest.mark.parametrize(
    ("state", "reason"),
    [("POST_ONLY", "market_post_only"), ("HALTED", "market_halted"), ("CANCEL_ONLY", "market_cancel_only"),
     ("CLOSED", "market_closed")],
)  # fmt: skip
def test_lists_begin_in_an_open_market_only(state: str, reason: str) -> None:
    found = table(f"state {state}")
    assert found.ask(SELL_OCO) == f"list rejected {reason}"


def test_a_member_cannot_be_amended() -> None:
    table(OTO).play(
        """
        amend w1 0.05 -> amend rejected list_unchangeable
        amend p1 0.05 -> amend rejected list_unchangeable
        """
    )


def legs(found: Table) -> list[PlaceOrder]:
    common: dict[str, Any] = {
        "market_id": MARKET, "account_id": found.account("alice"), "settings_version": 1, "side": Side.SELL,
        "quantity_lots": 10,
    }  # fmt: skip
    limit = PlaceOrder(order_kind=OrderKind.LIMIT_MAKER, time_in_force=TimeInForce.GTC, price_ticks=5_200_000, **common)
    return [limit, PlaceOrder(order_kind=OrderKind.STOP_LOSS, stop_price_ticks=4_900_000, **common)]


@pytest.mark.parametrize(
    ("head", "count", "leg", "reason"),
    [
        ({"list_kind": 0}, 2, 0, Reason.MALFORMED),
        ({"list_kind": 4}, 2, 0, Reason.MALFORMED),
        ({"flags": 1}, 2, 0, Reason.MALFORMED),
        ({}, 1, 0, Reason.MALFORMED),
        ({}, 3, 0, Reason.MALFORMED),
        ({"list_kind": ListKind.OTOCO}, 2, 0, Reason.MALFORMED),
        ({"market_id": 9}, 2, 0, Reason.UNKNOWN_MARKET),
        ({"account_id": 9}, 2, 0, Reason.UNKNOWN_ACCOUNT),
    ],
)
def test_heads_that_do_not_fit(head: dict[str, int], count: int, leg: int, reason: Reason) -> None:
    found = table()
    orders = (legs(found) * 2)[:count]
    values = {"market_id": MARKET, "account_id": found.account("alice"), "list_kind": ListKind.OCO} | head
    before = found.state_but_seq()
    (event,) = found.run(encode_list(PlaceList(**values), orders))
    assert (event.KIND, event.leg, event.reason) == (EventKind.LIST_REJECTED, leg, reason)
    assert found.state_but_seq() == before


@pytest.mark.parametrize(("spoiled", "leg"), [(0, 1), (1, 2)])
@pytest.mark.parametrize(
    "change",
    [
        {"strategy": Strategy(given=1)}, {"flags": 1}, {"order_kind": 9}, {"side": 2}, {"stp_mode": 0},
        {"market_id": 2},
    ],
)  # fmt: skip
def test_orders_inside_are_checked_like_any_other(spoiled: int, leg: int, change: dict[str, Any]) -> None:
    from dataclasses import replace

    found = table()
    orders = legs(found)
    orders[spoiled] = replace(orders[spoiled], **change)
    head = PlaceList(market_id=MARKET, account_id=found.account("alice"), list_kind=ListKind.OCO)
    (event,) = found.run(encode_list(head, orders))
    assert (event.leg, event.reason) == (leg, Reason.MALFORMED)


def test_a_client_id_that_is_no_text_is_not_repeated() -> None:
    found = table()
    head = encode_command(
        PlaceList(parts=3, market_id=MARKET, account_id=found.account("alice"), list_kind=ListKind.OCO)
    )
    head = head[:33] + b"\xff" + head[34:]
    run = head + b"".join(encode_command(order) for order in legs(found))
    (event,) = found.run(run)
    assert (event.reason, event.list_client_id) == (Reason.MALFORMED, "")
    assert len(run) == 3 * FRAME_SIZE


def test_an_older_settings_version_is_refused_by_leg() -> None:
    found = table("set max_open_orders 50")
    head = PlaceList(market_id=MARKET, account_id=found.account("alice"), list_kind=ListKind.OCO)
    (event,) = found.run(encode_list(head, legs(found)))
    assert (event.leg, event.reason) == (1, Reason.STALE_SETTINGS)


# -- events -----------------------------------------------------------------------------------------------------------
def test_the_events_of_a_list_name_its_orders() -> None:
    found = table()
    head = PlaceList(market_id=MARKET, account_id=found.account("alice"), list_kind=ListKind.OCO, list_client_id="mine")
    begun, *accepted, _ = found.run(encode_list(head, legs(found)))
    ids = [event.order_id for event in accepted]
    assert isinstance(begun, ListChanged)
    assert (begun.list_id, begun.order_id_1, begun.order_id_2, begun.order_id_3) == (ids[0], ids[0], ids[1], 0)
    assert (begun.status, begun.list_kind, begun.list_client_id) == (ListStatus.EXEC_STARTED, ListKind.OCO, "mine")
    assert [event.held_units for event in accepted] == [10_000, 10_000]  # once
    found.orders["a"], found.owners["a"] = ids[0], "alice"
    closed = found.run(encode_command(_cancel(found, ids[0])))
    assert [event.KIND for event in closed] == [EventKind.ORDER_CLOSED, EventKind.ORDER_CLOSED, EventKind.LIST_CHANGED]
    first, second, done = closed
    assert isinstance(first, OrderClosed)
    assert (first.status, second.status, done.status) == (
        OrderStatus.CANCELED, OrderStatus.CANCELED, ListStatus.ALL_DONE,
    )  # fmt: skip
    assert (first.held_units, second.held_units) == (10_000, 0)


def _cancel(found: Table, order_id: int) -> Any:
    from apps.streams.commands import CancelOrder

    return CancelOrder(market_id=MARKET, account_id=found.account("alice"), order_id=order_id)


# -- state ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", [SELL_OCO, BUY_OCO, OTO, OTOCO])
def test_a_restored_list_goes_on_alike(line: str) -> None:
    """Restored after each of these steps, or never: the same events and the same state."""
    steps = [
        line, "bid y dave 48900 5", "sell x1 carol market 1.05", line, "sell x2 carol market 0.05",
        "buy x3 dave market 1.02", "sell x4 carol market 0.5", "buy x5 dave market 0.1", "cancel-all alice",
    ]  # fmt: skip
    through, restored = table(), table()
    for step in steps:
        assert through.ask(step) == restored.ask(step)
        body = restored.engine.snapshot()
        assert body == through.engine.snapshot()
        restored.engine = Engine.restore(body)
        restored.engine.validate()
        assert list(restored.engine.order_lists()) == list(through.engine.order_lists())


def the_list(found: Table) -> OrderList:
    alice = found.engine._state.accounts[found.account("alice")]
    (order_list,) = {
        id(order.terms.order_list): order.terms.order_list
        for order in alice.all_open_orders()
        if order.terms is not None and order.terms.order_list is not None
    }.values()
    return order_list


DAMAGES: list[tuple[str, str, Callable[[Table], object]]] = [
    ("lists are miscounted", SELL_OCO, lambda t: setattr(the_list(t).seat, "order_lists", 0)),
    ("key is not that", SELL_OCO, lambda t: setattr(the_list(t), "id_key", b"x" * 16)),
    ("of another length", SELL_OCO, lambda t: setattr(the_list(t), "order_ids", (1, 2, 3))),
    (
        "without an order|foreign order",
        SELL_OCO,
        lambda t: the_list(t).legs.update({99: next(iter(the_list(t).legs.values()))}),
    ),
    ("does not wait", SELL_OCO, lambda t: setattr(the_list(t), "stage", Stage.WORKING)),
    ("without its working order", OTO, lambda t: the_list(t).legs.pop(the_list(t).order_ids[0])),
    ("pending for nothing", OTO, lambda t: setattr(the_list(t), "stage", Stage.ENTERED)),
    ("not in the FIFO|still there", OTO, lambda t: setattr(the_list(t), "stage", Stage.QUEUED)),
    ("needed", BUY_OCO, lambda t: the_list(t).legs.pop(the_list(t).order_ids[1])),
    ("owners", SELL_OCO, lambda t: t.engine._state.client_ids.owners.pop(the_list(t).id_key)),
]


@pytest.mark.parametrize(("rule", "line", "break_it"), DAMAGES)
def test_validate_names_the_damage(rule: str, line: str, break_it: Callable[[Table], object]) -> None:
    found = table(line)
    break_it(found)
    with pytest.raises(InvariantBroken, match=rule):
        found.engine.validate()
