"""Circuit breakers (T9, matching-rules.md 6): the examples of docs/matching stand there; here the edges, and a naive
model that keeps every print and counts from scratch.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.matching.engine.breaker_window import BUCKETS
from apps.streams.codec import decode_events
from apps.streams.events import MarketStateChanged, OrderClosed, Trade
from apps.streams.kinds import BreakerMeasure, EventKind, HaltCause, MarketState, OrderKind, Reason, Side, TimeInForce
from apps.streams.messages import BreakerRule
from tests.matching.engine.play import MARKET, Table, play
from tests.sampling import sampled

PRICE, VWAP = BreakerMeasure.PRICE, BreakerMeasure.VWAP
FIVE = BreakerRule(1, PRICE, 500, 60_000, 120)


def table_with(*rules: BreakerRule, **settings: Any) -> Table:
    return Table(breaker_rules=list(rules), **settings)


def halted(table: Table) -> MarketStateChanged:
    """The last event of the last command, which halted the market."""
    copy = Engine.restore(table.engine.snapshot())
    assert copy.state_hash() == table.engine.state_hash()
    row = next(iter(table.engine.markets()))
    assert (row.state, row.cause) == (MarketState.HALTED, HaltCause.BREAKER)
    return row


@pytest.mark.parametrize(
    ("side", "at_the_limit", "beyond"), [("ask", "52500", "52500.01"), ("bid", "47500", "47499.99")]
)
def test_a_print_exactly_at_the_limit_happens_and_one_tick_further_does_not(
    side: str, at_the_limit: str, beyond: str
) -> None:
    taker = "buy" if side == "ask" else "sell"
    table = table_with(FIVE)
    table.play(
        f"""
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        {side} m1 alice {at_the_limit} 0.1
        {side} m2 alice {beyond} 0.1
        {taker} p1 bob market 0.1 -> trade m1 {at_the_limit} 0.1, done
        {taker} p2 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """
    )
    assert halted(table).rule_id == 1


def test_the_first_print_has_nothing_to_be_compared_with() -> None:
    """Not even the initial price, which stands for the last price everywhere else."""
    table = table_with(FIVE, initial_price_ticks=5_000_000)
    table.play("ask a1 alice 90000 0.1\nbuy p1 bob market 0.1 -> trade a1 90000 0.1, done")


def test_the_takers_own_earlier_prints_count() -> None:
    """47,500 is at the limit under 50,000; from there 49,875.01 is more than 5 % up."""
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 47500 0.1
        ask a2 alice 49875 0.1
        ask a3 alice 49875.01 0.1
        bid p1 bob 60000 0.5 -> trade a1 47500 0.1, trade a2 49875 0.1, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """  # noqa: E501
    )


def test_a_read_only_run_counts_own_prints_too() -> None:
    """The same prices as above: a FOK order is short by its last lots, and nothing happens."""
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 47500 0.1
        ask a2 alice 49875 0.1
        ask a3 alice 49875.01 0.1
        bid p1 bob 60000 0.3 fok -> expired no_liquidity
        bid p2 bob 60000 0.2 fok -> trade a1 47500 0.1, trade a2 49875 0.1, done
        """
    )


def test_a_print_leaves_the_window_after_its_bucket_but_the_last_one_before_it_stays() -> None:
    """Buckets of 60 s are 200 ms long. After the window only `before` is left: the last print, not the lowest."""
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 52000 0.1
        buy p1 bob market 0.1 -> trade a1 52000 0.1, done
        ask a2 alice 54600 0.1
        ask a3 alice 54600.01 0.1
        wait 59
        bid p2 bob 54600 0.1 fok -> expired no_liquidity
        wait 2
        bid p3 bob 54600 0.1 ioc -> trade a2 54600 0.1, done
        bid p4 bob 54600.01 0.1 ioc -> expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """
    )


