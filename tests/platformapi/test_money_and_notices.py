"""Balances, transfers, allocation rules, notices and switches, by the services of the pages."""

import json
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import AllocationChange, AllocationRule, TradingAccount
from apps.accounts.services import ending
from apps.accounts.services.subaccounts import freeze_sub_account
from apps.audit.actors import user
from apps.audit.models import Record
from apps.controls.kinds import Kind, Scope
from apps.controls.services import set_switch
from apps.ledger.models import Balance
from apps.markets.models import Asset
from apps.notifications.models import Notice, Topic
from apps.notifications.services import notify
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import Reason
from apps.wallets.models import InternalTransfer
from tests.platformapi.conftest import BASE, House, Program, browser_of, code_of
from tests.web.test_strict_json import NUMBERS


@pytest.fixture(autouse=True)
def no_engine_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for app in ("wallets", "orders"):
        monkeypatch.setattr(f"apps.{app}.api.views.ANSWER_WAIT_S", 0)


def have(account_id: int, asset_id: int, available: int, held: int = 0) -> None:
    Balance.objects.create(
        account_id=account_id, asset_id=asset_id, available_units=available, held_units=held,
        posted_units=available + held, seq=1,
    )  # fmt: skip


def test_balances_are_those_of_the_accounts_that_one_sees(house: House) -> None:
    have(house.main.pk, 1, 50_000_000, 1)
    have(house.desk.pk, 1, 25_000_000)
    have(house.desk.pk, 2, 7)
    have(house.main.pk, 2, 0)
    have(house.foreign.pk, 2, 99)
    alice = browser_of(house.alice)
    found = house.reader.send("GET", "/balances").json()
    assert found == alice.send("GET", "/balances").json()
    assert found == {
        "items": [
            {
                "asset": "BTC", "available": "0.75000000", "held": "0.00000001", "total": "0.75000001",
                "accounts": [
                    {"account": house.main.pk, "available": "0.50000000", "held": "0.00000001"},
                    {"account": house.desk.pk, "available": "0.25000000", "held": "0.00000000"},
                ],
            },
            {
                "asset": "USDT", "available": "0.00000007", "held": "0.00000000", "total": "0.00000007",
                "accounts": [{"account": house.desk.pk, "available": "0.00000007", "held": "0.00000000"}],
            },
        ],
        "next": None,
    }  # fmt: skip
    first = alice.send("GET", "/balances", query="limit=1").json()
    assert ([each["asset"] for each in first["items"]], first["next"]) == (["BTC"], "1")
    assert [each["asset"] for each in alice.send("GET", "/balances", query="cursor=1").json()["items"]] == ["USDT"]
    of_main = alice.send("GET", "/balances", query=f"account={house.main.pk}").json()["items"]
    assert [(each["asset"], each["total"]) for each in of_main] == [("BTC", "0.50000001")]
    # A key of the sub-account sees that one.
    assert [each["total"] for each in house.desk_bot.send("GET", "/balances").json()["items"]] == [
        "0.25000000", "0.00000007",
    ]  # fmt: skip
    for send, number in ((alice.send, house.foreign.pk), (house.desk_bot.send, house.main.pk), (alice.send, 999_999)):
        assert code_of(send("GET", "/balances", query=f"account={number}")) == "NO_TRADING_ACCOUNT"


def wanted(house: House, **changed: Any) -> dict[str, Any]:
    return {
        "client_id": "one", "from_account": house.main.pk, "to_account": house.desk.pk, "asset": "USDT",
        "amount": "0.6",
    } | changed  # fmt: skip


