"""`manage.py switch` for operators."""

import getpass
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import User
from apps.audit.models import Record
from apps.controls.models import Switch
from apps.controls.selectors import in_force
from apps.markets.models import Market

pytestmark = pytest.mark.django_db


def switch(*arguments: Any) -> str:
    out = StringIO()
    call_command("switch", *arguments, stdout=out)
    return out.getvalue()


def test_it_starts_shows_and_ends(assets: None, user: User) -> None:
    assert switch() == "No switch is on.\n"
    assert switch("withdrawal-suspension", "start", "--asset", "BTC", "--reason", "odd deposits") == (
        "withdrawal-suspension asset BTC: on.\n"
    )
    assert switch("beta-tester", "start", "--user", user.email, "--reason", "asked for it", "--minutes", "90")
    shown = switch().splitlines()
    assert [line.partition(":")[0] for line in shown] == [
        f"beta-tester user {user.pk}", "withdrawal-suspension asset BTC"
    ]  # fmt: skip
    assert f", until {Switch.objects.get(kind='beta-tester').until:%Y-%m-%d %H:%M} UTC" in shown[0]
    assert shown[1].endswith(f"operator: {getpass.getuser()}: odd deposits")
    assert switch("withdrawal-suspension", "end", "--asset", "BTC", "--reason", "all well").endswith("ended.\n")
    assert [each.kind for each in in_force()] == ["beta-tester"]
    assert {row.actor_kind for row in Record.objects.filter(action="switch.set")} == {"operator"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["withdrawal-suspension"], "start or end"),
        (["withdrawal-suspension", "start"], "reason"),
        (["withdrawal-suspension", "start", "--asset", "BTCC", "--reason", "x"], "no asset"),
        (["withdrawal-suspension", "start", "--asset-class", "x", "--reason", "x"], "no asset class"),
        (["withdrawal-suspension", "start", "--asset", "BTC", "--user", "1", "--reason", "x"], "not allowed with"),
        (["withdrawals", "start", "--reason", "x"], "invalid choice"),
        (["whitelist-freeze", "start", "--reason", "x", "--minutes", "0"], "between 1 and"),
        (["whitelist-freeze", "start", "--reason", "x", "--minutes", "999999999999"], "between 1 and"),
        (["whitelist-freeze", "end", "--reason", "x", "--minutes", "5"], "Only what begins"),
    ],
)
def test_what_it_refuses_changes_nothing(arguments: list[str], words: str, assets: None) -> None:
    with pytest.raises(CommandError, match=words):
        switch(*arguments)
    assert in_force() == []
    assert not Record.objects.filter(action="switch.set").exists()


def test_markets_that_are_not_open_stand_below(market: Market) -> None:
    """No market data runs here."""
    silent = "Market data is silent: the states of markets are as old as the settled record.\n"
    assert switch() == f"No switch is on.\n{silent}"
    Market.objects.update(state=Market.State.HALTED, state_cause=Market.Cause.STAFF)
    assert switch() == f"No switch is on.\nmarket BTCUSDT: halted (staff)\n{silent}"