def test_rules_are_asked_by_ascending_id_and_the_first_that_trips_halts() -> None:
    rules = (BreakerRule(3, PRICE, 100, 60_000, 200), BreakerRule(5, PRICE, 50, 60_000, 120))
    table = table_with(*rules)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 51000 0.1
        buy p1 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 3 for 200 s
        """
    )


def test_an_average_is_weighted_and_moves_with_the_takers_own_prints() -> None:
    """0.9 at 50,000 and 0.1 at 60,000 are 51,000 on average: 20 % up is 61,200, then 62,312.72, then 63,351.2."""
    table = table_with()
    table.play(
        """
        breakers 1:vwap:2000:60:120
        ask a0 alice 50000 0.9
        ask a1 alice 60000 0.1
        buy p0 bob market 1 -> trade a0 50000 0.9, trade a1 60000 0.1, done
        breakers 1:vwap:100:60:120
        """
    )
    table.play(
        "ask a2 alice 70000 0.1\nbuy p1 bob market 0.1 -> trade a2 70000 0.1, done"
    )  # a changed rule starts anew
    table = table_with()
    table.play(
        """
        breakers 1:vwap:2000:60:120 2:vwap:2000:120:120
        ask a0 alice 50000 0.9
        ask a1 alice 60000 0.1
        buy p0 bob market 1
        ask a2 alice 61200 0.1
        ask a3 alice 62312 0.1
        ask a4 alice 65000 0.1
        buy p1 bob market 0.1 -> trade a2 61200 0.1, done
        buy p2 bob market 0.2 -> trade a3 62312 0.1, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """
    )


def test_a_window_of_an_average_is_empty_after_it_and_then_anything_prints() -> None:
    table = table_with(BreakerRule(1, VWAP, 100, 60_000, 120))
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 0.1
        bid p1 bob 60000 0.1 fok -> expired no_liquidity
        wait 61
        bid p2 bob 60000 0.1 fok -> trade a1 60000 0.1, done
        """
    )


@pytest.mark.parametrize(("least", "answer"), [(6_000, "OPEN to HALTED by breaker 1 for 120 s"), (6_001, "")])
def test_a_rest_that_is_worth_too_little_halts_nothing(least: int, answer: str) -> None:
    """0.1 at 60,000 are 6,000 USDT."""
    table = table_with(FIVE, breaker_min_notional_units=least * 10**8)
    table.play(
        f"""
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 1
        bid p1 bob 70000 0.1 -> expired breaker{", " if answer else ""}{answer}
        balance bob USDT -> 995000 available, 0 held
        """
    )
    table = table_with(FIVE, breaker_min_notional_units=least * 10**8)
    table.play(
        f"""
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 1
        buy p1 bob spend 6000.5 -> expired breaker{", " if answer else ""}{answer}
        balance bob USDT -> 995000 available, 0 held
        """
    )


def test_a_sell_by_budget_holds_only_what_the_breakers_let_print() -> None:
    table = table_with(FIVE)
    table.play(
        """
        fund bob 0.2 BTC
        bid b0 alice 50000 0.1
        sell p0 bob market 0.1
        bid b1 alice 48000 0.1
        bid b2 alice 40000 10
        sell p1 bob spend 100000 -> trade b1 48000 0.1, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        balance bob BTC -> 0 available, 0 held
        """
    )


def test_a_market_buy_must_afford_only_what_prints() -> None:
    table = table_with(FIVE)
    table.play(
        """
        fund bob 9999 USDT
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 49990 0.1
        ask a2 alice 90000 5
        buy p1 bob market 5 -> trade a1 49990 0.1, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        balance bob USDT -> 0 available, 0 held
        """
    )


