"""Staff can look at every record of money and change none."""

from typing import Any

import pytest
from django.apps import apps as django_apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from msgspec import structs

from apps.accounts.models import User
from apps.audit.recordadmin import RecordAdmin
from apps.markets.models import Asset, Market
from apps.orders.models import Reconciliation
from apps.orders.services import review_parked_order
from apps.streams.kinds import Review, Side, StpMode
from tests.accounts.factors import enter_admin
from tests.orders.recorded import ALICE, Recorded
from tests.orders.tape import BTC, USDT, market_settings
from tests.orders.test_settlement import play_t2

MODELS = [
    "outbox.OutboxRow", "ledger.Entry", "ledger.Balance", "ledger.HouseTotal", "orders.Order", "orders.Trade",
    "orders.Reconciliation", "orders.ParkedOrder", "orders.OrderReview", "orders.PreventedMatch",
]  # fmt: skip


@pytest.fixture
def staff(recorded: Recorded) -> Client:
    """Somebody with every right, in a platform where the worked example T2 is settled."""
    for asset, code in ((BTC, "BTC"), (USDT, "USDT")):
        Asset.objects.create(id=asset, code=code, name=code)
    for market_id, symbol in ((1, "BTCUSDT"), (2, "USDTBTC")):
        settings = structs.asdict(market_settings(market_id=market_id, symbol=symbol))
        del settings["market_id"]
        Market.objects.create(id=market_id, **settings)
    play_t2(recorded)
    recorded.tape.accept(5, ALICE, Side.BUY, 1, 1)
    recorded.tape.park(5, 5_000_000)
    recorded.tape.accept(6, ALICE, Side.SELL, 1, 1)
    recorded.tape.prevent(5, 6, 1, StpMode.EXPIRE_TAKER)
    recorded.settle()
    review_parked_order(order_id=5, decision=Review.REJECT, reason="too low", requested_by="someone")
    now = timezone.now()
    Reconciliation.objects.create(
        shard="spot", engine_seq=9, ledger_seq=10, equal=False, differences=["balance"], started_at=now, finished_at=now
    )
    client = Client()
    enter_admin(client, User.objects.create_superuser(email="root@example.com", password="long enough for anyone"))
    return client


def address(model: str, page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model.lower().replace('.', '_')}_{page}", args=arguments)


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows_are_shown_and_nothing_can_be_changed(staff: Client, model: str) -> None:
    rows = django_apps.get_model(model).objects
    before = list(rows.order_by("pk").values())
    assert before
    for query in ({}, {"q": str(ALICE)}, {"q": "nothing like it"}, {"q": "٣"}, {"q": "9" * 30}):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert staff.get(address(model, "changelist"), query).status_code == 200
        table = django_apps.get_model(model)._meta.db_table
        assert not [q["sql"] for q in queries if "DISTINCT" in q["sql"] and table in q["sql"]]
        assert not [q["sql"] for q in queries if f'COUNT(*) AS "__count" FROM "{table}"' in q["sql"]]
    pk = before[0]["id"]
    assert staff.get(address(model, "change", pk)).status_code == 200
    assert staff.post(address(model, "change", pk), {"amount_units": 1}).status_code == 403
    assert staff.get(address(model, "add")).status_code == 403
    assert staff.post(address(model, "add"), {}).status_code == 403
    assert staff.post(address(model, "delete", pk), {"post": "yes"}).status_code == 403
    deleting = {"action": "delete_selected", "_selected_action": [str(pk)], "post": "yes"}
    staff.post(address(model, "changelist"), deleting)
    assert list(rows.order_by("pk").values()) == before


def test_every_page_of_the_record_only_shows() -> None:
    for model in MODELS:
        assert isinstance(admin.site._registry[django_apps.get_model(model)], RecordAdmin)


def test_search_and_filters(staff: Client) -> None:
    def listed(model: str, **query: str) -> int:
        return len(staff.get(address(model, "changelist"), query).context["cl"].result_list)

    assert listed("orders.Order", q="4") == 1
    assert listed("orders.Order", status="3") == 2
    assert listed("orders.Order", market="1") == 6
    assert listed("orders.Order", market="2") == 0
    assert listed("orders.Order", market="x") == 6
    assert listed("orders.Trade", q=str(ALICE)) == 2
    assert listed("orders.ParkedOrder") == listed("orders.ParkedOrder", review="all") == 1
    assert listed("orders.PreventedMatch", q="6") == 1
    assert listed("ledger.Entry", q=str(ALICE)) == 5
    assert listed("outbox.OutboxRow", q="market:1:open") == 1
    assert listed("orders.Reconciliation", equal__exact="0") == 1
