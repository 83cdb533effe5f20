"""Call auction (matching-rules.md 7): the examples of docs/matching stand there; here entry, price, pairs, phases,
and a naive model of the price.
"""

from random import Random
from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.streams.codec import decode_events
from apps.streams.commands import Tick
from apps.streams.kinds import (
    EventKind,
    HaltCause,
    MarketState,
    OrderKind,
    Reason,
    Side,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from tests.matching.engine.play import MARKET, Table, play, price_text, quantity_text
from tests.matching.engine.projection import Projection
from tests.sampling import sampled

CALL = {"call_s": 30, "initial_price_ticks": 5_000_000}
FIVE = "1:price:500:60:120"


def auction(script: str, **settings: Any) -> Table:
    return play("state AUCTION -> OPEN to AUCTION for 30 s\n" + script, **CALL | settings)


@pytest.mark.parametrize(
    "order",
    [
        "bid b1 bob 50000 0.1 ioc", "bid b1 bob 50000 0.1 fok", "bid b1 bob 50000 0.1 maker", "buy b1 bob market 0.1",
        "buy b1 bob spend 100", "sell b1 bob market 0.1 stop 40000", "ask b1 bob 40000 0.1 stop 40000",
    ],
)  # fmt: skip
def test_only_limits_that_may_rest_enter_a_call_phase(order: str) -> None:
    table = auction("ask a1 alice 51000 0.1 -> rested")
    table.account("bob")
    before = table.state_but_seq()
    assert table.ask(order) == "rejected market_auction"
    assert table.state_but_seq() == before


def test_orders_rest_crossing_or_not_and_the_price_is_told_when_it_changes() -> None:
    auction(
        """
        ask a1 alice 50000 0.2 -> rested
        bid b1 bob   49000 0.1 -> rested
        bid b2 bob   50500 0.1 -> rests 0.1, auction 50000 x 0.1
        bid b3 carol 50400 0.3 gtd 20 -> rests 0.3, auction 50000 x 0.2
        amend b3 0.2           -> amended b3 0.2
        amend b3 0.05          -> amended b3 0.05, auction 50000 x 0.15
        wait 20                -> expired b3 expired_by_time, auction 50000 x 0.1
        cancel b2              -> canceled b2, auction none
        wait 10                -> AUCTION to OPEN
        book                   -> bids 49000 x 0.1, asks 50000 x 0.2
        """
    )


def test_both_sides_pair_in_price_time_order_and_the_later_order_is_the_taker() -> None:
    """a1 is older than b1 and a maker; b2 is older than a2, so a2 takes it."""
    table = auction(
        """
        fees 100:1000
        ask a1 alice 49000 0.1
        bid b1 bob   51000 0.1
        bid b2 carol 50000 0.3
        ask a2 dave  50000 0.4
        wait 30 -> pair b1 a1 50000 0.1, pair a2 b2 50000 0.3, AUCTION to OPEN
        book -> asks 50000 x 0.1
        last -> 50000
        balance bob USDT -> 995000 available, 0 held
        balance bob BTC -> 100.0999 available, 0 held
        balance alice USDT -> 1004999.5 available, 0 held
        balance dave USDT -> 1014985 available, 0 held
        balance carol BTC -> 100.29997 available, 0 held
        """
    )
    assert [row.left_lots for row in table.engine.open_orders()] == [10_000]


@pytest.mark.parametrize(
    ("orders", "price"),
    [
        # most volume
        (["ask 100 5", "ask 101 5", "bid 101 7", "bid 100 5"], "101 x 0.00007"),
        # the same volume, less surplus
        (["ask 100 5", "bid 104 5", "bid 101 3"], "104 x 0.00005"),
        # the same surplus: nearest to the reference, which is a candidate itself
        (["ask 90 5", "bid 110 5"], "100 x 0.00005"),
        (["ask 90 5", "bid 97 5"], "97 x 0.00005"),
        (["ask 103 5", "bid 110 5"], "103 x 0.00005"),
        # the reference between them
        (["ask 95 5", "ask 98 1", "bid 105 5", "bid 102 1"], "100 x 0.00006"),
        (["ask 99 5", "ask 101 2", "bid 101 5", "bid 99 2"], "100 x 0.00005"),
    ],
)
def test_the_price_is_the_one_of_most_volume_least_surplus_nearest_to_the_reference(
    orders: list[str], price: str
) -> None:
    """The last rule, the higher price, decides nothing: where two limits are equally near, the reference lies between
    them and has no less volume and no more surplus than either.
    """
    table = auction("", initial_price_ticks=10_000)
    for number, order in enumerate(orders):
        side, limit, lots = order.split()
        table.ask(f"{side} o{number} p{number} {limit} 0.0000{lots}")
    row = next(iter(table.engine.markets()))
    assert f"{price_text(row.auction_ticks)} x {quantity_text(row.auction_lots)}" == price


def test_an_iceberg_counts_whole_at_its_place_and_shows_its_display_of_the_rest() -> None:
    table = auction(
        """
        ask a1 alice 50000 1 show 0.1
        ask a2 bob   50000 0.5
        bid b1 carol 50000 0.75 -> rests 0.75, auction 50000 x 0.75
        wait 30 -> pair b1 a1 50000 0.75, AUCTION to OPEN
        book -> asks 50000 x 0.6
        balance alice BTC -> 99 available, 0.25 held
        """
    )
    table.engine = Engine.restore(table.engine.snapshot())
    table.play("state AUCTION\nbid b2 carol 50000 0.6 -> rests 0.6, auction 50000 x 0.6")
    table.play("wait 30 -> pair b2 a1 50000 0.25, pair b2 a2 50000 0.35, AUCTION to OPEN")


@pytest.mark.parametrize("mode", [mode.name.lower() for mode in StpMode])
def test_an_order_that_meets_its_own_family_expires_at_entry_whatever_its_mode(mode: str) -> None:
    table = auction(
        """
        family sub head
        ask a1 bob 50000 0.1
        ask a2 head 50200 0.2
        ask a3 head 50100 0.2
        """
    )
    before = table.balance("sub", "USDT")
    assert table.ask(f"bid b1 sub 50100 0.3 stp {mode}") == "prevented a3 0.2, expired_in_match self_trade"
    assert table.balance("sub", "USDT") == before
    assert table.ask("bid b2 sub 50099.99 0.3") == "rests 0.3, auction 50000 x 0.1"


def test_an_expired_order_of_the_family_is_not_met() -> None:
    """Its timer has not run: more were due before it than run before one command."""
    table = auction("ask a1 bob 50000 0.1 gtd 5\nask a2 carol 50000 0.1")
    table.engine._state.timers.due_ms = 2**63  # as if 1,000 others had been due
    table.now_ms += 6_000
    assert table.ask("bid b1 bob 50000 0.1") == "rests 0.1, auction 50000 x 0.1"


def test_expired_orders_are_removed_before_the_price_is_chosen() -> None:
    """An order that ends between the end of the call and the command that notices it does not trade."""
    table = auction("ask a1 alice 50000 0.1 gtd 30\nbid b1 bob 50000 0.1")
    state = table.engine._state
    assert state.markets[MARKET].until_ms < table.now_ms + 30_000
    table.now_ms += 29_999
    table.play("tick -> expired a1 expired_by_time, auction none, AUCTION to OPEN")


def test_a_breaker_halt_has_its_call_phase_at_the_end_and_opens_at_the_auction_price() -> None:
    table = play(
        f"""
        breakers {FIVE}
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 0.1
        buy p1 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 1 for 90 s
        wait 89 -> nothing
        wait 1 -> HALTED to AUCTION by breaker 1 for 30 s
        bid b1 bob 61000 0.1 -> rests 0.1, auction 60000 x 0.1
        wait 29 -> nothing
        wait 1 -> pair b1 a1 60000 0.1, AUCTION to OPEN
        ask a2 alice 63000 0.1
        ask a3 alice 63000.01 0.1
        buy p2 bob market 0.2 -> trade a2 63000 0.1, expired breaker, OPEN to HALTED by breaker 1 for 150 s
        """,
        **CALL,
    )
    row = next(iter(table.engine.markets()))
    assert (row.cause, row.rule_id, row.reopens_ms - row.until_ms) == (HaltCause.BREAKER, 1, 30_000)


def test_auction_prints_are_not_checked_and_stops_are_evaluated_once_at_the_price() -> None:
    play(
        f"""
        breakers {FIVE}
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        sell s1 dave market 0.1 stop 45000
        sell s2 dave market 0.1 stop 41000
        ask r1 erin 42500 0.1
        state AUCTION
        bid b1 bob 42000 0.5
        ask a1 alice 42000 0.2 -> rests 0.2, auction 42000 x 0.2
        wait 30 -> pair a1 b1 42000 0.2, AUCTION to OPEN, triggered s1, trade b1 42000 0.1 by s1, done s1
        """,
        **CALL,
    )


def test_outside_the_collar_the_call_goes_on_and_at_last_the_market_waits_for_staff() -> None:
    table = auction(
        """
        ask a1 alice 52500.01 0.1
        bid b1 bob 53000 0.1 -> rests 0.1, auction 52500.01 x 0.1
        wait 30 -> AUCTION to AUCTION again for 30 s
        wait 30 -> AUCTION to AUCTION again for 30 s
        wait 30 -> AUCTION to HALTED without an auction price
        wait 300 -> nothing
        state OPEN -> refused book_crossed
        state POST_ONLY -> refused book_crossed
        state CANCEL_ONLY -> HALTED to CANCEL_ONLY
        state OPEN -> refused book_crossed
        state AUCTION -> CANCEL_ONLY to AUCTION for 30 s, auction 52500.01 x 0.1
        ask a2 alice 52500 0.1 -> rests 0.1, auction 52500 x 0.1
        wait 30 -> pair a2 b1 52500 0.1, AUCTION to OPEN
        """,
        collar_bp=500, max_extensions=2,
    )  # fmt: skip
    assert next(iter(table.engine.markets())).state == MarketState.OPEN


@pytest.mark.parametrize("state", ["HALTED", "CANCEL_ONLY", "CLOSED"])
def test_a_crossed_book_stays_where_nothing_trades(state: str) -> None:
    table = auction("ask a1 alice 50000 0.1\nbid b1 bob 50000 0.1")
    assert table.ask(f"state {state}").startswith(f"AUCTION to {state}")
    table.engine.validate()
    if state != "CLOSED":
        table.play("cancel b1\nstate OPEN")


def test_a_market_without_a_call_phase_has_no_auction() -> None:
    table = Table()
    before = table.state_but_seq()
    assert table.ask("state AUCTION") == "refused invalid_state"
    assert table.state_but_seq() == before


@pytest.mark.parametrize("late_ms", [2_000, 2_001, 10**7])
def test_a_call_phase_that_nobody_could_serve_is_held_again(late_ms: int) -> None:
    table = auction("ask a1 alice 50000 0.1\nbid b1 bob 50000 0.1")
    table.now_ms = next(iter(table.engine.markets())).until_ms + late_ms - 1
    if late_ms <= 2_000:
        table.play("tick -> pair b1 a1 50000 0.1, AUCTION to OPEN")
    else:
        table.play("tick -> AUCTION to AUCTION again for 30 s\nwait 30 -> pair b1 a1 50000 0.1, AUCTION to OPEN")


def test_a_halt_whose_end_came_late_has_its_whole_call_phase() -> None:
    table = play(
        f"""
        breakers {FIVE}
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 0.1
        buy p1 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 1 for 90 s
        """,
        **CALL,
    )
    table.now_ms += 10**6
    table.play("tick -> HALTED to AUCTION by breaker 1 for 30 s\nwait 30 -> AUCTION to OPEN")


def test_staff_may_begin_the_call_anew() -> None:
    auction("wait 20\nstate AUCTION -> AUCTION to AUCTION for 30 s\nwait 29 -> nothing\nwait 1 -> AUCTION to OPEN")


def test_block_orders_pair_too_and_their_accounts_are_told() -> None:
    play(
        """
        family s1..s2 head
        allocation r head equal s1..s2
        state AUCTION
        block r bid b1 head 51000 0.00004
        ask a1 bob 50000 0.00003
        wait 30 -> pair a1 b1 50000 0.00003, s1 gets 0.00002, s2 gets 0.00001, AUCTION to OPEN
        balance s1 BTC -> 100.00002 available, 0 held
        balance s1 USDT -> 999999 available, 0 held
        balance s2 USDT -> 999998.99 available, 0.51 held
        """,
        **CALL,
    )


def test_an_auction_fill_ends_the_other_leg_and_brings_what_is_pending() -> None:
    table = auction("state OPEN -> AUCTION to OPEN")
    table.ask("oco one / ask m alice 51000 0.1 maker / sell s alice market 0.1 stop 45000")
    table.ask("oto two / ask w carol 51000 0.1 / bid p carol 40000 0.1")
    table.play("state AUCTION -> OPEN to AUCTION for 30 s\nbid b1 bob 52000 0.15")
    answer = table.ask("wait 30")
    assert "pair b1 m 51000 0.1" in answer
    assert "pair b1 w 51000 0.05" in answer
    assert [order.order_id for order in table.engine.open_orders()] == [table.orders["w"], table.orders["p"]]
    table.play("state AUCTION\nbid b2 bob 52000 0.05\nwait 30")
    assert [order.order_id for order in table.engine.open_orders()] == [table.orders["p"]]
    assert table.ask("book") == "bids 40000 x 0.1"


def test_trades_in_a_row_of_one_taker_have_one_aggregate() -> None:
    table = auction("ask a1 alice 50000 0.1\nask a2 alice 50000 0.1\nbid b1 bob 50000 0.3\nask a3 carol 50000 0.1")
    table.now_ms += 29_000
    events = []
    while not events or events[-1].KIND != EventKind.MARKET_STATE_CHANGED:
        table.now_ms += 499
        events = table.send(Tick())
    trades = [event for event in events if event.KIND == EventKind.TRADE]
    assert [trade.flags & TradeFlag.AUCTION for trade in trades] == [8, 8, 8]
    assert [trade.agg_id for trade in trades] == [1, 1, 2]
    assert [trade.trade_id for trade in trades] == [1, 2, 3]


# -- the naive model --------------------------------------------------------------------------------------------------
def naive_price(orders: list[tuple[int, int, int]], reference: int) -> tuple[int, int]:
    """Of (side, price, lots): every candidate, counted from scratch."""
    found = []
    for price in {price for _, price, _ in orders} | {reference}:
        demand = sum(lots for side, limit, lots in orders if side == Side.BUY and limit >= price)
        supply = sum(lots for side, limit, lots in orders if side == Side.SELL and limit <= price)
        found.append((-min(demand, supply), abs(demand - supply), abs(price - reference), -price))
    volume, _, _, price = min(found)
    return (-price, -volume) if volume else (0, 0)


@pytest.mark.parametrize("seed", sampled(range(12), 5))
def test_price_and_volume_are_those_of_the_naive_model_and_what_trades(seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    table = Table(**CALL | {"call_s": 5, "initial_price_ticks": 100, "tick_size": 10**8})
    projection = Projection({MARKET: (1, 2)})
    feed(table, projection)
    crossed = 0
    for _ in range(30):
        table.ask("state AUCTION")
        for _ in range(random.randrange(30)):
            enter(table, random)
            row = next(iter(table.engine.markets()))
            orders = [(o.side, o.price_ticks, o.left_lots) for o in table.engine.open_orders()]
            assert (row.auction_ticks, row.auction_lots) == naive_price(orders, row.last_price_ticks or 100)
            if random.random() < 0.1:
                table.engine = Engine.restore(table.engine.snapshot())
        before = next(iter(table.engine.markets()))
        traded = [event for event in events_of(table, "wait 5") if event.KIND == EventKind.TRADE]
        assert sum(event.quantity_lots for event in traded) == before.auction_lots
        assert {event.price_ticks for event in traded} <= {before.auction_ticks}
        crossed += bool(traded)
        table.engine.validate()
    assert crossed > 10
    assert projection.open_levels() == {
        (MARKET, side, price): lots
        for side in (Side.BUY, Side.SELL)
        for price, lots in table.engine.depth(MARKET, side, 1_000)
    }
    assert projection.left == {order.order_id: order.left_lots for order in table.engine.open_orders()}
    assert projection.money() == {
        (row.account_id, row.asset_id): (row.available_units, row.held_units) for row in table.engine.balances()
    }


def feed(table: Table, projection: Projection) -> None:
    """The projection hears of everything that was done so far, and from now on."""
    run, copy = table.run, Engine()

    def running(frames: bytes) -> list[Any]:
        events = run(frames)
        for event in events:
            projection.apply(event)
        return events

    for frames in table.log:
        for event in decode_events(copy.process(frames)):
            projection.apply(event)
    table.run = running  # type: ignore[method-assign]


def events_of(table: Table, line: str) -> list[Any]:
    """All events of one line."""
    run, events = table.run, []

    def noting(frames: bytes) -> list[Any]:
        found = run(frames)
        events.extend(found)
        return found

    table.run = noting  # type: ignore[method-assign]
    table.ask(line)
    table.run = run  # type: ignore[method-assign]
    return events


def enter(table: Table, random: Random) -> None:
    if table.orders and random.random() < 0.15:
        name = random.choice(list(table.orders))
        table.ask(f"cancel {name}")
        return
    lots = random.choice((1, 2, 5, 13))
    fields: dict[str, Any] = {
        "side": random.choice((Side.BUY, Side.SELL)), "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC,
        "price_ticks": max(1, round(random.gauss(100, 4))), "quantity_lots": lots,
        "display_lots": random.choice((0, 0, 1)),
    }  # fmt: skip
    table.place(f"o{len(table.orders)}", random.choice("abcdef"), **fields)


def test_reasons_of_this_rule_are_numbered_for_ever() -> None:
    assert (Reason.BREAKER, Reason.BOOK_CROSSED) == (60, 61)


def test_what_expires_at_the_very_end_of_a_call_is_not_traded() -> None:
    """Its timer would run behind the market's own, which was there before it."""
    table = Table(**CALL)
    table.play("state AUCTION\nbid b1 alice 50000 0.1 gtd 29.999\nask a1 bob 49000 0.1")
    answer = table.ask("wait 30")
    assert "expired b1" in answer
    assert "trade" not in answer
    assert answer.endswith("AUCTION to OPEN")
