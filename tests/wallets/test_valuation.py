"""What balances are worth: exact, rounded down, by the shortest way, and only where a price says so."""

from fractions import Fraction
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.ledger.models import Balance
from apps.markets.models import Market
from apps.markets.services import create_market
from apps.orders.models import Trade
from apps.wallets.valuation import rates_in, value_units
from tests.markets.conftest import TERMS
from tests.wallets.conftest import House

COIN = 10**8
BTC, USDT, ETH, DOT = 1, 2, 3, 4


def market(number: int, base: int, quote: int) -> Market:
    """One tick is a hundredth of the quote asset."""
    return Market(id=number, base_asset_id=base, quote_asset_id=quote, tick_size=COIN // 100)


def test_ways_through_markets() -> None:
    markets = [market(1, BTC, USDT), market(2, ETH, BTC), market(3, DOT, ETH)]
    prices = {1: 3_000_000, 2: 5, 3: 20}  # 30,000; 0.05; 0.2
    assert rates_in(USDT, markets, prices) == {
        USDT: 1, BTC: 30_000, ETH: 1_500, DOT: 300,
    }  # fmt: skip
    # The other way through each, exactly: no rounding on the way.
    assert rates_in(DOT, markets, prices)[USDT] == Fraction(1, 300)
    # The shortest way counts, then the lowest number; without a price there is none; three markets are far enough.
    shortcut = [*markets, market(4, ETH, USDT), market(5, ETH, USDT)]
    assert rates_in(USDT, shortcut, {**prices, 4: 160_000, 5: 170_000})[ETH] == 1_600
    assert rates_in(USDT, markets, {**prices, 2: 0}).keys() == {USDT, BTC}
    chain = [market(number, number + 1, number) for number in range(1, 6)]
    assert rates_in(1, chain, dict.fromkeys(range(1, 6), 100)).keys() == {1, 2, 3, 4}
    assert rates_in(9, markets, prices) == {9: 1}


@pytest.mark.parametrize(
    ("units", "rate", "value"),
    [(3, Fraction(1, 3), 1), (2, Fraction(1, 3), 0), (5, Fraction(2, 3), 3), (2**62, Fraction(7, 2), 7 * 2**61)],
)
def test_values_are_rounded_down(units: int, rate: Fraction, value: int) -> None:
    assert value_units(units, rate) == value


def test_the_page_says_it_in_the_asset_that_the_user_chose(house: House, page: Client) -> None:
    create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
    for account, asset, units in ((house.main, BTC, 2 * COIN), (house.desk, USDT, 50 * COIN)):
        Balance.objects.create(
            account_id=account.pk, asset_id=asset, available_units=units, held_units=0, posted_units=units, seq=1
        )
    before = page.get("/account/balances").content.decode()
    assert '<b class="num">50.00</b> USDT, without BTC, for which there is no price' in before
    Trade.objects.create(
        id=1, market_id=Market.objects.get().pk, trade_id=1, agg_id=1, maker_order_id=1, taker_order_id=2,
        maker_account_id=7, taker_account_id=8, price_ticks=100_000_00 // 100, quantity_lots=1, quote_units=1,
        taker_is_buyer=True, taker_fee_units=0, maker_fee_units=0, time_ms=1, seq=1,
    )  # fmt: skip
    price = 100_000 * TERMS.tick_size // COIN
    assert f'<b class="num">{2 * price + 50:,}.00</b> USDT.' in page.get("/account/balances").content.decode()
    assert page.post("/account/balances/value-in", {"asset": "BTC"}).status_code == 302
    assert "BTC." in page.get("/account/balances").content.decode()
    assert User.objects.get(pk=house.user.pk).value_asset == "BTC"


@pytest.mark.parametrize("wrong", [{}, {"asset": "XYZ"}, {"asset": "btc"}, {"asset": ""}])
def test_only_a_listed_asset(house: House, page: Client, wrong: dict[str, Any]) -> None:
    answer = page.post("/account/balances/value-in", wrong, follow=True)
    assert "Choose an asset that is listed here. Nothing was changed." in answer.content.decode()
    assert User.objects.get(pk=house.user.pk).value_asset == "USDT"
