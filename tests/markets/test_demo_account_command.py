"""`manage.py demo_account`: one line of JSON, funds through the outbox, and nothing made on a wrong argument."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import ApiKey, User
from apps.accounts.services.codes import use_code
from apps.markets.management.commands import demo_account
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import CommandKind, Reason
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _assets_and_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine runs in these tests, so waiting for one is cut short."""
    monkeypatch.setattr(demo_account, "WAIT_S", 0)
    for number, code in enumerate(("BTC", "USDT"), start=1):
        Asset.objects.get_or_create(pk=number, defaults={"code": code, "name": code})


def _run(*args: str) -> tuple[dict[str, Any], str]:
    out, err = StringIO(), StringIO()
    call_command("demo_account", *args, stdout=out, stderr=err)
    (line,) = out.getvalue().splitlines()
    return json.loads(line), err.getvalue()


def test_one_line_of_json_that_logs_in() -> None:
    made, err = _run("trader1")
    assert list(made) == ["email", "password", "totp_secret", "api_key", "api_secret", "account_id"]
    assert err == ""
    client = Client()
    sent = client.post("/account/log-in", {"username": made["email"], "password": made["password"]})
    assert sent["Location"] == "/account/log-in/code"
    assert client.post("/account/log-in/code", {"code": fresh_code(made["totp_secret"])})["Location"] == "/account/"


def test_funds_are_credits_in_the_outbox_and_waiting_is_bounded() -> None:
    btc, usdt = (Asset.objects.get(code=code) for code in ("BTC", "USDT"))
    made, err = _run("trader1", "--fund", "USDT=10000", "BTC=0.50000001")
    assert "2 of 2 fundings are not settled" in err
    rows = OutboxRow.objects.order_by("id")
    prefix = f"demo:{made['account_id']}:"
    assert [row.kind for row in rows] == [CommandKind.CREDIT] * 2
    assert rows[0].key.startswith(f"{prefix}{usdt.pk}:")
    assert rows[1].key.startswith(f"{prefix}{btc.pk}:")


def test_funding_again_adds() -> None:
    first, _ = _run("trader1", "--fund", "USDT=1")
    second, _ = _run("trader1", "--fund", "USDT=1")
    assert first["account_id"] == second["account_id"]
    assert OutboxRow.objects.count() == 2


def test_staff_opens_the_admin() -> None:
    made, _ = _run("boss", "--staff")
    client = Client()
    client.post("/account/log-in", {"username": made["email"], "password": made["password"]})
    client.post("/account/log-in/code", {"code": fresh_code(made["totp_secret"])})
    assert client.get("/admin/accounts/user/").status_code == 200


@pytest.mark.parametrize(
    "fund",
    [
        *("USDT", "=1", "DOGE=1", "usdt=1", "USDT=", "USDT=0", "USDT=-1", "USDT=+1", "USDT=1e3", "USDT=1,5", "USDT= 1"),
        *("USDT=NaN", "USDT=Infinity", "USDT=0x1", "USDT=1_0", "USDT=.5", "USDT=5.", "USDT=00.1", "USDT=\u0661"),
        *("USDT=0.000000001", "USDT=99999999999999999999"),
    ],
)
def test_wrong_funding_makes_nothing(fund: str) -> None:
    with pytest.raises(CommandError, match="Nothing was made"):
        _run("trader1", "--fund", fund)
    assert not User.objects.exists()
    assert not OutboxRow.objects.exists()


def test_same_asset_twice_makes_nothing() -> None:
    with pytest.raises(CommandError, match="twice"):
        _run("trader1", "--fund", "USDT=1", "USDT=2")
    assert not User.objects.exists()


def test_ordinary_account_is_refused() -> None:
    User.objects.create_user("alice@example.org", "correct horse battery")
    with pytest.raises(CommandError, match="not a demo account"):
        _run("alice@example.org", "--fund", "USDT=1")
    assert not ApiKey.objects.exists()
    assert not OutboxRow.objects.exists()


def test_production_refuses(settings: Settings) -> None:
    settings.ENVIRONMENT = "production"
    for command in ("demo_account", "totp_code"):
        with pytest.raises(CommandError, match="production"):
            call_command(command, "trader1")
    assert not User.objects.exists()


def test_codes_on_a_laptop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    made, _ = _run("trader1")
    user = User.objects.get()
    for wait in (False, False, True):
        call_command("totp_code", made["email"])
        printed = capsys.readouterr()
        code = printed.out.strip()
        assert ("It works in" in printed.err) is wait
        if not wait:
            use_code(user_id=user.pk, code=code)
    for person in ("nobody@example.org", User.objects.create_user("alice@example.org").email):
        with pytest.raises(CommandError, match="not the address of a demo account"):
            call_command("totp_code", person)
    user.totp_factors.all().delete()
    with pytest.raises(CommandError, match="has no authenticator app"):
        call_command("totp_code", made["email"])


def test_refusal_by_the_engine_is_told_after_the_account() -> None:
    row = OutboxRow(key="demo:1001:1:x", state=OutboxState.REFUSED, reason=Reason.OVERFLOW)
    with pytest.raises(CommandError, match="OVERFLOW"):
        demo_account._refuse_if_any_refused([row])
