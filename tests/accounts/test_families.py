"""Families and allocation rules (T8, T12): what staff asks of the engine, and refusals that change nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts import errors
from apps.accounts.models import (
    AccountSettings,
    AllocationChange,
    AllocationRule,
    FamilyChange,
    TradingAccount,
    User,
)
from apps.accounts.services import allocations
from apps.accounts.services.allocations import remove_allocation_rule, set_allocation_rule
from apps.accounts.services.families import change_family
from apps.accounts.services.mirror import Taken, mirror_accounts, mirror_allocation
from apps.common.errors import DomainError
from apps.outbox.errors import ReasonMissing
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.services import enqueue
from apps.streams.codec import decode_command, decode_settings
from apps.streams.commands import SetAccount
from apps.streams.kinds import AccountFlag, AllocationMethod, CommandKind, Reason
from apps.streams.messages import AllocationSettings
from tests.accounts.factors import enter_admin

FIXED, EQUAL, PRO_RATA = AllocationMethod.FIXED, AllocationMethod.EQUAL, AllocationMethod.PRO_RATA
HEAD, ONE, TWO, OTHER = 5001, 5002, 5003, 5004


@pytest.fixture(autouse=True)
def house(make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four accounts, of which ONE has fee tier 3; no engine answers."""
    owner = make_user("house@example.org")
    for number in (HEAD, ONE, TWO, OTHER):
        TradingAccount.objects.create(pk=number, owner=owner, label=f"Desk {number}")
    follow(Taken(ONE, ONE, 3, 1))
    monkeypatch.setattr("apps.outbox.admin.ANSWER_WAIT_S", 0)


def follow(*taken: Taken) -> None:
    with connection.cursor() as cursor:
        mirror_accounts(cursor, shard="spot", taken=taken)


def follow_rule(**values: Any) -> None:
    with connection.cursor() as cursor:
        mirror_allocation(cursor, shard="spot", settings=AllocationSettings(**values), seq=9)


def answered(key: str, reason: Reason = Reason.NONE) -> None:
    row = OutboxRow.objects.get(key=key)
    OutboxRow.objects.filter(key=key).update(
        state=OutboxState.REFUSED if reason else OutboxState.DONE, reason=reason, event_seq=row.pk, relay_seq=row.pk
    )


def join(account_id: int = ONE, family_id: int = HEAD, **changes: Any) -> FamilyChange:
    values = {"reason": "a desk", "requested_by": "ann"} | changes
    return change_family(account_id=account_id, family_id=family_id, **values)


def rule(**changes: Any) -> AllocationChange:
    values = {
        "account_id": HEAD, "rule_id": None, "method": FIXED, "accounts": [ONE, TWO], "weights_bp": [2_500, 7_500],
        "reason": "a mandate", "requested_by": "ann",
    }  # fmt: skip
    return set_allocation_rule(**(values | changes))


def everything() -> list[Any]:
    models = (AccountSettings, AllocationRule, FamilyChange, AllocationChange, OutboxRow)
    return [list(model.objects.order_by("pk").values()) for model in models]


# -- Families ---------------------------------------------------------------------------------------------------------
def test_an_account_joins_a_family_and_keeps_its_fee_tier() -> None:
    change = join(reason=" a desk ")
    assert (change.reason, change.requested_by) == ("a desk", "ann")
    command = decode_command(bytes(OutboxRow.objects.get(key=change.outbox_key).frames))
    assert (command.KIND, command.flags) == (CommandKind.SET_ACCOUNT, 0)
    assert (command.account_id, command.family_id, command.fee_tier) == (ONE, HEAD, 3)
    assert AccountSettings.objects.get(account_id=ONE).family_id == ONE, "the row follows the engine"


def test_the_head_of_a_family_is_made_known_to_the_engine_once() -> None:
    first = join()
    known = OutboxRow.objects.get(key=f"account:{HEAD}:known")
    command = decode_command(bytes(known.frames))
    assert (command.account_id, command.flags, command.fee_tier) == (HEAD, AccountFlag.KEEP_FAMILY, 0)
    assert known.pk < OutboxRow.objects.get(key=first.outbox_key).pk
    answered(first.outbox_key)
    join(TWO)
    follow(Taken(ONE, ONE, 3, 5))
    join(OTHER, ONE)
    assert OutboxRow.objects.filter(key__endswith=":known").count() == 1


