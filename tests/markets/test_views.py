"""The site's pages of this app: what they carry, label and refuse (U1; issue 3, item 12)."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AllocationRule
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account
from apps.common.amounts import format_units
from apps.markets.models import Candle, Market
from apps.streams.kinds import AllocationMethod

pytestmark = pytest.mark.django_db
LABEL = b"Simulated data"


def month_candle(market: Market, *, simulated: bool) -> None:
    figures = dict.fromkeys(("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots"), 1)
    figures |= dict.fromkeys(("quote_units", "trades", "taker_base_lots", "taker_quote_units"), 1)
    Candle.objects.create(
        market=market,
        interval="1M",
        open_ms=0,
        first_trade_id=-1,
        last_trade_id=-1,
        simulated=simulated,
        **figures,
    )


def test_trading_page_carries_what_its_script_needs(client: Client, btcusdt: Market) -> None:
    response = client.get("/trade/BTCUSDT")
    html = response.content.decode()
    maker_ppm, taker_ppm = btcusdt.fees[0]
    assert response.status_code == 200
    assert 'data-symbol="BTCUSDT"' in html
    assert f'data-ticket-url="{reverse("accounts:ticket")}"' in html
    assert f'data-maker-rate="{format_units(maker_ppm * 100)}"' in html
    assert f'data-taker-rate="{format_units(taker_ppm * 100)}"' in html
    assert 'data-signed-in="no"' in html
    assert "csrftoken" in response.cookies


def test_a_signed_in_page_says_so(client: Client, btcusdt: Market, django_user_model: type[Any]) -> None:
    user = django_user_model(email="trader@example.com", is_active=True, email_verified_at=timezone.now())
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    assert 'data-signed-in="yes"' in client.get("/trade/BTCUSDT").content.decode()


def test_a_page_trades_as_the_account_that_its_address_names(
    client: Client, btcusdt: Market, django_user_model: type[Any]
) -> None:
    alice, bob = (django_user_model.objects.create_user(f"{name}@example.org", "x" * 12) for name in ("alice", "bob"))
    client.force_login(alice)
    assert 'id="trading-as"' not in client.get("/trade/BTCUSDT").content.decode()
    desk = create_sub_account(user_id=alice.pk, label="<b>Desk")
    page = client.get("/trade/BTCUSDT").content.decode()
    assert f'data-ticket-url="{reverse("accounts:ticket")}"' in page
    assert 'data-query=""' in page
    assert f'href="/trade/BTCUSDT?account={desk.pk}"' in page
    assert "&lt;b&gt;Desk" in page
    page = client.get(f"/trade/BTCUSDT?account={desk.pk}").content.decode()
    assert f'data-ticket-url="/trade/ticket/{desk.pk}"' in page
    assert f'data-query="?account={desk.pk}"' in page
    assert client.get(f"/trade?account={desk.pk}")["Location"] == f"/trade/BTCUSDT?account={desk.pk}"
    freeze_sub_account(user_id=alice.pk, account_id=desk.pk)
    assert "frozen: cancels only" in client.get(f"/trade/BTCUSDT?account={desk.pk}").content.decode()
    foreign = bob.trading_accounts.get().pk
    for wrong in (str(foreign), str(desk.pk + 999), "", "x", f"0{desk.pk}", "9" * 40):
        assert client.get("/trade/BTCUSDT", {"account": wrong}).status_code == 404, wrong
    client.logout()
    assert client.get(f"/trade/BTCUSDT?account={desk.pk}").status_code == 404


def test_rules_for_block_orders_are_offered_to_a_master_account_that_has_some(
    client: Client, btcusdt: Market, django_user_model: type[Any]
) -> None:
    alice = django_user_model.objects.create_user("alice@example.org", "x" * 12)
    client.force_login(alice)
    desk = create_sub_account(user_id=alice.pk, label="<b>Desk")
    main = alice.trading_accounts.get(is_main=True).pk
    assert 'name="allocation"' not in client.get("/trade/BTCUSDT").content.decode()
    for rule_id, method in ((1, AllocationMethod.EQUAL), (2, AllocationMethod.PRO_RATA)):
        AllocationRule.objects.create(
            shard="spot", account_id=main, rule_id=rule_id, method=method, accounts=[desk.pk, main], seq=1
        )
    page = client.get("/trade/BTCUSDT").content.decode()
    assert f'<option value="1" data-asks="" data-accounts="{desk.pk},{main}"' in page
    assert 'data-preview="/account/allocation-rules/1/preview">Rule 1: Equal, 2 accounts</option>' in page
    assert '<option value="2" data-asks="yes"' in page
    assert f'<li data-account="{desk.pk}">&lt;b&gt;Desk ({desk.pk})</li>' in page
    assert 'data-blocks="yes"' in page
    of_desk = client.get(f"/trade/BTCUSDT?account={desk.pk}").content.decode()
    assert 'name="allocation"' not in of_desk
    assert 'data-blocks=""' in of_desk


@pytest.mark.parametrize("symbol", ["NOSUCH", "btcusdt", "BTC-USDT", "X" * 21, "%3Cscript%3E"])
def test_an_unknown_symbol_is_not_found(client: Client, btcusdt: Market, symbol: str) -> None:
    assert client.get(f"/trade/{symbol}").status_code == 404


def test_trade_leads_to_the_first_market_or_to_the_list(client: Client, db: None) -> None:
    assert client.get("/trade")["Location"] == "/markets"


def test_trade_leads_to_the_first_market(client: Client, btcusdt: Market) -> None:
    assert client.get("/trade")["Location"] == "/trade/BTCUSDT"


@pytest.mark.parametrize("path", ["/trade/BTCUSDT", "/markets"])
def test_simulated_data_is_labelled(client: Client, btcusdt: Market, settings: LazySettings, path: str) -> None:
    settings.SIMULATOR = False
    month_candle(btcusdt, simulated=False)
    assert LABEL not in client.get(path).content
    Candle.objects.update(simulated=True)
    assert LABEL in client.get(path).content
    Candle.objects.all().delete()
    settings.SIMULATOR = True
    assert LABEL in client.get(path).content


def test_markets_of_other_shards_are_not_this_sites(client: Client, btcusdt: Market, settings: LazySettings) -> None:
    settings.SHARD = "drill"
    assert client.get("/trade/BTCUSDT").status_code == 404
    assert client.get("/trade").headers["location"] == reverse("markets:list")
    settings.SHARD = "spot"
    assert client.get("/trade").headers["location"] == "/trade/BTCUSDT"
