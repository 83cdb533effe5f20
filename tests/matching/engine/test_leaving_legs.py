"""Read-only runs and legs of OCOs that a sweep's first print ends before the sweep meets them (docs: Order lists)."""

import pytest

from tests.matching.engine.play import Table, play

# Last price 49000. A sweep of sells meets b1, then perhaps the leg b2, then b3.
BIDS = """
    bid  b0 bob 49000 0.01
    sell x0 carol market 0.01
    bid  b1 bob {first} 0.1
    oco l1 / buy s1 alice market 0.1 {stop} / bid b2 alice {leg}
    bid  b3 dave 48000 1
"""
# The same upside down: last price 51000. A sweep of buys meets a1, then perhaps the leg a2, then a3.
ASKS = """
    ask  a0 bob 51000 0.01
    buy  x0 carol market 0.01
    ask  a1 bob {first} 0.1
    oco l1 / ask a2 alice {leg} / sell s1 alice market 0.1 {stop}
    ask  a3 dave 52000 1
"""


def bids(stop: str, leg: str = "49500 0.1 maker", first: str = "50000") -> Table:
    table = play(BIDS.format(first=first, stop=stop, leg=leg))
    table.engine.validate()
    return table


def asks(stop: str, leg: str = "50500 0.1 maker", first: str = "50000") -> Table:
    table = play(ASKS.format(first=first, stop=stop, leg=leg))
    table.engine.validate()
    return table


# Whether the first print, at 50000 if nothing else is said, triggers s1, and so takes the leg away.
BUY_STOPS = [
    ("stop 49800", "50000", True),
    ("stop 50000", "50000", True),
    ("stop 50000.01", "50000", False),
    ("stop 0 trail 200", "49980", True),  # from 49000 on
    ("stop 0 trail 200", "49979.99", False),
    ("stop 49800 trail 10", "50000", False),  # begins to trail now
]
SELL_STOPS = [
    ("stop 50200", "50000", True),
    ("stop 50000", "50000", True),
    ("stop 49999.99", "50000", False),
    ("stop 0 trail 100", "50490", True),  # from 51000 on
    ("stop 0 trail 100", "50490.01", False),
    ("stop 50200 trail 10", "50000", False),
]


@pytest.mark.parametrize(("stop", "first", "leaves"), BUY_STOPS)
def test_a_sell_that_must_fill_whole_counts_what_the_first_print_leaves(stop: str, first: str, leaves: bool) -> None:
    table = bids(stop, first=first)
    answer = table.ask("ask f1 carol 49500 0.2 fok")
    if leaves:
        assert answer == "expired no_liquidity"
        assert table.ask("book") == f"bids {first} x 0.1 49500 x 0.1 48000 x 1"
        answer = table.ask("ask f2 carol 48000 0.2 fok")
        assert answer.startswith(f"trade b1 {first} 0.1, triggered s1, expired b2 list_ended, trade b3 48000 0.1, done")
    else:
        assert answer == f"trade b1 {first} 0.1, trade b2 49500 0.1, done, expired s1 list_ended, list done"
    table.engine.validate()


@pytest.mark.parametrize(("stop", "first", "leaves"), SELL_STOPS)
def test_a_buy_that_must_fill_whole_counts_what_the_first_print_leaves(stop: str, first: str, leaves: bool) -> None:
    table = asks(stop, first=first)
    answer = table.ask("bid f1 carol 50500 0.2 fok")
    if leaves:
        assert answer == "expired no_liquidity"
        answer = table.ask("bid f2 carol 52000 0.2 fok")
        assert answer.startswith(f"trade a1 {first} 0.1, triggered s1, expired a2 list_ended, trade a3 52000 0.1, done")
    else:
        assert answer == f"trade a1 {first} 0.1, trade a2 50500 0.1, done, expired s1 list_ended, list done"
    table.engine.validate()


@pytest.mark.parametrize(("stop", "cost"), [("stop 50200", "10200"), ("stop 49000", "10050")])
def test_a_market_buy_must_afford_what_stands_behind_the_leg(stop: str, cost: str) -> None:
    table = asks(stop)
    table.play(
        f"""
        fund frank {int(cost) - 1}.99 USDT
        buy x1 frank market 0.2 -> rejected insufficient_balance
        fund frank 0.01 USDT
        """
    )
    assert ", done" in table.ask("buy x2 frank market 0.2")
    assert table.ask("balance frank USDT") == "0 available, 0 held"
    assert table.ask("balance frank BTC") == "0.2 available, 0 held"
    table.engine.validate()


def test_a_market_buy_need_not_afford_a_leg_that_leaves() -> None:
    table = asks("stop 50200")
    table.play(
        """
        cancel a3 -> canceled a3
        fund frank 5000 USDT
        buy x1 frank market 0.2 -> trade a1 50000 0.1, triggered s1, expired a2 list_ended, expired no_liquidity, expired s1 no_liquidity, list done
        balance frank USDT -> 0 available, 0 held
        """  # noqa: E501
    )


