"""Staff pages: everything goes through the services with a reason; nothing bypasses the engine."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.markets.models import Asset, Market, MarketSettingsChange, MarketStateChange
from apps.markets.services import MarketTerms
from apps.outbox.models import OutboxRow
from apps.streams.kinds import MarketState
from apps.streams.messages import MarketSettings
from tests.accounts.factors import enter_admin
from tests.markets.conftest import TERMS
from tests.markets.test_services import applied, everything


@pytest.fixture
def staff(db: None) -> Client:
    user = User.objects.create_user("staff@example.org", "a password of staff", is_staff=True, is_superuser=True)
    client = Client()
    enter_admin(client, user)
    return client


def terms_data(**changes: Any) -> dict[str, Any]:
    values = {name: getattr(TERMS, name) for name in TERMS.__struct_fields__} | changes
    return values | {"fees": json.dumps(values["fees"])}


def test_settings_change_goes_to_the_engine(btcusdt: Market, staff: Client) -> None:
    applied(MarketSettingsChange.objects.get())
    url = reverse("admin:markets_market_change", args=(btcusdt.pk,))
    assert staff.get(url).status_code == 200
    answer = staff.post(url, terms_data(min_lots=7) | {"reason": "smaller orders"})
    assert answer.status_code == 302
    change = MarketSettingsChange.objects.get(settings_version=2)
    assert (change.reason, change.requested_by) == ("smaller orders", "staff: staff@example.org")
    assert change.settings["min_lots"] == 7
    assert Market.objects.get().min_lots == 1, "the row follows the engine"
    assert OutboxRow.objects.filter(key=change.outbox_key).count() == 1


def test_staff_can_change_every_market_rule(btcusdt: Market, staff: Client) -> None:
    """Whatever the engine checks an order against stands in the form, but for what a market is for ever."""
    fixed = {"market_id", "symbol", "base_asset_id", "quote_asset_id", "settings_version"}
    assert set(MarketTerms.__struct_fields__) == set(MarketSettings.__struct_fields__) - fixed
    page = staff.get(reverse("admin:markets_market_change", args=(btcusdt.pk,))).content.decode()
    for name in MarketTerms.__struct_fields__:
        assert f'name="{name}"' in page, name


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        ({"min_lots": 7}, "", "This field is required"),
        ({"min_lots": 0}, "x", "lot limits must be"),
        ({"fees": [[-1_000, 1_000]]}, "x", "90 % of the lowest taker rate"),
        ({}, "x", "Nothing would change"),
    ],
)
def test_refused_settings_are_explained_and_change_nothing(
    btcusdt: Market, staff: Client, changes: dict[str, Any], reason: str, text: str
) -> None:
    applied(MarketSettingsChange.objects.get())
    before = everything()
    answer = staff.post(
        reverse("admin:markets_market_change", args=(btcusdt.pk,)), terms_data(**changes) | {"reason": reason}
    )
    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert everything() == before


def test_new_asset_and_market(btcusdt: Market, staff: Client) -> None:
    assert staff.post(reverse("admin:markets_asset_add"), {"code": "ETH", "name": "Ether"}).status_code == 302
    eth = Asset.objects.get(code="ETH")
    assert OutboxRow.objects.filter(key=f"asset:{eth.pk}:settings:1").exists()
    data = terms_data() | {"base_asset": eth.pk, "quote_asset": 2, "reason": "demand"}
    assert staff.post(reverse("admin:markets_market_add"), data).status_code == 302
    market = Market.objects.get(symbol="ETHUSDT")
    assert market.settings_changes.get().requested_by == "staff: staff@example.org"
    before = everything()
    assert "exists already" in staff.post(reverse("admin:markets_market_add"), data).content.decode()
    assert (
        "capital letters"
        in staff.post(reverse("admin:markets_asset_add"), {"code": "eth", "name": "x"}).content.decode()
    )
    assert everything() == before


def test_state_actions_need_a_reason(btcusdt: Market, staff: Client) -> None:
    url = reverse("admin:markets_market_changelist")
    data = {"action": "halt", "_selected_action": [btcusdt.pk], "index": 0}
    before = everything()
    assert "Give a reason" in staff.post(url, data, follow=True).content.decode()
    assert everything() == before
    answer = staff.post(url, data | {"reason": "drill"}, follow=True).content.decode()
    assert "on its way to the engine" in answer
    change = MarketStateChange.objects.get()
    assert (change.state, change.reason) == (MarketState.HALTED, "drill")
    listed = staff.get(reverse("admin:markets_marketstatechange_changelist")).content.decode()
    assert "drill" in listed
    assert "waiting" in listed


@pytest.mark.parametrize(
    "model", ["asset", "market", "marketsettingschange", "marketstatechange", "assetclasschange", "classstatechange"]
)
def test_nothing_can_be_deleted_or_edited_around_the_engine(btcusdt: Market, staff: Client, model: str) -> None:
    assert staff.get(reverse(f"admin:markets_{model}_changelist")).status_code == 200
    pk = {"marketsettingschange": MarketSettingsChange.objects.get().pk}.get(model, 1)
    if model in ("asset", "market", "marketsettingschange"):
        assert staff.post(reverse(f"admin:markets_{model}_delete", args=(pk,)), {"post": "yes"}).status_code == 403
    if model == "marketsettingschange":
        assert staff.post(reverse(f"admin:markets_{model}_change", args=(pk,)), {"name": "Evil"}).status_code == 403
    if model == "asset":
        staff.post(reverse("admin:markets_asset_change", args=(pk,)), {"name": "Evil", "code": "EVIL"})
        assert Asset.objects.get(pk=pk).name == "Bitcoin"
