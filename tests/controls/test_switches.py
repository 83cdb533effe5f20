"""Switches are set by one service, leave an entry each, and say what is closed for whom (W7, W3, A9; threat-T28)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Record
from apps.controls.errors import InvalidSwitch, UnknownSubject
from apps.controls.gates import OPEN_GATES, UNKNOWN_GATES, Gates
from apps.controls.kinds import ALWAYS_THERE, Kind, Scope
from apps.controls.models import Switch
from apps.controls.selectors import in_force, is_beta_tester, read_gates
from apps.controls.services import install, set_switch
from apps.markets.models import Asset
from apps.outbox.errors import ReasonMissing
from tests.controls.conftest import STAFF

pytestmark = pytest.mark.django_db


def start(kind: Kind, scope: Scope = Scope.PLATFORM, subject: str = "", **rest: Any) -> Switch:
    return set_switch(
        **{"kind": kind, "scope": scope, "subject": subject, "on": True, "actor": STAFF, "reason": "drill"} | rest
    )


def end(kind: Kind, scope: Scope = Scope.PLATFORM, subject: str = "", **rest: Any) -> Switch:
    return start(kind, scope, subject, on=False, **rest)


def gates(user_id: int = 1, asset: str = "BTC", asset_class: str = "", **rest: Any) -> Gates:
    with transaction.atomic():
        return read_gates(user_id=user_id, asset=asset, asset_class=asset_class, **rest)


def test_a_fresh_installation_is_open_and_has_the_rows_of_the_platform() -> None:
    assert gates() == OPEN_GATES
    assert set(Switch.objects.values_list("kind", "scope", "subject", "is_on")) == {
        (kind.value, "platform", "", False) for kind in ALWAYS_THERE
    }
    install(using="default")
    assert Switch.objects.count() == len(ALWAYS_THERE)


@pytest.mark.parametrize(
    ("scope", "subject", "message"),
    [
        (Scope.PLATFORM, "", "Withdrawals are suspended right now."),
        (Scope.ASSET, "USDT", "Withdrawals of USDT are suspended right now."),
        (Scope.ASSET_CLASS, "stablecoin", "Withdrawals of stablecoin assets are suspended right now."),
        (Scope.USER, "alice@example.org", "Withdrawals of your account are suspended right now."),
    ],
)
def test_a_suspension_closes_what_it_names_and_nothing_else(
    scope: Scope, subject: str, message: str, assets: None, user: User
) -> None:
    start(Kind.WITHDRAWALS, scope, subject)
    closed = gates(user.pk, "USDT", "stablecoin")
    assert closed.withdrawals is not None
    assert (closed.withdrawals.code, closed.withdrawals.message) == ("WITHDRAWALS_SUSPENDED", message)
    assert (closed.deposits, closed.whitelist, closed.staff_money) == (None, None, None)
    others = {
        "another asset of the class": gates(user.pk, "USDC", "stablecoin"),
        "an asset of no class": gates(user.pk, "BTC"),
        "another user": gates(user.pk + 1, "USDT", "stablecoin"),
    }
    assert {what for what, found in others.items() if found.withdrawals is not None} == {
        Scope.PLATFORM: set(others),
        Scope.ASSET: {"another user"},
        Scope.ASSET_CLASS: {"another asset of the class", "another user"},
        Scope.USER: {"another asset of the class", "an asset of no class"},
    }[scope]
    end(Kind.WITHDRAWALS, scope, subject)
    assert gates(user.pk, "USDT", "stablecoin") == OPEN_GATES


def test_deposits_and_whitelists_have_their_own(assets: None) -> None:
    start(Kind.DEPOSITS, Scope.ASSET, "btc")
    found = gates()
    assert found.deposits is not None
    assert found.deposits.message == "Deposits of BTC are suspended right now."
    start(Kind.WHITELIST)
    found = gates()
    assert found.whitelist is not None
    assert (found.whitelist.code, found.withdrawals) == ("WHITELIST_FROZEN", None)


def test_a_switch_with_an_end_is_over_at_that_moment() -> None:
    until = timezone.now() + timedelta(hours=1)
    switch = start(Kind.WITHDRAWALS, until=until)
    assert switch.is_in_force
    assert gates(now=until - timedelta(microseconds=1)).withdrawals is not None
    assert gates(now=until) == OPEN_GATES
    start(Kind.WITHDRAWALS)
    assert gates(now=until).withdrawals is not None, "started once more, it has no end"


def test_beta_testers_are_flagged(user: User) -> None:
    assert not is_beta_tester(user_id=user.pk)
    start(Kind.BETA_TESTER, Scope.USER, str(user.pk))
    assert is_beta_tester(user_id=user.pk)
    assert not is_beta_tester(user_id=user.pk + 1)
    assert gates(user.pk) == OPEN_GATES
    assert [str(each) for each in in_force()] == [f"beta-tester user {user.pk}"]
    end(Kind.BETA_TESTER, Scope.USER, str(user.pk))
    assert not is_beta_tester(user_id=user.pk)


def test_each_change_is_told_with_before_and_after(assets: None) -> None:
    until = timezone.now() + timedelta(hours=1)
    first = start(Kind.WITHDRAWALS, Scope.ASSET, "BTC", reason=" token looks wrong ")
    again = start(Kind.WITHDRAWALS, Scope.ASSET, "BTC", until=until)
    last = end(Kind.WITHDRAWALS, Scope.ASSET, "BTC", reason="all well")
    assert first.version < again.version < last.version
    told = Record.objects.filter(action="switch.set").order_by("id")
    assert {(row.actor_kind, row.actor_id, row.object) for row in told} == {
        ("staff", "root@example.org", "switch:withdrawal-suspension:asset:BTC")
    }
    off, on, ends = (
        {"on": False, "until": None},
        {"on": True, "until": None},
        {"on": True, "until": until.isoformat(timespec="seconds")},
    )
    states = [(row.before and json.loads(row.before), json.loads(row.after or ""), row.reason) for row in told]
    assert states == [(None, on, "token looks wrong"), (on, ends, "drill"), (ends, off, "all well")]
    row = Switch.objects.get(subject="BTC")
    assert (row.is_on, row.until, row.reason, row.set_by) == (False, None, "all well", "staff: root@example.org")


PAST = timezone.now() - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"reason": "  "}, ReasonMissing, "reason"),
        ({"reason": "x" * 201}, ReasonMissing, "reason"),
        ({"scope": Scope.ASSET, "subject": "BTCC"}, UnknownSubject, "There is no asset 'BTCC'"),
        ({"scope": Scope.ASSET_CLASS, "subject": "stable"}, UnknownSubject, "There is no asset class 'stable'"),
        ({"scope": Scope.USER, "subject": "999999"}, UnknownSubject, "There is no user '999999'"),
        ({"scope": Scope.USER, "subject": "9" * 30}, UnknownSubject, "There is no user"),
        ({"scope": Scope.USER, "subject": "nobody@example.org"}, UnknownSubject, "There is no user"),
        ({"scope": Scope.USER, "subject": "no address"}, UnknownSubject, "There is no user"),
        ({"scope": Scope.ASSET}, InvalidSwitch, "Name the asset"),
        ({"subject": "BTC"}, InvalidSwitch, "platform has no name"),
        (
            {"kind": Kind.WHITELIST, "scope": Scope.ASSET, "subject": "BTC"},
            InvalidSwitch,
            "is of platform, not of asset",
        ),
        ({"kind": Kind.BETA_TESTER}, InvalidSwitch, "is of user, not of platform"),
        ({"until": PAST}, InvalidSwitch, "in the past"),
        ({"until": timezone.now() + timedelta(days=1), "on": False}, InvalidSwitch, "Only what begins has an end"),
    ],
)
def test_what_is_refused_changes_nothing(
    wrong: dict[str, Any], error: type[Exception], words: str, assets: None
) -> None:
    before = list(Switch.objects.values())
    with pytest.raises(error, match=words):
        start(**{"kind": Kind.WITHDRAWALS, **wrong})
    assert list(Switch.objects.values()) == before
    assert not Record.objects.filter(action="switch.set").exists()


def test_a_class_that_no_asset_is_of_any_more_can_be_ended(assets: None) -> None:
    start(Kind.WITHDRAWALS, Scope.ASSET_CLASS, "stablecoin")
    Asset.objects.update(asset_class="")
    end(Kind.WITHDRAWALS, Scope.ASSET_CLASS, "stablecoin")
    assert in_force() == []


def test_rows_that_are_not_there_are_no_permission() -> None:
    """A table that was emptied, or a row that a restore has lost, reads as unknown, and that is closed."""
    for kind in ALWAYS_THERE:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE controls_switch DISABLE TRIGGER controls_switch_keep")
            Switch.objects.filter(kind=kind.value).delete()
            assert gates() == UNKNOWN_GATES
            transaction.set_rollback(True)
    assert gates() == OPEN_GATES


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM controls_switch",
        "UPDATE controls_switch SET scope = 'asset', subject = 'BTC' WHERE kind = 'withdrawal-suspension'",
        "UPDATE controls_switch SET until = now()",
        "UPDATE controls_switch SET subject = 'BTC'",
        "INSERT INTO controls_switch (kind, scope, subject, is_on, reason, set_by, set_at, version)"
        " VALUES ('whitelist-freeze', 'asset', 'BTC', TRUE, 'x', 'x', now(), 0)",
    ],
)
def test_the_database_refuses_what_no_switch_can_be(statement: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_reading_costs_two_queries_whatever_is_set(assets: None, user: User, django_assert_num_queries: Any) -> None:
    start(Kind.WITHDRAWALS, Scope.USER, str(user.pk))
    start(Kind.DEPOSITS, Scope.ASSET, "BTC")
    with transaction.atomic(), django_assert_num_queries(2):
        read_gates(user_id=user.pk, asset="BTC", asset_class="coin")