@pytest.mark.parametrize(
    ("stop", "lots"), [("stop 49800", "0.2"), ("stop 0 trail 200", "0.2"), ("stop 55000", "0.19696")]
)
def test_a_sell_by_budget_holds_what_will_print(stop: str, lots: str) -> None:
    table = bids(stop)
    table.play(
        f"""
        fund frank {lots} BTC
        withdraw frank 0.00001 BTC
        sell x1 frank spend 9800 -> rejected insufficient_balance
        fund frank 0.00001 BTC
        """
    )
    assert "filled budget_spent" in table.ask("sell x2 frank spend 9800")
    assert table.ask("balance frank BTC") == "0 available, 0 held"
    table.engine.validate()


def test_the_smallest_case_that_stopped_the_engine() -> None:
    """It ended in InvariantBroken: the run had counted b2, and x1 held too little for b4."""
    table = play(
        """
        bid  b0 bob 90 1
        sell x0 carol market 1
        bid  b1 bob 123 1
        oco l1 / buy s1 alice market 1 stop 122 / bid b2 alice 94 1 maker
        bid  b3 bob 84 1
        bid  b4 bob 73 1
        fund frank 2.37864 BTC
        sell x1 frank spend 245 -> rejected insufficient_balance
        fund frank 0.14272 BTC
        """
    )
    answer = table.ask("sell x2 frank spend 245")
    assert answer.startswith("trade b1 123 1, triggered s1, expired b2 list_ended, trade b3 84 1, trade b4 73 0.5")
    table.engine.validate()


def test_the_hidden_rest_of_a_leg_goes_with_it() -> None:
    table = bids("stop 49800", leg="49500 0.1 maker show 0.05")
    assert table.ask("ask f1 carol 49500 0.15 fok") == "expired no_liquidity"
    assert table.ask("ask f2 carol 49500 0.2 fok") == "expired no_liquidity"


def test_a_leg_at_the_level_of_the_first_print_goes_too() -> None:
    table = bids("stop 0 trail 100", leg="50000 0.1 maker")
    assert table.ask("ask f1 carol 50000 0.2 fok") == "expired no_liquidity"
    answer = table.ask("sell x1 carol market 0.2")
    assert answer.startswith("trade b1 50000 0.1, triggered s1, expired b2 list_ended, trade b3 48000 0.1, done")


def test_a_leg_that_is_the_first_print_stays() -> None:
    """Its stop ends with that print, so what it hides trades on."""
    table = bids("stop 0 trail 100", leg="50010 0.1 maker show 0.05")
    answer = table.ask("ask f1 carol 50000 0.2 fok")
    assert answer == (
        "trade b2 50010 0.05, refill b2 0.05, expired s1 list_ended, trade b2 50010 0.05, list done,"
        " trade b1 50000 0.1, done"
    )


def test_a_leg_that_lost_lots_to_its_own_family_before_the_first_print_stays() -> None:
    table = play(
        """
        fund alice 5000 USDT
        fund alice 1 BTC
        ask a0 bob 51000 0.01
        buy x0 carol market 0.01
        oco l1 / ask a2 alice 50000 0.1 maker show 0.05 / sell s1 alice market 0.1 stop 0 trail 100
        ask a1 bob 50000 0.1
        ask a3 dave 52000 1
        """
    )
    answer = table.ask("buy x1 alice market 0.2 stp decrement")
    assert "prevented a2 0.05, expired s1 list_ended" in answer
    assert "trade a1 50000 0.1" in answer
    assert answer.endswith("prevented a2 0.05, expired_in_match a2 self_trade, list done, expired_in_match self_trade")
    assert table.ask("balance alice USDT") == "0 available, 0 held"
    table.engine.validate()


def test_a_leg_of_the_takers_own_family_leaves_before_it_is_met() -> None:
    """EXPIRE_TAKER would end the run there."""
    table = bids("stop 49800")
    answer = table.ask("ask f1 alice 48000 0.2 fok stp expire_taker")
    assert answer.startswith("trade b1 50000 0.1, triggered s1, expired b2 list_ended, trade b3 48000 0.1, done")


def test_legs_that_were_pending_leave_as_well() -> None:
    table = play(
        """
        bid  b0 bob 49000 0.01
        sell x0 carol market 0.01
        otoco l1 / ask w1 alice 48990 0.1 / buy s1 alice market 0.1 stop 49800 / bid b2 alice 48500 0.1 maker
        """
    )
    table.play(
        """
        buy  x1 carol market 0.1   -> trade w1 48990 0.1, done, enters s1, enters b2, rests b2 0.1
        bid  b1 bob 50000 0.1
        bid  b3 dave 48000 1
        ask  f1 carol 48500 0.2 fok -> expired no_liquidity
        """
    )
    answer = table.ask("ask f2 carol 48000 0.2 fok")
    assert answer.startswith("trade b1 50000 0.1, triggered s1, expired b2 list_ended, trade b3 48000 0.1, done")


def test_a_print_that_a_breaker_forbids_ends_no_leg() -> None:
    """The first level may print, the one behind the leg may not."""
    table = bids("stop 49800")
    table.ask("breakers 1:price:250:60:120")
    assert table.ask("ask f1 carol 48000 0.2 fok") == "expired no_liquidity"
    table.play(
        """
        fund frank 0.1 BTC
        sell x1 frank spend 9800 -> trade b1 50000 0.1, triggered s1, expired b2 list_ended, expired breaker, OPEN to HALTED by breaker 1 for 120 s
        balance frank BTC -> 0 available, 0 held
        """  # noqa: E501
    )