def test_who_stands_before_the_forbidden_print_is_treated_as_ever() -> None:
    """Per maker: expired by time, self-trade, breaker. A family's order beyond the limit is met all the same."""
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 bob 60000 0.1
        ask a2 alice 60000 0.1
        bid p1 bob 60000 0.2 stp expire_maker -> prevented a1 0.1, expired_in_match a1 self_trade, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """  # noqa: E501
    )


def test_each_further_halt_within_the_hour_is_a_minute_longer_up_to_five() -> None:
    table = table_with(BreakerRule(1, PRICE, 100, 60_000, 180))
    lengths, price = [], 50_000
    table.play("ask a alice 50000 0.1\nbuy p bob market 0.1")
    for number in range(5):
        price += 2_000
        answer = table.ask(f"ask a{number} alice {price} 0.1") + table.ask(f"buy p{number} bob market 0.1")
        lengths.append(int(answer.split(" for ")[1].split(" s")[0]))
        assert table.ask(f"wait {lengths[-1] - 1}") == "nothing"
        assert table.ask("wait 1") == "HALTED to OPEN"
        table.play(f"cancel a{number}\nask o{number} alice {price} 0.1\nwait 61")
        table.play(f"cancel o{number}\nbreakers\nask r{number} alice {price} 0.1\nbuy s{number} bob market 0.1")
        table.play("breakers 1:price:100:60:180")
    assert lengths == [180, 240, 300, 300, 300]
    table.play("wait 3600")
    answer = table.ask("ask ax alice 90000 0.1") + table.ask("buy px bob market 0.1")
    assert answer.endswith("for 180 s")


@pytest.mark.parametrize(("apart_ms", "length_s"), [(3_599_999, 240), (3_600_000, 180)])
def test_a_halt_of_exactly_an_hour_ago_makes_the_next_one_no_longer(apart_ms: int, length_s: int) -> None:
    table = table_with(BreakerRule(1, PRICE, 100, 60_000, 180))
    table.play("ask a alice 50000 0.1\nbuy p bob market 0.1\nask a1 alice 60000 0.1\nbuy p1 bob market 0.1")
    begun_ms = table.now_ms
    table.play("wait 180 -> HALTED to OPEN")
    table.now_ms = begun_ms + apart_ms - 1
    assert table.ask("buy p2 bob market 0.1").endswith(f"for {length_s} s")


def test_a_print_at_the_first_millisecond_of_a_bucket_is_in_it() -> None:
    """50,400 leaves with its bucket only when the bucket behind it, which has nothing but that print, is the oldest."""
    table = table_with(BreakerRule(1, PRICE, 100, 60_000, 180))
    table.play("ask a1 alice 50000 0.1\nask a2 alice 50400 0.1\nbid b1 carol 49700 0.1")
    bucket_ms = 60_000 // BUCKETS
    boundary_ms = (table.now_ms // bucket_ms + 2) * bucket_ms
    table.now_ms = boundary_ms - 50
    table.play("buy p1 bob market 0.1\nbuy p2 bob market 0.1\nask a3 alice 50000 0.1")
    table.now_ms = boundary_ms - 1
    table.play("buy p3 bob market 0.1 -> trade a3 50000 0.1, done")
    table.now_ms = boundary_ms + 60_000 - 1
    assert table.ask("sell s1 bob market 0.1").endswith("OPEN to HALTED by breaker 1 for 180 s")


def test_a_halt_takes_cancels_only_and_ends_at_its_time() -> None:
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 0.1
        bid b1 bob 49000 0.1
        buy p1 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 1 for 120 s
        bid b2 bob 49000 0.1 -> rejected market_halted
        amend b1 0.05 -> amend rejected market_halted
        cancel b1 -> canceled b1
        wait 119 -> nothing
        wait 1 -> HALTED to OPEN
        """
    )
    row = next(iter(table.engine.markets()))
    assert (row.cause, row.until_ms, row.reopens_ms, row.rule_id) == (HaltCause.NONE, 0, 0, 0)


def test_staff_takes_a_halt_over_and_its_timer_is_gone() -> None:
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 0.1
        buy p1 bob market 0.1
        state HALTED -> HALTED to HALTED
        wait 200 -> nothing
        state OPEN -> HALTED to OPEN
        buy p2 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 1 for 180 s
        """
    )


def test_windows_start_anew_when_the_market_reopens() -> None:
    """From 50,000 one print goes up to 52,400; after the halt the same price is measured against that last price."""
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 52400 0.1
        ask a2 alice 55020 0.1
        ask a3 alice 55020.01 0.1
        buy p1 bob market 0.3 -> trade a1 52400 0.1, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        state OPEN
        buy p2 bob market 0.2 -> trade a2 55020 0.1, expired breaker, OPEN to HALTED by breaker 1 for 180 s
        """
    )