def test_leaving_names_the_accounts_own_number() -> None:
    follow(Taken(ONE, HEAD, 3, 2))
    command = decode_command(bytes(OutboxRow.objects.get(key=join(ONE, ONE).outbox_key).frames))
    assert (command.family_id, command.fee_tier) == (ONE, 3)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"account_id": 77}, errors.NoTradingAccount),
        ({"family_id": 77}, errors.NoTradingAccount),
        ({"reason": " "}, ReasonMissing),
        ({"reason": "x" * 201}, ReasonMissing),
        ({"family_id": TWO}, errors.FamilyNested),  # itself a member
        ({"account_id": OTHER, "family_id": ONE}, errors.FamilyNested),  # heads one
    ],
)
def test_refused_families_change_nothing(changes: dict[str, Any], error: type[DomainError]) -> None:
    follow(Taken(TWO, OTHER, 0, 3))
    before = everything()
    with pytest.raises(error):
        join(**changes)
    assert everything() == before


@pytest.mark.parametrize("next_one", [(ONE, OTHER), (HEAD, OTHER), (TWO, ONE), (OTHER, ONE)])
def test_one_change_around_an_account_waits_at_a_time(next_one: tuple[int, int]) -> None:
    first = join()
    before = everything()
    with pytest.raises(errors.ChangePending):
        join(*next_one)
    assert everything() == before
    answered(first.outbox_key, Reason.ACCOUNT_HAS_ORDERS)
    assert join(*next_one)


def test_a_fee_tier_on_its_way_is_not_overwritten() -> None:
    key = f"fee-tier:{ONE}:2026-11-21"
    enqueue(key=key, command=SetAccount(relay_seq=0, source=0, account_id=ONE, fee_tier=4))
    before = everything()
    with pytest.raises(errors.ChangePending, match="fee tier"):
        join()
    assert everything() == before
    answered(key)
    follow(Taken(ONE, ONE, 4, 5))
    assert decode_command(bytes(OutboxRow.objects.get(key=join().outbox_key).frames)).fee_tier == 4


def test_the_last_event_of_a_batch_stays() -> None:
    follow(Taken(TWO, TWO, 1, 4), Taken(TWO, HEAD, 1, 5), Taken(OTHER, OTHER, 2, 6), Taken(TWO, HEAD, 2, 7))
    rows = AccountSettings.objects.values_list("account_id", "family_id", "fee_tier", "seq")
    assert list(rows) == [(ONE, ONE, 3, 1), (TWO, HEAD, 2, 7), (OTHER, OTHER, 2, 6)]


# -- Allocation rules -------------------------------------------------------------------------------------------------
def test_a_rule_is_asked_for_and_the_row_follows_the_engine() -> None:
    change = rule()
    sent = decode_settings(bytes(OutboxRow.objects.get(key=change.outbox_key).frames))
    assert sent == AllocationSettings(HEAD, 1, FIXED, [ONE, TWO], [2_500, 7_500])
    assert not AllocationRule.objects.exists()
    assert rule().rule_id == 2, "a number that was asked for is not given again"
    follow_rule(account_id=HEAD, rule_id=7, method=EQUAL, accounts=[ONE])
    assert rule(method=PRO_RATA, weights_bp=[]).rule_id == 8


