"""Asset classes (T10): which assets are of one, all its markets moved at once, and what staff sees of the answer."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import User
from apps.common.errors import DomainError
from apps.markets.errors import ChangePending, InvalidMarket, UnknownAsset, UnknownClass, WrongState
from apps.markets.models import Asset, AssetClassChange, ClassStateChange, Market, MarketStateChange
from apps.markets.services import (
    CLASS_ACTIONS,
    MarketAction,
    change_asset_class,
    create_asset,
    create_market,
    mirror_asset,
    set_class_state,
    set_market_state,
)
from apps.outbox.errors import ReasonMissing
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import decode_command, decode_settings
from apps.streams.kinds import CommandKind, HaltCause, MarketState, Reason
from apps.streams.messages import AssetSettings
from tests.accounts.factors import enter_admin
from tests.markets.conftest import TERMS
from tests.markets.test_services import everything
from tests.orders.live import SHARD, LiveShard, until


def ask_class(code: str = "BTC", asset_class: str = "coin", **changes: Any) -> list[AssetClassChange]:
    values = {"code": code, "asset_class": asset_class, "reason": "listing", "requested_by": "ann"} | changes
    return change_asset_class(**values)


def ask_state(asset_class: str = "coin", action: MarketAction = MarketAction.HALT, **changes: Any) -> Any:
    values = {"asset_class": asset_class, "action": action, "reason": "drill", "requested_by": "ann"} | changes
    return set_class_state(**values)


def answered(key: str, reason: Reason = Reason.NONE) -> None:
    """What settlement makes of the engine's answer."""
    row = OutboxRow.objects.get(key=key)
    OutboxRow.objects.filter(key=key).update(
        state=OutboxState.REFUSED if reason else OutboxState.DONE, reason=reason, event_seq=row.pk, relay_seq=row.pk
    )


@pytest.fixture
def coin(btcusdt: Market) -> Market:
    """BTC is of class coin."""
    (change,) = ask_class()
    answered(change.outbox_key)
    with connection.cursor() as cursor:
        mirror_asset(cursor, settings=AssetSettings(1, "BTC", "coin"))
    return btcusdt


# -- What is asked of the engine --------------------------------------------------------------------------------------
def test_a_class_is_asked_for_and_the_row_follows_the_engine(btcusdt: Market) -> None:
    (change,) = ask_class(reason=" listing ")
    assert (change.shard, change.reason, change.requested_by) == ("spot", "listing", "ann")
    row = OutboxRow.objects.get(key=change.outbox_key)
    assert (row.kind, decode_settings(bytes(row.frames))) == (
        CommandKind.SET_ASSET, AssetSettings(asset_id=1, code="BTC", asset_class="coin"),
    )  # fmt: skip
    assert Asset.objects.get(pk=1).asset_class == ""


def test_every_engine_that_knows_the_asset_hears_of_its_class(btcusdt: Market, settings: Settings) -> None:
    settings.SHARD = "drill"
    create_asset(code="EUR", name="Euro")
    create_market(base="BTC", quote="EUR", terms=TERMS, reason="a drill", requested_by="test")
    settings.SHARD = "spot"
    assert [change.shard for change in ask_class()] == ["drill", "spot"]
    assert [change.shard for change in ask_class("EUR", "fiat")] == ["drill"]


def test_a_new_asset_takes_its_class_with_it(btcusdt: Market) -> None:
    asset = create_asset(code="LINK", name="Chainlink", asset_class="erc20")
    sent = decode_settings(bytes(OutboxRow.objects.get(key=f"asset:{asset.pk}:settings:1").frames))
    assert sent == AssetSettings(asset_id=asset.pk, code="LINK", asset_class="erc20")
    create_market(base="LINK", quote="USDT", terms=TERMS, reason="x", requested_by="test")


def test_another_market_of_an_asset_whose_class_has_changed(coin: Market) -> None:
    create_asset(code="EUR", name="Euro")
    create_market(base="BTC", quote="EUR", terms=TERMS, reason="x", requested_by="test")
    assert OutboxRow.objects.filter(key__startswith="asset:1:").count() == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": "NOPE"}, UnknownAsset),
        ({"reason": " "}, ReasonMissing),
        ({"reason": "x" * 201}, ReasonMissing),
        ({"asset_class": "x" * 17}, InvalidMarket),
        ({"asset_class": "ERC20"}, InvalidMarket),
        ({"asset_class": "two words"}, InvalidMarket),
        ({"asset_class": "coin"}, InvalidMarket),
    ],
)
def test_a_refused_class_changes_nothing(coin: Market, changes: dict[str, Any], error: type[DomainError]) -> None:
    before = everything()
    with pytest.raises(error):
        ask_class(**changes)
    assert everything() == before


