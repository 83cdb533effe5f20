"""Block orders (T12): who holds, who gets, who pays what; as taker and as maker."""

from random import Random

import pytest

from apps.common.amounts import fee_units
from apps.matching.engine.allocation import largest_remainder
from apps.streams.codec import encode_block
from apps.streams.commands import PlaceBlock
from apps.streams.events import Allocated, Trade
from apps.streams.kinds import (
    AllocatedFlag,
    AllocationStep,
    EventKind,
    OrderKind,
    Side,
    TimeInForce,
)
from apps.streams.messages import MAX_ALLOCATION_ACCOUNTS
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.examples import FAMILY, place_block
from tests.matching.engine.examples import block_limit as limit
from tests.matching.engine.examples import wide_family as wide
from tests.matching.engine.play import LOT_SIZE, MARKET, play


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


def test_a_large_fee_times_many_lots_needs_more_than_64_bits() -> None:
    play(
        FAMILY
        + """
        fees 400000:400000
        block parts ask a1 head 50000 20
        buy p1 bob market 20
        balance s1 USDT -> 1300000 available, 0 held
        balance s2 USDT -> 1180000 available, 0 held
        balance s3 USDT -> 1120000 available, 0 held
        """
    )


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