def test_other_content_and_the_end_of_a_rule() -> None:
    follow_rule(account_id=HEAD, rule_id=7, method=FIXED, accounts=[ONE], weights_bp=[10_000])
    changed = rule(rule_id=7, method=EQUAL, weights_bp=[])
    with pytest.raises(errors.ChangePending):
        rule(rule_id=7)
    answered(changed.outbox_key)
    follow_rule(account_id=HEAD, rule_id=7, method=EQUAL, accounts=[ONE, TWO])
    assert AllocationRule.objects.values_list("method", "accounts", "weights_bp").get() == (EQUAL, [ONE, TWO], [])
    gone = remove_allocation_rule(account_id=HEAD, rule_id=7, reason="ended", requested_by="ann")
    sent = decode_settings(bytes(OutboxRow.objects.get(key=gone.outbox_key).frames))
    assert sent == AllocationSettings(HEAD, 7, EQUAL, [])
    follow_rule(account_id=HEAD, rule_id=7, method=EQUAL, accounts=[])
    assert not AllocationRule.objects.exists()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"account_id": 77}, errors.NoTradingAccount),
        ({"accounts": [ONE, 77]}, errors.NoTradingAccount),
        ({"accounts": [], "weights_bp": []}, errors.InvalidAllocation),
        ({"accounts": [ONE, ONE]}, errors.InvalidAllocation),
        ({"weights_bp": [2_500, 7_501]}, errors.InvalidAllocation),
        ({"weights_bp": [10_000, 0]}, errors.InvalidAllocation),
        ({"weights_bp": [10_000]}, errors.InvalidAllocation),
        ({"method": EQUAL}, errors.InvalidAllocation),
        ({"method": 9}, errors.InvalidAllocation),
        ({"rule_id": 0}, errors.InvalidAllocation),
        ({"method": EQUAL, "accounts": list(range(1, 66)), "weights_bp": []}, errors.InvalidAllocation),
        ({"reason": ""}, ReasonMissing),
        ({"reason": "x" * 201}, ReasonMissing),
    ],
)
def test_refused_rules_change_nothing(changes: dict[str, Any], error: type[DomainError]) -> None:
    before = everything()
    with pytest.raises(error):
        rule(**changes)
    assert everything() == before


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"rule_id": 8}, errors.UnknownAllocation),
        ({"account_id": ONE}, errors.UnknownAllocation),
        ({"account_id": 77}, errors.NoTradingAccount),
        ({"reason": " "}, ReasonMissing),
    ],
)
def test_refused_removals_change_nothing(changes: dict[str, Any], error: type[DomainError]) -> None:
    follow_rule(account_id=HEAD, rule_id=7, method=EQUAL, accounts=[ONE])
    before = everything()
    with pytest.raises(error):
        remove_allocation_rule(**({"account_id": HEAD, "rule_id": 7, "reason": "x", "requested_by": "ann"} | changes))
    assert everything() == before


def test_an_account_has_so_many_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocations, "ALLOCATION_RULES_PER_ACCOUNT_MAX", 1)
    follow_rule(account_id=HEAD, rule_id=7, method=EQUAL, accounts=[ONE])
    before = everything()
    with pytest.raises(errors.TooManyAllocations):
        rule()
    assert everything() == before
    assert rule(rule_id=7)


# -- Staff pages ------------------------------------------------------------------------------------------------------
def staff(*permissions: str) -> Client:
    user = User.objects.create_user(email="eve@example.com", password="long enough for anyone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    enter_admin(client, user)
    return client


@pytest.fixture
def engine_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reason], None]:
    """The engine's answer to whatever staff asks is settled as soon as it is asked."""

    def say(reason: Reason) -> None:
        def wait_done(row: OutboxRow, timeout: float) -> OutboxRow:
            answered(row.key, reason)
            return OutboxRow.objects.get(pk=row.pk)

        monkeypatch.setattr("apps.outbox.admin.wait_done", wait_done)

    return say


def page(client: Client, name: str, *args: int) -> str:
    return client.get(reverse(f"admin:accounts_{name}", args=args)).content.decode()


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.NONE, ">done<"),
        (Reason.ACCOUNT_HAS_ORDERS, "account has orders (the account has open orders"),
    ],
)
def test_a_family_is_changed_on_its_page(
    engine_says: Any, django_capture_on_commit_callbacks: Any, reason: Reason, text: str
) -> None:
    engine_says(reason)
    client = staff("add_familychange", "view_familychange", "view_accountsettings")
    url = reverse("admin:accounts_familychange_add")
    data = {"account_id": ONE, "family_id": HEAD, "reason": "a desk"}
    assert "This field is required" in client.post(url, data | {"reason": " "}).content.decode()
    assert "no trading account 77" in client.post(url, data | {"family_id": 77}).content.decode()
    assert not FamilyChange.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(url, data)
    assert answer.status_code == 302
    assert FamilyChange.objects.get().requested_by == "staff: eve@example.com"
    shown = page(client, "familychange_changelist")
    assert text in shown
    assert "a desk" in shown
    assert str(ONE) in page(client, "accountsettings_changelist")