def test_one_change_of_an_asset_waits_at_a_time(btcusdt: Market) -> None:
    (first,) = ask_class()
    before = everything()
    with pytest.raises(ChangePending):
        ask_class(asset_class="other")
    assert everything() == before
    answered(first.outbox_key, Reason.INTERNAL)
    assert ask_class(asset_class="other")


@pytest.mark.parametrize("action", CLASS_ACTIONS)
def test_a_class_is_moved_with_who_and_why(coin: Market, action: MarketAction) -> None:
    (change,) = ask_state(action=action, reason=" an exploit ")
    command = decode_command(bytes(OutboxRow.objects.get(key=change.outbox_key).frames))
    assert (command.KIND, command.asset_class, command.cause) == (CommandKind.SET_CLASS_STATE, "coin", HaltCause.STAFF)
    assert command.state == change.state
    assert (change.reason, change.requested_by, change.moved) == ("an exploit", "ann", None)
    assert Market.objects.get().state == MarketState.PRE_LAUNCH, "only the engine's event moves the mirror"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"asset_class": "other"}, UnknownClass),
        ({"asset_class": ""}, UnknownClass),
        ({"asset_class": "lonely"}, UnknownClass),
        ({"reason": ""}, ReasonMissing),
        ({"reason": "x" * 201}, ReasonMissing),
        ({"action": MarketAction.CLOSE}, WrongState),
    ],
)
def test_a_refused_move_of_a_class_changes_nothing(
    coin: Market, changes: dict[str, Any], error: type[DomainError]
) -> None:
    create_asset(code="LONE", name="No market", asset_class="lonely")
    before = everything()
    with pytest.raises(error):
        ask_state(**changes)
    assert everything() == before


# -- What the engine makes of it --------------------------------------------------------------------------------------
def waits() -> bool:
    return OutboxRow.objects.filter(state=OutboxState.WAITING).exists()


@pytest.mark.django_db(transaction=True)
def test_from_the_command_to_the_markets(tmp_path: Path) -> None:
    """Three markets of a class: one open, one not launched, one without a call auction."""
    for code, asset_class in (("BTC", "coin"), ("ETH", ""), ("EUR", "fiat"), ("USDT", "")):
        create_asset(code=code, name=code, asset_class=asset_class)
    for base, quote in (("BTC", "USDT"), ("ETH", "USDT"), ("ETH", "EUR"), ("BTC", "EUR")):
        create_market(base=base, quote=quote, terms=TERMS, reason="x", requested_by="test")
    ask_class("ETH")
    for symbol in ("BTCUSDT", "ETHUSDT", "BTCEUR"):
        set_market_state(symbol=symbol, action=MarketAction.OPEN, reason="launch", requested_by="test")
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots"):
        until(lambda: not waits(), "set-up settled")
        assert Asset.objects.get(code="ETH").asset_class == "coin"
        (halt,) = ask_state()
        until(lambda: not waits(), "halt settled")
        halt.refresh_from_db()
        assert halt.moved == [1, 2, 4]
        states = dict(Market.objects.values_list("symbol", "state"))
        assert states == {"BTCUSDT": 4, "ETHUSDT": 4, "ETHEUR": 1, "BTCEUR": 4}
        (auction,) = ask_state(action=MarketAction.AUCTION)
        (fiat,) = ask_state("fiat", MarketAction.OPEN)
        until(lambda: not waits(), "the rest settled")
    for change in (auction, fiat):
        change.refresh_from_db()
    assert (auction.moved, fiat.moved) == ([], [4])
    assert set(OutboxRow.objects.values_list("state", flat=True)) == {OutboxState.DONE}


# -- Staff pages ------------------------------------------------------------------------------------------------------
def staff(*permissions: str) -> Client:
    user = User.objects.create_user(email="eve@example.com", password="long enough for anyone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    enter_admin(client, user)
    return client


ADD = "admin:markets_classstatechange_add"
ASKED = {"asset_class": "coin", "action": "halt", "reason": "an exploit"}


def test_the_page_shows_what_it_would_move_and_asks_again(coin: Market) -> None:
    client = staff("view_market", "move_market")
    assert reverse(ADD) in client.get(reverse("admin:markets_market_changelist")).content.decode()
    assert 'value="coin"' in client.get(reverse(ADD)).content.decode()
    before = everything()
    page = client.post(reverse(ADD), ASKED).content.decode()
    assert "BTCUSDT" in page
    assert "stays" in page, "not launched"
    assert everything() == before
    answer = client.post(reverse(ADD), ASKED | {"confirm": "yes"}, follow=True).content.decode()
    assert "on its way to the engine" in answer
    (change,) = ClassStateChange.objects.all()
    assert (change.state, change.reason, change.requested_by) == (
        MarketState.HALTED, "an exploit", "staff: eve@example.com",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"reason": ""}, "This field is required"),
        ({"reason": "  "}, "This field is required"),
        ({"asset_class": "other"}, "not one of the available choices"),
        ({"action": "close"}, "not one of the available choices"),
        ({"asset_class": "lonely"}, "No market has an asset of class lonely"),
    ],
)
def test_the_page_explains_a_refusal_and_changes_nothing(coin: Market, changes: dict[str, str], text: str) -> None:
    create_asset(code="LONE", name="No market", asset_class="lonely")
    client = staff("view_market", "move_market")
    before = everything()
    assert text in client.post(reverse(ADD), ASKED | {"confirm": "yes"} | changes).content.decode()
    assert everything() == before


