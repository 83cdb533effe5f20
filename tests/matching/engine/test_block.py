"""Block orders (T12): who holds, who gets, who pays what; as taker and as maker; and all that is refused."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from apps.common.amounts import fee_units
from apps.matching.engine import Engine, InvariantBroken
from apps.matching.engine.accounts import Account, Balance, Seat
from apps.matching.engine.allocation import Share, largest_remainder
from apps.matching.engine.market import Market
from apps.streams.codec import encode_block, encode_command, encode_set_allocation
from apps.streams.commands import PlaceBlock, PlaceOrder
from apps.streams.events import Allocated, OrderRejected, RelayRefused, Trade
from apps.streams.kinds import (
    AllocatedFlag,
    AllocationMethod,
    AllocationStep,
    CommandKind,
    EventKind,
    OrderKind,
    Reason,
    Side,
    TimeInForce,
)
from apps.streams.messages import MAX_ALLOCATION_ACCOUNTS, AllocationSettings, SettingsError
from apps.streams.records import FRAME_SIZE, MAX_PARTS, FrameError
from tests.matching.engine.play import LOT_SIZE, MARKET, Table, play

FAMILY = """
family s1..s3 head
allocation even head equal s1..s3
allocation parts head fixed s1:5000 s2:3000 s3:2000
allocation asked head pro-rata s1..s3
"""


def wide(accounts: int) -> Table:
    return play(f"family s1..s{accounts} head\nallocation r head equal s1..s{accounts}")


def limit(table: Table, **changes: object) -> PlaceOrder:
    values = {
        "market_id": MARKET, "account_id": table.account("head"), "settings_version": 1, "side": Side.BUY,
        "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "price_ticks": 5_000_000, "quantity_lots": 9,
    }  # fmt: skip
    return PlaceOrder(**(values | changes))  # type: ignore[arg-type]


# -- holds ------------------------------------------------------------------------------------------------------------
def test_each_account_holds_its_share_until_the_order_ends() -> None:
    table = play(FAMILY)
    table.play(
        """
        block parts bid b1 head 50000 0.00011
        balance s1 USDT   -> 999997 available, 3 held
        balance s2 USDT   -> 999998.5 available, 1.5 held
        balance head USDT -> 1000000 available, 0 held
        cancel b1 by s1   -> cancel rejected unknown_order
        cancel-all s1     -> 0 canceled
        cancel b1         -> canceled b1, s1 releases 0.00006, s2 releases 0.00003, s3 releases 0.00002
        balance s1 USDT   -> 1000000 available, 0 held
        """
    )


def test_one_short_account_is_enough_to_refuse_the_whole_order() -> None:
    table = play("fund s3 2.9 USDT\n" + FAMILY)
    before = table.state_but_seq()
    table.play("block even bid b1 head 50000 0.00018 -> rejected insufficient_balance")
    assert table.state_but_seq() == before
    table.play("fund s3 0.1 USDT\nblock even bid b1 head 50000 0.00018 -> rested, s1 holds for 0.00006, "
               "s2 holds for 0.00006, s3 holds for 0.00006")  # fmt: skip


@pytest.mark.parametrize(
    ("order", "ended"),
    [
        ("bid b1 head 50000 0.003 gtd 5\nwait 6", "expired b1 expired_by_time"),
        ("bid b1 head 50000 0.003\ncancel-after head 5\nwait 6", "canceled b1 by timer"),
        ("bid b1 head 50000 0.003\nstate CLOSED", "OPEN to CLOSED, canceled b1 by staff"),
        ("bid b1 head 50000 0.003\ncancel-all head", "canceled b1"),
        ("bid b1 head 50000 0.003\nask x1 s1 50000 0.001 stp expire_maker", "expired_in_match b1 self_trade"),
    ],
)
def test_every_end_releases_every_share(order: str, ended: str) -> None:
    table = play(FAMILY)
    *lines, last = ("block even " + order).splitlines()
    for line in lines:
        table.ask(line)
    answer = table.ask(last)
    assert f"{ended}, s1 releases 0.001, s2 releases 0.001, s3 releases 0.001" in answer
    table.engine.validate()
    assert all(table.balance(who, "USDT") == (10**14, 0) for who in ("s1", "s2", "s3"))


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("bid b1 head 50000 0.3 ioc", "trade a1 50000 0.15, {gets}, expired no_liquidity, {releases}"),
        ("bid b1 head 50000 0.3 fok", "expired no_liquidity, {all}"),
        ("bid b1 head 50000 0.3 maker", "rejected would_match"),
    ],
)
def test_orders_that_do_not_rest_hold_and_release_at_once(order: str, answer: str) -> None:
    table = play(FAMILY + "ask a1 bob 50000 0.15")
    words = {
        "gets": "s1 gets 0.05, s2 gets 0.05, s3 gets 0.05",
        "releases": "s1 releases 0.05, s2 releases 0.05, s3 releases 0.05",
        "all": "s1 releases 0.1, s2 releases 0.1, s3 releases 0.1",
    }
    held = "" if "rejected" in answer else "s1 holds for 0.1, s2 holds for 0.1, s3 holds for 0.1, "
    assert table.ask("block even " + order) == held + answer.format(**words)
    table.engine.validate()


# -- fills ------------------------------------------------------------------------------------------------------------
def test_as_taker_each_account_pays_and_gets_its_lots_at_the_makers_price() -> None:
    play(
        FAMILY
        + """
        fees 1000:2000
        ask a1 bob 49000 0.0001
        ask a2 bob 50000 0.0005
        block parts bid b1 head 50000 0.0004
        balance s1 USDT  -> 999990.05 available, 0 held    # 0.00005 at 49000, 0.00015 at 50000
        balance s2 USDT  -> 999994.03 available, 0 held
        balance s3 USDT  -> 999996.02 available, 0 held
        balance s1 BTC   -> 100.0001996 available, 0 held  # 2000 ppm of 0.0002
        balance head BTC -> 100 available, 0 held
        fees-of BTC      -> 0.0000008
        """
    )


def test_as_maker_each_account_gets_its_part_of_the_rebate() -> None:
    """The taker pays 0.001 BTC x 1000 ppm; 20 % of the rate goes back: 200 units of 10^-8, over 50, 30 and 20 lots."""
    table = play(FAMILY + "fees -200:1000\nblock parts ask a1 head 50000 0.002")
    events = table.place("p1", "bob", side=Side.BUY, order_kind=OrderKind.MARKET, quantity_lots=100)
    trade, *parts = events[1:]
    assert isinstance(trade, Trade)
    assert trade.maker_fee_units == -20
    assert [(part.quantity_lots, part.fee_units) for part in parts] == [(50, -10), (30, -6), (20, -4)]
    assert table.balance("s1", "BTC") == (100 * 10**8 - 100_000 + 10, 50_000)


def test_the_owners_tier_decides_whatever_those_of_the_sub_accounts() -> None:
    table = play(
        "tier s1 1\ntier s2 2" + FAMILY + "tier head 3\nfees 0:4000 0:3000 0:2000 0:1000\nask a1 bob 50000 0.003"
    )
    events = table.run(encode_block(
        PlaceBlock(market_id=MARKET, account_id=table.account("head"), rule_id=1),
        limit(table, quantity_lots=300, settings_version=2),
    ))  # fmt: skip
    trade = next(event for event in events if isinstance(event, Trade))
    assert trade.taker_fee_units == fee_units(300 * LOT_SIZE, 1_000)


def test_the_events_say_whose_they_are() -> None:
    table = play(FAMILY + "ask a1 bob 50000 0.00002")
    table.play(
        "block even bid b1 head 50000 0.00004 -> s1 holds for 0.00002, s2 holds for 0.00001, s3 holds for 0.00001, "
        "trade a1 50000 0.00002, s1 gets 0.00001, s2 gets 0.00001, rests 0.00002"
    )
    events = table.place("x", "bob", side=Side.SELL, order_kind=OrderKind.MARKET, quantity_lots=1)
    trade, part = events[1:]
    assert isinstance(part, Allocated)
    assert (part.order_id, part.owner_account_id, part.account_id) == (
        table.orders["b1"], table.account("head"), table.account("s3"),
    )  # fmt: skip
    assert (part.trade_id, part.price_ticks, part.side, part.step) == (
        trade.trade_id, 5_000_000, Side.BUY, AllocationStep.FILLED,
    )  # fmt: skip
    assert (part.quantity_lots, part.final_lots, part.allocated_lots, part.flags) == (1, 1, 1, 0)
    table.play("cancel b1\nbid y bob 1 0.00001")
    answer = table.run(encode_block(
        PlaceBlock(market_id=MARKET, account_id=table.account("head"), rule_id=1),
        limit(table, side=Side.SELL, price_ticks=100, quantity_lots=1),
    ))  # fmt: skip
    assert [event.flags for event in answer if event.KIND == EventKind.ALLOCATED] == [0, AllocatedFlag.TAKER]


def test_both_parties_may_be_block_orders() -> None:
    play(
        FAMILY
        + """
        family t1..t2 other
        allocation r other equal t1..t2
        block r ask a1 other 50000 0.00004
        block even bid b1 head 50000 0.00003 -> s1 holds for 0.00001, s2 holds for 0.00001, s3 holds for 0.00001, trade a1 50000 0.00003, done, s1 gets 0.00001, s2 gets 0.00001, s3 gets 0.00001, t1 gets 0.00002, t2 gets 0.00001
        balance t1 USDT    -> 1000001 available, 0 held
        balance t2 BTC     -> 99.99998 available, 0.00001 held
        balance other USDT -> 1000000 available, 0 held
        """  # noqa: E501
    )


def test_the_owner_may_have_a_share_itself() -> None:
    play(
        """
        family s1 head
        allocation r head equal head s1
        block r bid b1 head 50000 0.00004 -> rested, head holds for 0.00002, s1 holds for 0.00002
        sell x bob market 0.00003         -> trade b1 50000 0.00003, done, head gets 0.00002, s1 gets 0.00001
        balance head BTC                  -> 100.00002 available, 0 held
        balance head USDT                 -> 999999 available, 0 held
        """
    )


def test_an_account_alone_may_be_its_own_family() -> None:
    play(
        """
        allocation r alice equal alice
        block r bid b1 alice 50000 0.00004 -> rested, alice holds for 0.00004
        sell x bob market 0.00004          -> trade b1 50000 0.00004, done, alice gets 0.00004
        """
    )


def test_a_market_sell_releases_what_found_no_buyer() -> None:
    play(
        FAMILY
        + """
        bid b1 bob 50000 0.00002
        block asked 0.0001,0,0.0002 sell p1 head market 0.00006 -> s1 holds for 0.00002, s3 holds for 0.00004, trade b1 50000 0.00002, s1 gets 0.00001, s3 gets 0.00001, expired no_liquidity, s1 releases 0.00001, s3 releases 0.00003
        balance s1 BTC -> 99.99999 available, 0 held
        balance s2 BTC -> 100 available, 0 held
        balance s3 BTC -> 99.99999 available, 0 held
        """  # noqa: E501
    )


def test_nine_hundred_one_lot_fills_over_thirty_accounts() -> None:
    table = wide(30)
    table.ask("block r bid b1 head 50000 0.009")
    got = dict.fromkeys((table.account(f"s{n}") for n in range(1, 31)), 0)
    for _ in range(900):
        events = table.place("x", "bob", side=Side.SELL, order_kind=OrderKind.MARKET, quantity_lots=1)
        (part,) = [event for event in events if isinstance(event, Allocated)]
        got[part.account_id] += 1
        assert got[part.account_id] == part.allocated_lots
        assert max(got.values()) - min(got.values()) <= 1
    table.engine.validate()
    assert set(got.values()) == {30}
    assert list(table.engine.open_orders()) == []


def test_sixty_four_accounts_pro_rata_in_one_run() -> None:
    count = MAX_ALLOCATION_ACCOUNTS
    table = play(f"family s1..s{count} head\nallocation r head pro-rata s1..s{count}\nask a bob 50000 5")
    requested = [number * 10 for number in range(1, count + 1)]
    run = encode_block(
        PlaceBlock(market_id=MARKET, account_id=table.account("head"), rule_id=1),
        limit(table, quantity_lots=sum(requested) // 10),
        requested,
    )
    assert len(run) == 6 * FRAME_SIZE
    events = table.run(run)
    table.engine.validate()
    filled = [event.quantity_lots for event in events if getattr(event, "step", 0) == AllocationStep.FILLED]
    assert filled == list(range(1, count + 1))


def test_a_triggered_market_buy_that_a_block_order_fills_gets_the_rest_of_its_hold_back() -> None:
    play(
        """
        set conditional_buffer_bp 1000
        family s1..s2 head
        allocation r head equal s1..s2
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        buy t1 carol market 0.1 stop 50100
        balance carol USDT -> 994489 available, 5511 held
        ask a1 alice 50100 0.1
        block r ask a2 head 50100 0.1
        buy p1 bob market 0.1
        balance carol USDT -> 994990 available, 0 held
        """
    )


def place_block(table: Table, order: PlaceOrder, rule_id: int = 1) -> list[Any]:
    head = PlaceBlock(market_id=MARKET, account_id=table.account("head"), rule_id=rule_id)
    return table.run(encode_block(head, order))


def test_fee_and_rebate_are_divided_to_the_last_unit() -> None:
    """Random fills against a block order of either side: the parts are those of largest remainder over the lots."""
    seed = 77
    print(f"seed {seed}")
    random = Random(seed)
    divided = 0
    for _ in range(60):
        count = random.randrange(2, 20)
        table = wide(count)
        table.set_market(fees=[random.choice(((-313, 1_013), (7, 919), (0, 1), (-1, 2)))])
        side, as_taker = random.choice(tuple(Side)), random.random() < 0.5

        order = limit(table, side=side, quantity_lots=random.randrange(1, 2_000), settings_version=2)
        events = [] if as_taker else place_block(table, order)
        for number in range(5):
            events += table.place(
                f"x{number}", "bob", side=1 - side, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
                price_ticks=5_000_000, quantity_lots=random.randrange(1, 900),
            )  # fmt: skip
        if as_taker:
            events += place_block(table, order)
        for position, event in enumerate(events):
            if not isinstance(event, Trade):
                continue
            parts = [each for each in events[position + 1 :] if getattr(each, "trade_id", 0) == event.trade_id]
            fee = event.taker_fee_units if as_taker else event.maker_fee_units
            weights = [part.quantity_lots for part in parts]
            assert sum(weights) == event.quantity_lots
            sign = -1 if fee < 0 else 1
            assert [part.fee_units * sign for part in parts] == largest_remainder(fee * sign, weights)
            divided += 1
        table.engine.validate()
    assert divided > 100


# -- self-trade prevention --------------------------------------------------------------------------------------------
def test_decrement_counts_as_allocated_without_money() -> None:
    play(
        FAMILY
        + """
        ask a1 s1 50000 0.00004
        block even bid b1 head 50000 0.00009 stp decrement -> s1 holds for 0.00003, s2 holds for 0.00003, s3 holds for 0.00003, prevented a1 0.00004, s1 loses 0.00002, s2 loses 0.00001, s3 loses 0.00001, expired_in_match a1 self_trade, rests 0.00005
        balance s1 USDT -> 999999.5 available, 0.5 held
        balance s2 USDT -> 999999 available, 1 held
        balance s1 BTC  -> 100 available, 0 held
        sell x bob market 0.00005 -> trade b1 50000 0.00005, done, s1 gets 0.00001, s2 gets 0.00002, s3 gets 0.00002
        balance s1 BTC  -> 100.00001 available, 0 held
        """  # noqa: E501
    )


def test_decrement_between_two_block_orders_of_one_family() -> None:
    play(
        FAMILY
        + """
        block even ask a1 head 50000 0.00006
        block parts bid b1 head 50000 0.00004 stp decrement -> s1 holds for 0.00002, s2 holds for 0.00001, s3 holds for 0.00001, prevented a1 0.00004, s1 loses 0.00002, s2 loses 0.00001, s3 loses 0.00001, s1 loses 0.00002, s2 loses 0.00001, s3 loses 0.00001, expired_in_match self_trade
        balance s1 BTC  -> 100 available, 0 held
        balance s2 BTC  -> 99.99999 available, 0.00001 held
        balance s1 USDT -> 1000000 available, 0 held
        """  # noqa: E501
    )


# -- what is refused --------------------------------------------------------------------------------------------------
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


# -- rules ------------------------------------------------------------------------------------------------------------
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
    with pytest.raises(FrameError, match="97 requested lots need 9 frames"):
        encode_block(head, order, [1] * 97)


# -- state ------------------------------------------------------------------------------------------------------------
def test_a_restored_engine_goes_on_with_the_same_shares() -> None:
    table = play(
        FAMILY
        + """
        block parts ask a1 head 50000 0.00011 gtd 60
        buy p1 bob market 0.00003
        """
    )
    body = table.engine.snapshot()
    copy = Engine.restore(body)
    assert copy.snapshot() == body
    copy.validate()
    assert list(copy.shares()) == list(table.engine.shares())
    table.engine = copy
    table.play(
        """
        family s1 s1 -> refused account_has_orders
        buy p2 bob market 0.00008 -> trade a1 50000 0.00008, done, s1 gets 0.00004, s2 gets 0.00002, s3 gets 0.00002
        block even bid b1 head 50000 0.00003 -> rested, s1 holds for 0.00001, s2 holds for 0.00001, s3 holds for 0.00001
        """
    )


def test_production_stops_where_a_share_is_not_held() -> None:
    table = play(FAMILY + "block even bid b1 head 50000 0.00009")
    state = table.engine._state
    state.accounts[table.account("s2")].balances[2].held_units = 0
    with pytest.raises(InvariantBroken, match="held by nothing"):
        table.ask("cancel b1")
    table = play(FAMILY + "block even bid b1 head 50000 0.00009")
    table.engine._state.accounts[table.account("s2")].balances[2].held_units = 0
    with pytest.raises(InvariantBroken, match="negative balance"):
        table.ask("sell x bob market 0.00009")


def test_production_stops_where_a_print_of_a_block_order_loses_money() -> None:
    table = play(FAMILY + "block even bid b1 head 50000 0.00009")
    bob, s1 = table.account("bob"), table.account("s1")
    table.ask("bid k1 bob 1 0.00001")
    accounts = table.engine._state.accounts
    table.engine._state.markets[MARKET].seats[s1].base = accounts[bob].balances[1]
    with pytest.raises(InvariantBroken, match="made or lost money"):
        table.ask("sell x bob market 0.00009")


SHARES = FAMILY + "block parts bid b1 head 50000 0.00011\nsell x bob market 0.00003"


def shares(table: Table) -> list[Share]:
    (order,) = table.engine._state.open_orders()
    assert order.terms is not None
    assert order.terms.block is not None
    return order.terms.block.shares


def allocated(table: Table, *lots: int) -> None:
    for share, got in zip(shares(table), lots, strict=False):
        share.allocated_lots = got


def seat_parts(table: Table) -> tuple[Account, Market, Balance, Balance]:
    seat = shares(table)[0].seat
    return seat.account, seat.market, seat.base, seat.quote


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("are not its quantity", lambda t: setattr(shares(t)[0], "final_lots", 5)),
        ("shares miss lots", lambda t: setattr(shares(t)[0], "allocated_lots", 0)),
        ("got more than it may have", lambda t: allocated(t, -1, 4)),
        ("share of nothing", lambda t: shares(t).append(Share(shares(t)[0].seat, 0))),
        ("outside the family", lambda t: setattr(shares(t)[0].seat.account, "family_id", 5)),
        ("foreign seat", lambda t: setattr(shares(t)[0], "seat", Seat(*seat_parts(t)))),
        ("a lot ahead", lambda t: allocated(t, 0, 3)),
        ("miscounted", lambda t: setattr(shares(t)[0].seat.account, "open_shares", 0)),
        ("needed", lambda t: setattr(shares(t)[0].seat.quote, "held_units", 1)),
        ("fingerprint", lambda t: setattr(t.engine._state.open_orders()[0].terms.block, "rule_id", 9)),
        ("fingerprint", lambda t: setattr(t.engine._state.open_orders()[0].terms.block, "requested_crc", 9)),
    ],
)  # fmt: skip
def test_validate_names_the_damage(rule: str, break_it: Callable[[Table], object]) -> None:
    table = play(SHARES)
    break_it(table)
    with pytest.raises(InvariantBroken, match=rule):
        table.engine.validate()
