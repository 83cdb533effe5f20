"""T11: fees out of what is received, rounded up; rebates out of the same trade's taker fee (matching-rules.md 1)."""

import pytest

from apps.streams.events import RelayRefused, SettingsApplied, Trade
from apps.streams.kinds import Reason
from tests.matching.engine.play import Table, play


def trade_of(table: Table) -> Trade:
    events = table.place("t", "carol", side=0, order_kind=2, quantity_lots=1, client_id="t")
    return next(event for event in events if isinstance(event, Trade))


def test_both_parties_pay_in_what_they_receive() -> None:
    play(
        """
        fees 1000:2000
        ask  a1 alice 50000 0.1
        buy  p1 carol market 0.1      -> trade a1 50000 0.1, done
        balance alice USDT            -> 1004995 available, 0 held
        balance carol BTC             -> 100.0998 available, 0 held
        fees-of USDT                  -> 5
        fees-of BTC                   -> 0.0002
        """
    )


def test_a_fee_is_rounded_up_to_the_next_unit() -> None:
    # One lot = 1000 units of BTC at 1 ppm = 0.001 units -> 1; 50000 ticks... 0.50 USDT = 50,000,000 units x 1 ppm = 50.
    table = play("fees 1:1\nask a1 alice 50000 1")
    trade = trade_of(table)
    assert (trade.taker_fee_units, trade.maker_fee_units) == (1, 50)


def test_a_rebate_is_paid_out_of_the_takers_fee_in_its_asset() -> None:
    # Taker buys 0.1 BTC: fee 0.1 % = 0.0001, rebate 0.02 % of 0.1 = 0.00002; the house keeps 0.00008 BTC.
    play(
        """
        fees -200:1000
        ask  a1 alice 50000 0.1
        buy  p1 carol market 0.1      -> trade a1 50000 0.1, done
        balance carol BTC             -> 100.0999 available, 0 held
        balance alice BTC             -> 99.90002 available, 0 held
        balance alice USDT            -> 1005000 available, 0 held
        fees-of BTC                   -> 0.00008
        fees-of USDT                  -> 0
        """
    )


def test_a_buying_makers_rebate_is_in_quote() -> None:
    play(
        """
        fees -200:1000
        bid  b1 alice 50000 0.1
        sell s1 carol market 0.1      -> trade b1 50000 0.1, done
        balance carol USDT            -> 1004995 available, 0 held
        balance alice USDT            -> 995001 available, 0 held
        balance alice BTC             -> 100.1 available, 0 held
        fees-of USDT                  -> 4
        """
    )


def test_a_rebate_never_exceeds_the_fee_less_the_insurance_share() -> None:
    # Fee ceil(1000 x 1000 / 10^6) = 1 unit, all of it the insurance fund's share: nothing is left for the maker.
    table = play("fees -900:1000\nask a1 alice 50000 1")
    trade = trade_of(table)
    assert (trade.taker_fee_units, trade.maker_fee_units) == (1, 0)


def test_each_account_pays_by_its_tier_and_above_the_last_tier_by_the_last() -> None:
    play(
        """
        fees 1000:1000 500:800
        tier alice 1
        tier carol 7
        ask  a1 alice 50000 0.1
        buy  p1 carol market 0.1      -> trade a1 50000 0.1, done
        balance alice USDT            -> 1004997.5 available, 0 held
        balance carol BTC             -> 100.09992 available, 0 held
        """
    )


def test_the_tier_at_the_time_of_the_trade_counts() -> None:
    play(
        """
        fees 1000:1000 0:0
        ask  a1 alice 50000 0.1
        tier alice 1                  -> applied
        buy  p1 carol market 0.1      -> trade a1 50000 0.1, done
        balance alice USDT            -> 1005000 available, 0 held
        """
    )


@pytest.mark.parametrize(
    ("fees", "passes"), [([(-900, 1000)], True), ([(-901, 1000)], False), ([(-900, 2000), (0, 999)], False)]
)
def test_a_schedule_with_a_rebate_above_90_percent_of_the_lowest_taker_rate_is_refused(
    fees: list[tuple[int, int]], passes: bool
) -> None:
    table = Table()
    (event,) = table.set_market(fees=fees)
    if passes:
        assert isinstance(event, SettingsApplied)
    else:
        assert isinstance(event, RelayRefused)
        assert event.reason == Reason.INVALID_SETTINGS


def test_a_rebate_is_rounded_down() -> None:
    """0.015 BTC are 1,500,000 units; at 1 ppm that is one unit and a half."""
    play(
        """
        fees -1:1000
        ask  a1 alice 50000 0.015
        buy  p1 carol market 0.015    -> trade a1 50000 0.015, done
        balance alice BTC             -> 99.98500001 available, 0 held
        fees-of BTC                   -> 0.00001499
        """
    )


def test_fees_and_rebates_of_prints_whose_products_need_more_than_64_bits() -> None:
    """1,000,000 USDT are 10^14 units; times 400,000 ppm that is above 2^65."""
    play(
        """
        fees 400000:400000
        ask  a1 alice 50000 20
        buy  p1 carol market 20       -> trade a1 50000 20, done
        balance alice USDT            -> 1600000 available, 0 held
        balance carol BTC             -> 112 available, 0 held
        """
    )
    play(
        """
        fees -360000:400000
        bid  b1 alice 50000 20
        sell s1 carol market 20       -> trade b1 50000 20, done
        balance alice USDT            -> 360000 available, 0 held
        balance carol USDT            -> 1600000 available, 0 held
        fees-of USDT                  -> 40000
        """
    )