@pytest.mark.parametrize("permissions", [(), ("view_market",), ("add_classstatechange", "view_classstatechange")])
def test_only_who_may_move_a_market_may_move_a_class(coin: Market, permissions: tuple[str, ...]) -> None:
    client = staff(*permissions)
    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(reverse(ADD), ASKED | {"confirm": "yes"}).status_code == 403
    assert not ClassStateChange.objects.exists()


@pytest.fixture
def engine_says(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine's answer to whatever staff asks is settled as soon as it is asked."""

    def say(reason: Reason, moved: list[int] | None = None) -> None:
        def wait_done(row: OutboxRow, timeout: float) -> OutboxRow:
            answered(row.key, reason)
            ClassStateChange.objects.filter(outbox_key=row.key).update(moved=moved)
            return OutboxRow.objects.get(pk=row.pk)

        monkeypatch.setattr("apps.outbox.admin.wait_done", wait_done)

    return say


def test_the_answer_names_who_stayed(coin: Market, engine_says: Any) -> None:
    engine_says(Reason.NONE, [])
    client = staff("view_market", "move_market")
    page = client.post(reverse(ADD), ASKED | {"confirm": "yes"}, follow=True).content.decode()
    assert "Class coin to halted: done, event" in page
    assert "BTCUSDT (pre-launch) stayed" in page


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.UNKNOWN_CLASS, "unknown class (the engine knows no asset of that class)"),
        (Reason.INVALID_STATE, "invalid state (it cannot go to that state"),
        (Reason.INTERNAL, "refused: internal"),
    ],
)
def test_a_refusal_of_a_class_is_said_in_words(coin: Market, engine_says: Any, reason: Reason, text: str) -> None:
    engine_says(reason)
    client = staff("view_market", "move_market", "view_classstatechange")
    assert text in client.post(reverse(ADD), ASKED | {"confirm": "yes"}, follow=True).content.decode()
    assert text in client.get(reverse("admin:markets_classstatechange_changelist")).content.decode()


@pytest.mark.parametrize("action", ["open", "halt", "auction", "cancel_only", "post_only", "close"])
@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.NONE, ": done, event"),
        (Reason.BOOK_CROSSED, "book crossed (its book is crossed"),
        (Reason.INVALID_STATE, "invalid state (it cannot go to that state"),
        (Reason.UNKNOWN_MARKET, "unknown market (the engine does not know this market)"),
    ],
)
def test_each_staff_command_of_a_market_shows_the_engines_answer(
    btcusdt: Market, engine_says: Any, action: str, reason: Reason, text: str
) -> None:
    engine_says(reason)
    data = {"action": action, "_selected_action": [btcusdt.pk], "index": 0}
    client = staff("view_market", "move_market")
    url = reverse("admin:markets_market_changelist")
    assert "Give a reason" in client.post(url, data, follow=True).content.decode()
    assert not MarketStateChange.objects.exists()
    assert text in client.post(url, data | {"reason": "drill"}, follow=True).content.decode()
    assert MarketStateChange.objects.get().reason == "drill"


def test_an_assets_page_changes_its_class_with_a_reason(
    btcusdt: Market, engine_says: Any, django_capture_on_commit_callbacks: Any
) -> None:
    engine_says(Reason.NONE)
    client = staff("view_asset", "change_asset", "view_assetclasschange")
    url = reverse("admin:markets_asset_change", args=(1,))
    assert "This field is required" in client.post(url, {"asset_class": "coin"}).content.decode()
    assert "Nothing would change" in client.post(url, {"asset_class": "", "reason": "x"}).content.decode()
    assert not AssetClassChange.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(url, {"asset_class": "coin", "reason": "a token"})
    (change,) = AssetClassChange.objects.all()
    assert (change.asset_class, change.reason, change.requested_by) == ("coin", "a token", "staff: eve@example.com")
    assert "a token" in client.get(reverse("admin:markets_assetclasschange_changelist")).content.decode()