@pytest.mark.parametrize("late_ms", [1_999, 2_000, 2_001, 3_600_000])
def test_a_timer_that_fires_late_opens_nothing(late_ms: int) -> None:
    """An outage, or a clock that jumped ahead: the market stays halted until it is served again."""
    table = table_with(FIVE)
    table.play(
        """
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        ask a1 alice 60000 0.1
        buy p1 bob market 0.1
        """
    )
    table.now_ms = halted(table).until_ms + late_ms - 1
    if late_ms <= 2_000:
        table.play("tick -> HALTED to OPEN")
        return
    table.play("bid b1 bob 1 0.1 -> HALTED to HALTED by breaker 1 for 2 s, rejected market_halted")
    table.play("wait 1 -> nothing\nwait 2 -> HALTED to OPEN")


def test_no_rule_no_breaker_and_settings_without_one_stop_it() -> None:
    table = play("breakers 1:price:1:60:120\nbreakers\nask a0 alice 50000 0.1\nbuy p0 bob market 0.1")
    table.play("ask a1 alice 90000 0.1\nbuy p1 bob market 0.1 -> trade a1 90000 0.1, done")
    assert next(iter(table.engine._state.markets.values())).breaker is None


def test_unchanged_rules_keep_their_windows_when_settings_change() -> None:
    play(
        """
        breakers 1:price:500:60:120 2:price:5000:60:120
        ask a0 alice 50000 0.1
        buy p0 bob market 0.1
        breakers 1:price:500:60:120 2:price:5000:120:120
        set min_lots 2
        ask a1 alice 52501 0.1
        buy p1 bob market 0.1 -> expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """
    )