RULE = {"account_id": HEAD, "method": int(FIXED), "shares": f"{ONE} 2500\n\n{TWO} 7500\n", "reason": "a mandate"}


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.NONE, ">done<"),
        (Reason.ALLOCATION_FAMILY, "allocation family (a rule names only accounts of its owner"),
        (Reason.UNKNOWN_ACCOUNT, "unknown account (the engine does not know the account"),
    ],
)
def test_a_rule_is_made_on_its_page(
    engine_says: Any, django_capture_on_commit_callbacks: Any, reason: Reason, text: str
) -> None:
    engine_says(reason)
    client = staff("add_allocationrule", "view_allocationrule", "view_allocationchange")
    url = reverse("admin:accounts_allocationrule_add")
    for changes, problem in (
        ({"reason": ""}, "This field is required"),
        ({"shares": f"{ONE} 2500\n{TWO}"}, "Either every line"),
        ({"shares": f"{ONE} 25 1"}, "Either every line"),
        ({"shares": f"{ONE} 25.5"}, "whole numbers"),
        ({"shares": f"{ONE} -25"}, "whole numbers"),
        ({"shares": "9" * 19}, "whole numbers"),
        ({"shares": f"{ONE} 10001"}, "weights must add up to 10000 basis points"),
        ({"shares": f"{ONE} 10000", "method": int(EQUAL)}, "only a fixed rule has weights"),
        ({"account_id": 77}, "no trading account 77"),
    ):
        assert problem in client.post(url, RULE | changes).content.decode(), changes
    assert not AllocationChange.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(url, RULE).status_code == 302
    change = AllocationChange.objects.get()
    assert (change.accounts, change.weights_bp, change.requested_by) == (
        [ONE, TWO], [2_500, 7_500], "staff: eve@example.com",
    )  # fmt: skip
    assert not AllocationRule.objects.exists()
    listed = page(client, "allocationchange_changelist")
    assert text in listed
    assert "2 accounts" in listed


def test_a_rule_is_changed_and_removed_on_its_page(engine_says: Any, django_capture_on_commit_callbacks: Any) -> None:
    follow_rule(account_id=HEAD, rule_id=7, method=FIXED, accounts=[ONE, TWO], weights_bp=[2_525, 7_475])
    engine_says(Reason.NONE)
    client = staff("change_allocationrule", "view_allocationrule")
    listed = page(client, "allocationrule_changelist")
    assert "5002 (25.25 %), 5003 (74.75 %)" in listed
    known = AllocationRule.objects.get()
    assert "5002 2525\n5003 7475" in page(client, "allocationrule_change", known.pk)
    url = reverse("admin:accounts_allocationrule_change", args=(known.pk,))
    with django_capture_on_commit_callbacks(execute=True):
        client.post(url, {"method": int(EQUAL), "shares": f"{TWO}\n{ONE}", "reason": "by halves"})
    change = AllocationChange.objects.get()
    assert (change.account_id, change.rule_id, change.method, change.accounts) == (HEAD, 7, EQUAL, [TWO, ONE])
    assert AllocationRule.objects.get().method == FIXED, "the row follows the engine"
    data = {"action": "remove", "_selected_action": [known.pk], "index": 0}
    listing = reverse("admin:accounts_allocationrule_changelist")
    assert "Give a reason" in client.post(listing, data, follow=True).content.decode()
    assert AllocationChange.objects.count() == 1
    assert "Removal of rule 7" in client.post(listing, data | {"reason": "ended"}, follow=True).content.decode()
    assert AllocationChange.objects.first().accounts == []  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["familychange", "allocationrule"])
def test_who_may_only_look_asks_for_nothing(name: str) -> None:
    follow_rule(account_id=HEAD, rule_id=7, method=EQUAL, accounts=[ONE])
    client = staff("view_familychange", "view_allocationrule", "change_tradingaccount")
    assert client.post(reverse(f"admin:accounts_{name}_add"), RULE | {"family_id": HEAD}).status_code == 403
    pk = AllocationRule.objects.get().pk
    assert client.post(reverse("admin:accounts_allocationrule_change", args=(pk,)), RULE).status_code == 403
    data = {"action": "remove", "_selected_action": [pk], "index": 0, "reason": "x"}
    client.post(reverse("admin:accounts_allocationrule_changelist"), data)
    assert not AllocationChange.objects.exists()
    assert not FamilyChange.objects.exists()


def test_rules_on_their_way_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocations, "ALLOCATION_RULES_PER_ACCOUNT_MAX", 2)
    follow_rule(account_id=HEAD, rule_id=1, method=EQUAL, accounts=[ONE])
    asked = rule()
    before = everything()
    with pytest.raises(errors.TooManyAllocations):
        rule()
    assert everything() == before
    answered(asked.outbox_key, Reason.ALLOCATION_FAMILY)
    rule()