def test_a_transfer_by_key_and_by_session(house: House) -> None:
    made = house.trader.send("POST", "/transfers", wanted(house))
    assert made.status_code == 201
    found = made.json()
    row = InternalTransfer.objects.get()
    assert (row.amount_units, row.owner_id, row.from_account_id) == (60_000_000, house.alice.pk, house.main.pk)
    assert {**found, "requested_at": ""} == {
        **wanted(house), "amount": "0.60000000", "id": row.pk, "requested_at": "", "state": "waiting", "reason": "",
    }  # fmt: skip
    # Sent twice, done once; with other content refused.
    assert house.trader.send("POST", "/transfers", wanted(house, amount="0.600")).json() == found
    assert code_of(house.trader.send("POST", "/transfers", wanted(house, amount="0.7"))) == "CLIENT_ID_REUSED"
    assert InternalTransfer.objects.count() == 1
    # What the engine said.
    OutboxRow.objects.filter(key=row.outbox_key).update(
        state=OutboxState.REFUSED, reason=Reason.INSUFFICIENT_BALANCE, event_seq=1, relay_seq=10_001
    )
    told = house.reader.send("GET", f"/transfers/{row.pk}").json()
    assert (told["state"], told["reason"]) == ("refused", "less than that was available")
    # A session has to have proved to be there.
    assert (
        code_of(browser_of(house.alice).send("POST", "/transfers", wanted(house, client_id="two"))) == "STEP_UP_NEEDED"
    )
    alice = browser_of(house.alice, confirmed="password")
    back = wanted(house, client_id="two", from_account=house.desk.pk, to_account=house.main.pk)
    second = alice.send("POST", "/transfers", back).json()["id"]
    first = alice.send("GET", "/transfers", query="limit=1").json()
    assert ([each["id"] for each in first["items"]], first["next"]) == ([second], str(second))
    rest = alice.send("GET", "/transfers", query=f"cursor={second}").json()
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([row.pk], None)
    bob = browser_of(house.bob)
    assert bob.send("GET", "/transfers").json()["items"] == []
    assert code_of(bob.send("GET", f"/transfers/{row.pk}")) == "NO_SUCH_TRANSFER"


