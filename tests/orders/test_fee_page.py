"""The page of fee tiers: the volumes of the daily computation, for the accounts of one user, and what is missing."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import AccountSettings, TradingAccount, User
from apps.accounts.selectors import main_account
from apps.accounts.services.subaccounts import create_sub_account
from apps.common.amounts import for_reading, format_units
from apps.markets.models import Asset, Market
from apps.orders.fee_tiers import today, update_fee_tiers, volumes, volumes_of
from apps.orders.feeselectors import fees_of, tiers_of
from apps.orders.policy import VOLUME_TIERS
from tests.accounts.people import PASSWORD
from tests.orders.test_fee_tiers import ALICE, BOB, COIN, DAY, at, listed, trade

__all__ = ["listed"]


def test_volumes_are_those_of_the_computation(listed: None) -> None:
    """Both sides, every market, each end of the days."""
    first = DAY - timedelta(days=30)
    for time_ms in (at(first, -1), at(first), at(DAY, -1), at(DAY)):
        trade(1, 7 * COIN, time_ms)
        trade(2, COIN, time_ms, taker=1003)
        trade(3, COIN, time_ms, lots=9)
    for day in (DAY - timedelta(days=100), DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)):
        everybodys = volumes(day)
        for accounts in ([ALICE], [BOB, 1003], [ALICE, BOB, 1003, 1004]):
            own = {account: units for account, units in everybodys.items() if account in accounts}
            assert volumes_of(accounts, day) == own
    assert set(volumes(DAY)) == {ALICE, BOB, 1003}


def test_after_the_computation_of_the_day_no_trades_are_read(listed: None) -> None:
    """Those of the day before it are gone, and of another day they are added up again."""
    trade(1, 9 * COIN, at(DAY - timedelta(days=31), 0), taker=1003)
    trade(1, 7 * COIN, at(DAY, -1))
    accounts = [ALICE, BOB, 1003, 1004]
    for day in (DAY - timedelta(days=1), DAY, DAY):
        wanted = volumes(day)
        update_fee_tiers(day=day)
        with CaptureQueriesContext(connection) as asked:
            assert volumes_of(accounts, day) == wanted
        assert len(asked) == 2
    assert volumes_of(accounts, DAY - timedelta(days=1)) == {ALICE: 9 * COIN, 1003: 9 * COIN}


@pytest.mark.parametrize(
    ("off", "tier", "missing", "percent"), [(-1, 0, "0.00000001", 99), (0, 1, "4000000.00000000", 20)]
)
def test_what_is_missing_at_the_limit(listed: None, off: int, tier: int, missing: str, percent: int) -> None:
    trade(1, VOLUME_TIERS[1] * COIN + off, at(DAY, -1))
    (found,) = tiers_of(accounts=[TradingAccount(pk=ALICE)], day=DAY)
    assert (found.tier, found.by_volume, found.missing, found.percent) == (0, tier, missing, percent)
    assert found.volume == format_units(VOLUME_TIERS[1] * COIN + off)


def test_nothing_is_missing_in_the_highest_tier_and_the_engine_s_tier_is_shown(listed: None) -> None:
    trade(1, VOLUME_TIERS[-1] * COIN, at(DAY, -1))
    AccountSettings.objects.create(account_id=ALICE, family_id=ALICE, fee_tier=2, seq=1)
    (found,) = tiers_of(accounts=[TradingAccount(pk=ALICE)], day=DAY)
    assert (found.tier, found.by_volume, found.next_from, found.missing, found.percent) == (2, 4, "", "", 100)


def test_rates_of_a_tier(listed: None) -> None:
    Market.objects.filter(symbol="BTCUSDT").update(fees=[[800, 1_000], [-50, 900]])
    shown = {each.market.symbol: (each.maker, each.taker) for each in fees_of(tier=3)}
    assert shown["BTCUSDT"] == ("-0.0050", "0.0900")
    assert shown["ETHBTC"] == ("0.0800", "0.1000")


def test_the_page(listed: None, client: Client) -> None:
    user = User.objects.create_user("alice@example.org", PASSWORD)
    sub = create_sub_account(user_id=user.pk, label="Desk")
    main = main_account(user_id=user.pk)
    trade(1, 5 * COIN, at(today(), -1), maker=main.pk, taker=999)
    client.force_login(user)
    page = client.get("/account/fees").content.decode()
    assert ">5.00<" in page
    assert ">999,995.00<" in page
    assert "from 1,000,000.00 USDT" in page
    assert f">{sub.pk}<" in page
    Market.objects.all().delete()
    assert "No market is listed yet." in client.get("/account/fees").content.decode()


def test_its_number_of_queries_is_the_same_with_more_markets_and_accounts(listed: None, client: Client) -> None:
    user = User.objects.create_user("alice@example.org", PASSWORD)
    client.force_login(user)
    client.get("/account/fees")  # a session that was opened by other means than a log-in is written once
    with CaptureQueriesContext(connection) as few:
        client.get("/account/fees")
    # Each with another asset to turn into the counted one, at a price of its own.
    usdt, btc = Asset.objects.get(code="USDT"), Market.objects.get(symbol="BTCUSDT")
    terms = {field.attname: getattr(btc, field.attname) for field in Market._meta.concrete_fields}
    main = main_account(user_id=user.pk)
    for number in range(10, 18):
        asset = Asset.objects.create(id=number, code=f"C{number}", name="Coin")
        for market_id, base, quote in ((number, asset, usdt), (number + 100, usdt, asset)):
            named = {"id": market_id, "symbol": f"{base.code}{quote.code}"}
            Market.objects.create(**terms | named | {"base_asset_id": base.id, "quote_asset_id": quote.id})
        eth = {"id": number + 200, "symbol": f"ETH{asset.code}", "base_asset_id": 3, "quote_asset_id": asset.id}
        Market.objects.create(**terms | eth)
        trade(number, 0, at(today(), -2), price_ticks=number, maker=999, taker=999)
        trade(number + 200, COIN, at(today(), -1), maker=main.pk, taker=999)
    create_sub_account(user_id=user.pk, label="Desk")
    with CaptureQueriesContext(connection) as many:
        page = client.get("/account/fees").content.decode()
    assert len(many) == len(few)
    assert for_reading(format_units(sum(number * btc.tick_size for number in range(10, 18)))) in page
    assert page.count('data-label="Market"') == 4 + 3 * 8


@pytest.mark.django_db
def test_the_page_without_the_asset_that_volumes_are_counted_in(client: Client) -> None:
    client.force_login(User.objects.create_user("alice@example.org", PASSWORD))
    assert "every account has tier 0" in client.get("/account/fees").content.decode()
