"""Each staff action of the admin leaves an entry: the list comes from the admin itself, so a new one needs a line."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import AllocationRule, ApiKey, TradingAccount, TradingTicket, User
from apps.accounts.selectors import main_account_id
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.tickets import issue_ticket
from apps.audit import services
from apps.audit.models import Record
from apps.controls.models import ApprovalRequest, Switch
from apps.markets.models import Asset, Market, MarketSettingsChange
from apps.markets.services import create_asset, create_market
from apps.notifications.models import Audience, Banner, EmailState, OutgoingEmail, Severity, Topic
from apps.notifications.services import send_email, show_banner
from apps.orders.models import Order, ParkedOrder
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import AllocationMethod, OrderStatus, Side
from apps.web.requests import current_request
from tests.accounts.factors import enter_admin
from tests.markets.conftest import TERMS
from tests.markets.test_admin import terms_data

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
REASON = {"reason": "as agreed"}


class Desk:
    """A staff member with all rights, and something of everything to act on."""

    def __init__(self) -> None:
        self.root = User.objects.create_superuser("root@example.org", PASSWORD)
        self.client = Client()
        enter_admin(self.client, self.root)
        self.user = User.objects.create_user("alice@example.org", PASSWORD)
        self.account = TradingAccount.objects.get(owner=self.user)
        create_asset(code="BTC", name="Bitcoin", asset_class="coin")
        create_asset(code="USDT", name="Tether")
        self.market = create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
        OutboxRow.objects.update(state=OutboxState.DONE, relay_seq=F("id"), event_seq=1)
        MarketSettingsChange.objects.update(applied_at="2026-11-22T00:00:00Z")
        self.rule = AllocationRule.objects.create(
            account_id=self.account.pk, rule_id=1, method=AllocationMethod.EQUAL, accounts=[self.account.pk], seq=1
        )

    def act(self, label: str, action: str, pk: object, **data: Any) -> None:
        """An action of a list page on one row."""
        url = reverse(f"admin:{label}_changelist")
        chosen = {"action": action, "_selected_action": [str(pk)], "index": "0"} | REASON | data
        answer = self.client.post(url, chosen)
        assert answer.status_code == 302, answer.content.decode()[:2000]

    def post(self, page: str, /, *args: Any, **data: Any) -> None:
        answer = self.client.post(reverse(f"admin:{page}", args=args), data)
        assert answer.status_code == 302, answer.content.decode()

    def parked(self) -> int:
        ParkedOrder.objects.create(
            id=1, market_id=self.market.pk, account_id=self.account.pk, side=Side.BUY, price_ticks=6,
            reference_price_ticks=5, parked_ms=1, until_ms=2, seq=1,
        )  # fmt: skip
        Order.objects.create(
            id=1, market_id=self.market.pk, account_id=self.account.pk, client_order_id="a", side=Side.BUY, kind=1,
            time_in_force=1, stp_mode=1, price_ticks=6, quantity_lots=1, budget_units=0, display_lots=0,
            stop_price_ticks=0, filled_lots=0, filled_quote_units=0, prevented_lots=0, status=OrderStatus.PENDING_NEW,
            reason=0, created_ms=1, updated_ms=1, seq=1,
        )  # fmt: skip
        return 1

    def key(self) -> ApiKey:
        return issue_hmac_key(
            account_id=self.account.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=False)
        ).key

    def ticket(self) -> TradingTicket:
        session = SessionStore()
        session.create()
        assert session.session_key is not None
        issue_ticket(user_id=self.user.pk, session_key=session.session_key)
        return TradingTicket.objects.get()

    def freeze(self) -> int:
        Switch.objects.filter(kind="whitelist-freeze").update(is_on=True)
        return Switch.objects.get(kind="whitelist-freeze").pk

    def flag(self) -> int:
        return Switch.objects.create(
            kind="beta-tester", scope="user", subject=str(self.user.pk), is_on=True, reason="try it",
            set_by="test", set_at=timezone.now(),
        ).pk  # fmt: skip

    def off(self) -> int:
        User.objects.filter(pk=self.user.pk).update(is_active=False)
        return self.user.pk

    def locked(self) -> int:
        User.objects.filter(pk=self.user.pk).update(lock_needs_staff=True)
        return self.user.pk

    def supporter(self) -> int:
        User.objects.filter(pk=self.user.pk).update(is_staff=True)
        self.user.groups.add(Group.objects.get(name="Support"))
        return self.user.pk

    def demo_account(self) -> int:
        TradingAccount.objects.filter(pk=self.account.pk).update(tier="demo")
        return self.account.pk

    def ended_email(self) -> int:
        sent = send_email(to="a@example.org", template="test_message", context={}, topic=Topic.SERVICE)
        OutgoingEmail.objects.filter(pk=sent.pk).update(state=EmailState.FAILED, ended_at=timezone.now())
        return sent.pk

    def banner(self) -> int:
        now = timezone.now()
        return show_banner(
            text="a", severity=Severity.INFO, audience=Audience.EVERYONE, starts_at=now,
            ends_at=now + timedelta(days=1), made_by="test", reason="test",
        ).pk  # fmt: skip


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("apps.outbox.admin.ANSWER_WAIT_S", 0)
    return Desk()


BANNER = {
    "severity": "info", "text": "Maintenance on Sunday", "audience": "everyone", "starts_at_0": "2100-01-01",
    "starts_at_1": "02:00", "ends_at_0": "2100-01-01", "ends_at_1": "04:00",
}  # fmt: skip
RULE = {"method": int(AllocationMethod.EQUAL), **REASON}

# (model, what) -> the action that the log must have, and how it is done.
ACTIONS: dict[tuple[str, str], tuple[str, Callable[[Desk], None]]] = {
    ("accounts.User", "send_reset"): (
        "user.reset-sent", lambda d: d.act("accounts_user", "send_reset", d.user.pk),
    ),
    ("accounts.User", "switch_off"): (
        "user.switched-off", lambda d: d.act("accounts_user", "switch_off", d.user.pk),
    ),
    ("accounts.User", "ask_on"): ("approval.asked", lambda d: d.act("accounts_user", "ask_on", d.off())),
    ("accounts.User", "ask_release"): (
        "approval.asked", lambda d: d.act("accounts_user", "ask_release", d.locked(), address="alice@example.org"),
    ),
    ("accounts.User", "ask_role"): (
        "approval.asked", lambda d: d.act("accounts_user", "ask_role", d.user.pk, role="Support"),
    ),
    ("accounts.User", "take_role"): (
        "staff.role-taken", lambda d: d.act("accounts_user", "take_role", d.supporter(), role="Support"),
    ),
    ("accounts.User", "end_as_staff"): (
        "staff.ended", lambda d: d.act("accounts_user", "end_as_staff", d.supporter()),
    ),
    ("accounts.TradingAccount", "limits_demo"): (
        "account.limits", lambda d: d.act("accounts_tradingaccount", "limits_demo", d.account.pk),
    ),
    ("accounts.TradingAccount", "limits_standard"): (
        "account.limits", lambda d: d.act("accounts_tradingaccount", "limits_standard", d.demo_account()),
    ),
    ("accounts.ApiKey", "revoke"): ("api-key.revoked", lambda d: d.act("accounts_apikey", "revoke", d.key().pk)),
    ("accounts.TradingTicket", "revoke"): (
        "trading-session.revoked", lambda d: d.act("accounts_tradingticket", "revoke", d.ticket().pk),
    ),
    ("accounts.FamilyChange", "add"): (
        "account.family",
        lambda d: d.post(
            "accounts_familychange_add", account_id=d.account.pk, family_id=main_account_id(user_id=d.root.pk), **REASON
        ),
    ),
    ("accounts.AllocationRule", "add"): (
        "account.allocation",
        lambda d: d.post("accounts_allocationrule_add", account_id=d.account.pk, shares=str(d.account.pk), **RULE),
    ),
    ("accounts.AllocationRule", "change"): (
        "account.allocation",
        lambda d: d.post(
            "accounts_allocationrule_change", d.rule.pk,
            shares=f"{d.account.pk}\n{main_account_id(user_id=d.root.pk)}", **RULE,
        ),
    ),
    ("accounts.AllocationRule", "remove"): (
        "account.allocation", lambda d: d.act("accounts_allocationrule", "remove", d.rule.pk),
    ),
    ("markets.Asset", "add"): ("asset.created", lambda d: d.post("markets_asset_add", code="ETH", name="Ether")),
    ("markets.Asset", "change"): (
        "asset.class",
        lambda d: d.post("markets_asset_change", Asset.objects.get(code="BTC").pk, asset_class="old", **REASON),
    ),
    ("markets.Market", "add"): (
        "market.created",
        lambda d: d.post(
            "markets_market_add", **terms_data(), base_asset=Asset.objects.get(code="USDT").pk,
            quote_asset=Asset.objects.get(code="BTC").pk, **REASON,
        ),
    ),
    ("markets.Market", "change"): (
        "market.settings", lambda d: d.post("markets_market_change", d.market.pk, **terms_data(min_lots=7), **REASON),
    ),
    **{
        ("markets.Market", action): ("market.state", lambda d, a=action: d.act("markets_market", a, d.market.pk))
        for action in ("open", "halt", "auction", "cancel_only", "post_only", "close")
    },
    ("markets.ClassStateChange", "add"): (
        "class.state",
        lambda d: d.post("markets_classstatechange_add", asset_class="coin", action="halt", confirm="yes", **REASON),
    ),
    ("orders.ParkedOrder", "release"): (
        "order.review", lambda d: d.act("orders_parkedorder", "release", d.parked()),
    ),
    ("orders.ParkedOrder", "reject"): ("order.review", lambda d: d.act("orders_parkedorder", "reject", d.parked())),
    ("controls.Switch", "add"): (
        "switch.set", lambda d: d.post("controls_switch_add", kind="whitelist-freeze", scope="platform", **REASON),
    ),
    ("controls.Switch", "ask_end"): ("approval.asked", lambda d: d.act("controls_switch", "ask_end", d.freeze())),
    ("controls.Switch", "end_flag"): ("switch.set", lambda d: d.act("controls_switch", "end_flag", d.flag())),
    ("notifications.OutgoingEmail", "send_again"): (
        "email.sent-again", lambda d: d.act("notifications_outgoingemail", "send_again", d.ended_email()),
    ),
    ("notifications.Banner", "add"): (
        "banner.shown", lambda d: d.post("notifications_banner_add", **BANNER, **REASON),
    ),
    ("notifications.Banner", "withdraw"): (
        "banner.withdrawn", lambda d: d.act("notifications_banner", "withdraw", d.banner()),
    ),
}  # fmt: skip


def test_the_list_is_what_the_admin_lets_staff_do(desk: Desk) -> None:
    request = RequestFactory().get("/admin/")
    request.user = desk.root
    found = set()
    for model, page in admin.site._registry.items():
        label = model._meta.label
        rights = page.get_model_perms(request)
        found |= {(label, what) for what in ("add", "change", "delete") if rights[what]}
        found |= {(label, name) for name in page.get_actions(request)}
    assert found == set(ACTIONS)


# The only ones that take none.
NO_REASON = {("markets.Asset", "add"): "it is a name in which nothing is traded before a market, which takes one"}


def test_none_is_done_without_a_reason(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_post, due, wrong = desk.client.post, [], []

    def post(path: str, data: dict[str, Any]) -> Any:
        what = due.pop()
        if what not in NO_REASON:
            assert data["reason"] == "as agreed", what
        before = Record.objects.count()
        answer = plain_post(path, data | {"reason": " "})
        if answer.status_code == 302:
            told = " ".join(str(message) for message in get_messages(answer.wsgi_request))
        else:
            form = answer.context["form"] if "form" in answer.context else answer.context["adminform"].form
            told = f"{answer.status_code} {dict(form.errors)}"
        is_refused = "eason" in told and Record.objects.count() == before
        if is_refused is (what in NO_REASON):
            wrong.append(f"{' '.join(what)}: {told}")
        return HttpResponse(status=302)

    monkeypatch.setattr(desk.client, "post", post)
    for what, (_, perform) in ACTIONS.items():
        mark = transaction.savepoint()
        due.append(what)
        perform(desk)
        transaction.savepoint_rollback(mark)
        desk.client.cookies.pop("messages", None)
    assert (wrong, due) == ([], [])


@pytest.mark.parametrize("what", ACTIONS, ids=lambda what: " ".join(what))
def test_each_leaves_an_entry_that_names_staff(desk: Desk, what: tuple[str, str]) -> None:
    action, perform = ACTIONS[what]
    before = set(Record.objects.values_list("pk", flat=True))
    perform(desk)
    (made,) = Record.objects.filter(action=action).exclude(pk__in=before)
    assert (made.actor_kind, made.actor_id) == ("staff", "root@example.org")
    assert made.request_id != ""
    assert made.reason == ("" if what in NO_REASON else "as agreed")
    texts = " ".join(str(value) for value in Record.objects.values_list("before", "after", "object"))
    assert PASSWORD not in texts
    assert "alice@example.org" not in texts
    assert "other@example.org" not in texts


# One of each base class of the pages, and of each way to change something.
KINDS = (
    ("accounts.User", "send_reset"), ("accounts.User", "switch_off"),
    ("accounts.ApiKey", "revoke"), ("accounts.TradingTicket", "revoke"), ("accounts.FamilyChange", "add"),
    ("markets.Market", "halt"), ("markets.Market", "change"), ("markets.ClassStateChange", "add"),
    ("orders.ParkedOrder", "reject"), ("controls.Switch", "add"), ("controls.Switch", "ask_end"),
    ("notifications.Banner", "withdraw"),
)  # fmt: skip


@pytest.mark.parametrize("what", KINDS, ids=lambda what: " ".join(what))
def test_nothing_is_done_in_a_session_that_ended_meanwhile(
    desk: Desk, what: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_row, plain_post, ended = services.row, desk.client.post, []

    def owner_comes_first(**given: Any) -> Any:
        """The session was alive when the request began, and ends right before the entry of what it did."""
        if current_request.get() is not None:
            ended.append(Session.objects.all().delete())
        return plain_row(**given)

    def kept() -> list[Any]:
        kept_models: tuple[Any, ...] = (
            User, ApiKey, TradingTicket, Switch, Banner, OutboxRow, ApprovalRequest, Market, OutgoingEmail,
        )  # fmt: skip
        return [Record.objects.count(), *(list(model.objects.order_by("pk").values()) for model in kept_models)]

    def post(*args: Any, **given: Any) -> Any:
        before = kept()
        answer = plain_post(*args, **given)
        assert kept() == before
        # A form says it itself, an action on the page that it leads to.
        said = answer if answer.status_code == 200 else desk.client.get(answer["Location"])
        assert "You were logged out meanwhile" in said.content.decode()
        return HttpResponse(status=302)

    monkeypatch.setattr(services, "row", owner_comes_first)
    monkeypatch.setattr(desk.client, "post", post)
    ACTIONS[what][1](desk)
    assert ended


def test_a_change_says_what_was_and_what_is(desk: Desk) -> None:
    desk.act("accounts_user", "take_role", desk.supporter(), role="Support")
    made = Record.objects.get(action="staff.role-taken")
    assert made.object == f"user:{desk.user.pk}"
    assert json.loads(made.before or "") == {"roles": "Support"}
    assert json.loads(made.after or "") == {"roles": "staff of no role"}
    desk.post("markets_market_change", desk.market.pk, **terms_data(min_lots=7), **REASON)
    made = Record.objects.get(action="market.settings")
    assert (made.object, made.reason) == ("market:BTCUSDT", "as agreed")
    assert json.loads(made.before or "")["min_lots"] == "1"
    assert json.loads(made.after or "") == {"min_lots": "7", "settings_version": "2"}
    assert Market.objects.get().min_lots == 1, "the request is the entry, the row follows the engine"


def test_what_is_refused_leaves_none(desk: Desk) -> None:
    before = Record.objects.count()
    answer = desk.client.post(
        reverse("admin:markets_market_change", args=(desk.market.pk,)), terms_data(min_lots=7) | {"reason": ""}
    )
    assert answer.status_code == 200
    desk.client.post(reverse("admin:accounts_user_changelist"), {
        "action": "switch_off", "_selected_action": [str(desk.user.pk)], "index": "0", "reason": " ",
    })  # fmt: skip
    desk.user.refresh_from_db()
    assert desk.user.is_active
    assert Record.objects.count() == before