def test_nothing_is_moved_or_changed_in_a_session_that_ended_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the API and on the pages."""
    plain = ending.lock_sessions
    AllocationRule.objects.create(account_id=house.main.pk, rule_id=3, method=2, accounts=[house.desk.pk], seq=1)
    desk, rules, moves = f"/accounts/{house.desk.pk}", "/allocation-rules", wanted(house)
    page, equal = f"/account/sub-accounts/{house.desk.pk}", {"method": "equal", "accounts": [house.desk.pk]}
    form = {"from_account": house.main.pk, "to_account": house.desk.pk, "asset": 1, "amount": "1", "client_id": "page"}

    def owner_comes_first(user_id: int) -> None:
        Session.objects.all().delete()
        plain(user_id)

    def kept() -> list[Any]:
        models: tuple[Any, ...] = (TradingAccount, AllocationChange, InternalTransfer, OutboxRow)
        return [list(model.objects.order_by("pk").values()) for model in models]

    monkeypatch.setattr(ending, "lock_sessions", owner_comes_first)
    before = kept()
    for method, path, body in (
        ("POST", "/transfers", moves), ("POST", "/accounts", {"label": "late"}), ("PATCH", desk, {"label": "late"}),
        ("POST", f"{desk}/freeze", None), ("POST", rules, equal), ("PUT", f"{rules}/3", equal),
        ("DELETE", f"{rules}/3", None),
    ):  # fmt: skip
        answer = browser_of(house.alice, confirmed="password").send(method, path, body)
        assert (answer.status_code, code_of(answer)) == (401, "SESSION_ENDED"), path
    for path, sent in (
        ("/account/balances", form), ("/account/sub-accounts", {"label": "late"}), (page, {"label": "late"}),
        (f"{page}/freeze", {}), ("/account/allocation-rules", {"method": 2, "shares": f"{house.desk.pk}"}),
        ("/account/allocation-rules/3/remove", {}),
    ):  # fmt: skip
        told = browser_of(house.alice, confirmed="password").client.post(path, sent)
        assert (told.status_code, told.get("Location")) == (302, "/account/log-in"), path
    assert kept() == before


def test_what_is_no_transfer(house: House) -> None:
    freeze_sub_account(user_id=house.alice.pk, account_id=house.desk.pk)
    for changed, refusal in (
        ({"to_account": house.foreign.pk}, "NO_TRADING_ACCOUNT"),
        ({"from_account": house.foreign.pk}, "NO_TRADING_ACCOUNT"),
        ({"to_account": house.main.pk}, "SAME_ACCOUNT"),
        ({"from_account": house.desk.pk, "to_account": house.main.pk}, "ACCOUNT_FROZEN"),
        ({"asset": "NONE"}, "UNKNOWN_ASSET"),
        ({"asset": 2}, "INVALID_REQUEST"),
        ({"amount": "0"}, "INVALID_AMOUNT"),
        ({"client_id": ""}, "INVALID_REQUEST"),
        ({"client_id": "a b"}, "INVALID_CLIENT_ID"),
        ({"client_id": "x" * 37}, "INVALID_REQUEST"),
        ({"from_account": True}, "INVALID_REQUEST"),
        ({"from_account": 10**17}, "NO_TRADING_ACCOUNT"),
        ({"from_account": 2**62}, "MALFORMED_JSON"),
        ({"user": house.bob.pk}, "INVALID_REQUEST"),
        ({"status": "done"}, "INVALID_REQUEST"),
        ({"balance": "1"}, "INVALID_REQUEST"),
    ):
        answer = house.trader.send("POST", "/transfers", wanted(house, **changed))
        assert (code_of(answer), answer.status_code < 500) == (refusal, True), changed
    # threat-T12: no spelling of a number becomes an amount that was not written.
    alice = browser_of(house.alice, confirmed="password")
    text = json.dumps(wanted(house))
    for number in NUMBERS:
        answer = alice.client.post(f"{BASE}/transfers", text.replace('"0.6"', number), "application/json")
        assert code_of(answer) in {"INVALID_REQUEST", "MALFORMED_JSON", "INVALID_AMOUNT"}, number
    assert not InternalTransfer.objects.exists()


def test_what_a_key_did_stands_under_its_name(house: House) -> None:
    made = house.trader.send("POST", "/accounts", {"label": "By bot"}).json()["id"]
    house.trader.send("POST", f"/accounts/{made}/freeze")
    house.trader.send("POST", "/transfers", wanted(house))
    browser = browser_of(house.alice)
    browser.send("DELETE", f"/api-keys/{house.reader.new.key.pk}")
    by_key = Record.objects.filter(actor_kind="api-key")
    assert {row.actor_id for row in by_key} == {house.trader.new.key.public_key}
    assert {row.action for row in by_key} >= {"sub-account.created", "sub-account.frozen"}
    revoked = Record.objects.get(action="api-key.revoked")
    assert (revoked.actor_kind, revoked.actor_id) == ("user", str(house.alice.pk))


def test_allocation_rules_are_asked_of_the_engine(house: House) -> None:
    bot = house.trader
    rule = {"method": "fixed", "accounts": [house.main.pk, house.desk.pk], "weights_bp": [2500, 7500]}
    asked = bot.send("POST", "/allocation-rules", rule)
    assert (asked.status_code, asked.json()) == (201, {"id": 1, "state": "waiting", "reason": ""})
    change = AllocationChange.objects.get()
    assert (change.account_id, change.requested_by) == (house.main.pk, f"user: {house.alice.pk}")
    before = AllocationChange.objects.count()
    for changed, refusal in (
        ({"accounts": [house.main.pk, house.foreign.pk]}, "NO_TRADING_ACCOUNT"),
        ({"accounts": [house.main.pk, 999_999]}, "NO_TRADING_ACCOUNT"),
        ({"accounts": []}, "INVALID_REQUEST"),
        ({"accounts": [house.main.pk] * 65}, "INVALID_REQUEST"),
        ({"accounts": [str(house.main.pk)]}, "INVALID_REQUEST"),
        ({"accounts": [house.main.pk, house.main.pk]}, "INVALID_ALLOCATION"),
        ({"weights_bp": [2500, 7000]}, "INVALID_ALLOCATION"),
        ({"weights_bp": [25.5, 74.5]}, "MALFORMED_JSON"),
        ({"weights_bp": []}, "INVALID_ALLOCATION"),
        ({"method": "equal"}, "INVALID_ALLOCATION"),
        ({"method": 2}, "INVALID_REQUEST"),
        ({"owner": house.bob.pk}, "INVALID_REQUEST"),
    ):
        assert code_of(bot.send("POST", "/allocation-rules", rule | changed)) == refusal, changed
    assert AllocationChange.objects.count() == before
    for number in (3, 5):
        AllocationRule.objects.create(
            account_id=house.main.pk, rule_id=number, method=2, accounts=[house.desk.pk], seq=number
        )
    AllocationRule.objects.create(account_id=house.foreign.pk, rule_id=4, method=2, accounts=[house.foreign.pk], seq=1)
    first = bot.send("GET", "/allocation-rules", query="limit=1").json()
    assert first == {
        "items": [{"id": 3, "method": "equal", "accounts": [house.desk.pk], "weights_bp": []}], "next": "3",
    }  # fmt: skip
    assert [each["id"] for each in bot.send("GET", "/allocation-rules", query="cursor=3").json()["items"]] == [5]
    assert bot.send("GET", "/allocation-rules/5").json()["id"] == 5
    for method, body in (("GET", None), ("PUT", rule), ("DELETE", None)):
        assert code_of(bot.send(method, "/allocation-rules/4", body)) == "UNKNOWN_ALLOCATION"
    assert bot.send("PUT", "/allocation-rules/5", rule).json()["state"] == "waiting"
    assert code_of(bot.send("PUT", "/allocation-rules/5", rule)) == "CHANGE_PENDING"
    assert bot.send("DELETE", "/allocation-rules/3").json() == {"id": 3, "state": "waiting", "reason": ""}


def test_notices_and_what_one_wants_to_be_told(house: House) -> None:
    for number in range(3):
        notify(user_id=house.alice.pk, topic=Topic.SERVICE, title=f"News {number}")
    bobs = notify(user_id=house.bob.pk, topic=Topic.SERVICE, title="For bob")
    assert bobs is not None
    alice = browser_of(house.alice)
    first = alice.send("GET", "/notices", query="limit=2").json()
    assert [each["title"] for each in first["items"]] == ["News 2", "News 1"]
    rest = alice.send("GET", "/notices", query=f"cursor={first['next']}").json()
    assert [each["title"] for each in rest["items"]] == ["News 0"]
    newest = first["items"][0]["id"]
    for _ in range(2):
        assert alice.send("POST", f"/notices/{newest}/read").status_code == 204
    assert code_of(alice.send("POST", f"/notices/{bobs.pk}/read")) == "NOTICE_NOT_FOUND"
    assert alice.send("POST", "/notices/read", {"newest": newest - 1}).json() == {"marked": 2}
    assert not Notice.objects.filter(user=house.alice, read_at=None).exists()
    assert Notice.objects.get(pk=bobs.pk).read_at is None
    fixed = {"in_app": True, "email": True, "is_fixed": True}
    chosen = alice.send("PATCH", "/notices/preferences", {"topic": "service", "in_app": True, "email": False}).json()
    assert (
        chosen
        == alice.send("GET", "/notices/preferences").json()
        == {
            "items": [
                {"topic": "security", **fixed},
                {"topic": "incident", **fixed},
                {"topic": "service", "in_app": True, "email": False, "is_fixed": False},
            ]
        }
    )
    for body, refusal in (
        ({"topic": "security", "in_app": False, "email": False}, "TOPIC_NOT_OPTIONAL"),
        ({"topic": "gossip", "in_app": False, "email": False}, "INVALID_REQUEST"),
        ({"topic": "service", "in_app": "false", "email": False}, "INVALID_REQUEST"),
        ({"topic": "service", "in_app": False}, "INVALID_REQUEST"),
    ):
        assert code_of(alice.send("PATCH", "/notices/preferences", body)) == refusal, body
    assert code_of(alice.send("POST", "/notices/read", {"newest": 0})) == "INVALID_REQUEST"


def test_switches_are_those_that_concern_the_caller(house: House) -> None:
    def switch(scope: Scope, subject: str, is_on: bool = True) -> None:
        set_switch(kind=Kind.WITHDRAWALS, scope=scope, subject=subject, on=is_on, actor=user(1), reason="secret reason")

    switch(Scope.ASSET, "BTC")
    switch(Scope.USER, str(house.alice.pk))
    switch(Scope.USER, str(house.bob.pk))
    switch(Scope.PLATFORM, "")
    switch(Scope.PLATFORM, "", is_on=False)
    for send in (browser_of(house.alice).send, house.reader.send, house.desk_bot.send):
        answer = send("GET", "/switches")
        assert [(each["kind"], each["scope"], each["subject"]) for each in answer.json()["items"]] == [
            ("withdrawal-suspension", "asset", "BTC"),
            ("withdrawal-suspension", "user", str(house.alice.pk)),
        ]
        assert "secret" not in answer.content.decode()


def test_the_number_of_queries_is_constant(house: House) -> None:
    bot: Program = house.reader

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert bot.send("GET", path, query="limit=100").status_code == 200
        return len(seen)

    def add(number: int) -> None:
        Asset.objects.create(id=100 + number, code=f"A{number}", name="Asset")
        have(house.main.pk, 100 + number, 5)
        have(house.desk.pk, 100 + number, 5)
        house.trader.send("POST", "/transfers", wanted(house, client_id=str(number)))

    add(0)
    queries("/balances")
    paths = ("/balances", "/transfers", "/switches", "/allocation-rules")
    before = [queries(path) for path in paths]
    for number in range(1, 5):
        add(number)
    assert [queries(path) for path in paths] == before
    assert max(before) <= 7, before