# -- the naive model --------------------------------------------------------------------------------------------------
class Naive:
    """Every print since the market opened, and the rules as matching-rules.md writes them."""

    def __init__(self, rules: list[BreakerRule]) -> None:
        self.rules = rules
        self.restart(0)

    def restart(self, price: int) -> None:
        self.start, self.prints = price, []  # type: ignore[var-annotated]

    def tripped(self, now: int, p: int) -> int:
        """Id of the first rule that forbids a print at p, 0 for none."""
        for rule in self.rules:
            length = -(-rule.window_ms // 300)

            def counts(t: int, length: int = length, rule: BreakerRule = rule) -> bool:
                return (t // length + 1) * length > now - rule.window_ms

            inside = [each for each in self.prints if counts(each[0])]
            if rule.measure == VWAP:
                lots, value = sum(q for _, _, q in inside), sum(price * q for _, price, q in inside)
                if lots and abs(p * lots - value) * 10**4 > rule.bp * value:
                    return rule.rule_id
                continue
            left = [price for t, price, _ in self.prints if not counts(t)]
            before = left[-1] if left else self.start
            prices = [price for _, price, _ in inside] + ([before] if before else [])
            if prices and ((p - min(prices)) * 10**4 > rule.bp * min(prices)):
                return rule.rule_id
            if prices and ((max(prices) - p) * 10**4 > rule.bp * max(prices)):
                return rule.rule_id
        return 0


RULES: dict[str, list[BreakerRule]] = {
    "price": [BreakerRule(1, PRICE, 300, 1_000, 120), BreakerRule(2, PRICE, 500, 3_001, 120)],
    "vwap": [BreakerRule(1, VWAP, 300, 1_500, 120)],
    "all": [
        BreakerRule(1, PRICE, 400, 1_234, 120), BreakerRule(4, VWAP, 250, 2_000, 150),
        BreakerRule(9, PRICE, 900, 60_000, 300), BreakerRule(10, VWAP, 800, 7_000, 120),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", sampled(range(6), 3))
def test_every_print_and_every_halt_is_that_of_the_naive_model(name: str, seed: int) -> None:
    print(f"seed {seed}, rules {name}")
    random, rules = Random(seed), RULES[name]
    table, naive = table_with(*rules, tick_size=10**8, initial_price_ticks=1_000), Naive(rules)
    trades, trips = 0, 0
    for number in range(2_000):
        table.now_ms += random.choice((0, 0, 1, 3, 20, 150, 700)) + (5_000 if random.random() < 0.004 else 0)
        if random.random() < 0.01:
            for who in table.accounts:
                table.ask(f"cancel-all {who}")
        events = place(table, random, round((event_last(table) or 1_000) * random.lognormvariate(0, 0.02)))
        for event in events:
            if isinstance(event, Trade):
                assert naive.tripped(event.cmd_ms, event.price_ticks) == 0
                naive.prints.append((event.cmd_ms, event.price_ticks, event.quantity_lots))
                trades += 1
            elif isinstance(event, OrderClosed) and event.reason == Reason.BREAKER:
                best = table.engine.depth(MARKET, 1 - event.side, 1)[0][0]
                expected = naive.tripped(event.cmd_ms, best)
                assert expected
                trips += 1
                assert events[-1].KIND == EventKind.MARKET_STATE_CHANGED
                assert events[-1].rule_id == expected
                reopen(table)
                naive.restart(event_last(table))
        if number % 20 == 0:
            naive.prints = naive.prints[-2_000:]
            table.engine.validate()
            table.engine = Engine.restore(table.engine.snapshot())
    assert trades > 500
    assert trips > 5


def place(table: Table, random: Random, price: int) -> list[Any]:
    """A limit or market order that takes what it meets, from one of two sides that never are one account."""
    side = random.choice((Side.BUY, Side.SELL))
    who = random.choice(("alice", "bob", "carol")) + str(int(side))
    fields: dict[str, Any] = {"side": side, "quantity_lots": random.choice((1, 3, 10, 40)), "client_id": ""}
    kind = random.random()
    if kind < 0.7:
        fields |= {"order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "price_ticks": price}
        if random.random() < 0.2:
            fields["display_lots"] = 1
    elif kind < 0.8:
        tif = random.choice((TimeInForce.IOC, TimeInForce.FOK))
        fields |= {"order_kind": OrderKind.LIMIT, "time_in_force": tif, "price_ticks": price}
    elif kind < 0.9:
        fields |= {"order_kind": OrderKind.MARKET}
    else:
        fields |= {"order_kind": OrderKind.MARKET, "quantity_lots": 0, "budget_units": random.randrange(10**9, 10**11)}
    return table.place("o", who, **fields)


def reopen(table: Table) -> None:
    table.play("state OPEN")


def event_last(table: Table) -> int:
    return next(iter(table.engine.markets())).last_price_ticks


def test_reading_the_windows_more_often_changes_nothing() -> None:
    """A snapshot takes in what was printed since the windows were last looked at; so may anybody, at any time."""
    rules = RULES["all"]
    once, often = table_with(*rules, tick_size=10**8), table_with(*rules, tick_size=10**8)
    histories = [history(once, 5, lambda: None), history(often, 5, often.engine.snapshot)]
    assert histories[0] == histories[1]
    assert once.engine.snapshot() == often.engine.snapshot()


def history(table: Table, seed: int, after_each: Callable[[], object]) -> list[Any]:
    random, events = Random(seed), []
    for _ in range(600):
        table.now_ms += random.choice((0, 1, 20, 400))
        events += place(table, random, round(1_000 * random.lognormvariate(0, 0.02)))
        after_each()
    assert decode_events(table.engine.process(b"")) == []
    return events


def test_before_the_first_trade_an_order_is_measured_against_its_own_first_print() -> None:
    """Also where it is only asked what would print: a FOK order does nothing, a market buy pays for what prints."""
    table = table_with(FIVE)
    table.play(
        """
        fund carol 5000 USDT
        ask  a1 alice 50000 0.1
        ask  a2 alice 52500.01 0.1
        bid  p1 bob   60000 0.2 fok -> expired no_liquidity
        last                        -> 0
        buy  p2 carol market 0.2    -> trade a1 50000 0.1, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        """
    )
